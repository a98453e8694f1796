"""Commands to the bot: parsing and decisions. `accounts.telegram` executes them."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from proofdesk.accounts.signup_queries import TelegramBinding
from proofdesk.core import bidi

CODE_MINUTES = 15
_COMMAND = re.compile(r"/([a-z]+)(?:@\w+)?(?:\s+(.*))?", re.ASCII | re.IGNORECASE | re.DOTALL)

BOUND_REPLY = "Bound. You will receive the PINs for new accounts here. Give a PIN only to someone you know."
BIND_INSTRUCTIONS = (
    "The owner creates a code on the settings page of Proofdesk or with `proofdesk telegram bind-code`, and sends "
    f"/bind CODE here within {CODE_MINUTES} minutes."
)
_HELP = "/bind CODE: send signup PINs to this account\n/whoami: show your Telegram id\n/help: show this list"


@dataclass(frozen=True)
class BotCommand:
    """A message to the bot in a private chat. `proven`: the call carried the webhook's secret."""

    sender_id: int
    chat_id: int
    name: str
    command: str
    argument: str
    proven: bool


@dataclass(frozen=True)
class BotDecision:
    """What to do, and the bot's reply. `code` is the code to `redeem`, `reason` the reason to `refuse`."""

    action: Literal["answer", "bind", "redeem", "keep", "refuse"]
    reply: str
    code: str = ""
    reason: str = ""


def parse_command(message: object, *, proven: bool) -> BotCommand | None:
    """Return the command in a message; None if it is from a group, a channel or a bot, or has no text."""
    chat, sender = _object_at(message, "chat"), _object_at(message, "from")
    text = message.get("text") if isinstance(message, dict) else None
    if chat.get("type") != "private" or sender.get("is_bot") is True or not isinstance(text, str):
        return None
    sender_id, chat_id = _id(sender), _id(chat)
    if sender_id is None or chat_id is None:
        return None
    match = _COMMAND.fullmatch(text.strip())
    command, argument = (match[1].lower(), (match[2] or "").strip()) if match else ("", "")
    return BotCommand(sender_id, chat_id, _display_name(sender), command, argument, proven)


def decide(command: BotCommand, binding: TelegramBinding | None, owner_id: int | None) -> BotDecision:
    """Decide what a command causes. `owner_id` is TELEGRAM_OWNER_ID: if it is set, only that account can be bound."""
    if command.command != "bind":
        return BotDecision("answer", _reply_text(command, binding, owner_id))
    if owner_id is not None and command.sender_id != owner_id:
        text = "The operator of this Proofdesk has set another account as its owner."
        return BotDecision("refuse", text, reason="not_the_owner")
    if binding is not None and binding.user_id == command.sender_id and not command.argument:
        return BotDecision("keep", "This account is already bound: you receive the PINs for new accounts here.")
    if owner_id is not None:
        return BotDecision("bind", BOUND_REPLY)
    if command.argument:
        return BotDecision("redeem", BOUND_REPLY, command.argument)
    if binding is not None:
        return BotDecision(
            "refuse",
            "Another account is bound. Only the owner can change that. " + BIND_INSTRUCTIONS,
            reason="bound_already",
        )
    return BotDecision("answer", "To bind this account, a one-time code is required. " + BIND_INSTRUCTIONS)


def is_effective(binding: TelegramBinding | None, owner_id: int | None) -> bool:
    """Return whether an account is bound, and is the one that TELEGRAM_OWNER_ID names, if that is set."""
    return binding is not None and owner_id in (None, binding.user_id)


def _reply_text(command: BotCommand, binding: TelegramBinding | None, owner_id: int | None) -> str:
    if command.command == "whoami":
        is_owner = binding is not None and is_effective(binding, owner_id) and binding.user_id == command.sender_id
        who = f"{bidi.isolated(command.name)}, Telegram id {command.sender_id}"
        return f"{who}: {'' if is_owner else 'not '}the owner of this Proofdesk."
    if command.command == "start":
        return "This bot sends the owner of a Proofdesk the PINs for new accounts.\n\n" + _HELP
    return _HELP


def _object_at(value: object, key: str) -> dict[str, Any]:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def _id(item: dict[str, Any]) -> int | None:
    number = item.get("id")
    return number if type(number) is int and 0 < number < 2**63 else None


def _display_name(sender: dict[str, Any]) -> str:
    names = [sender.get(key) for key in ("first_name", "last_name")]
    full_name = " ".join(name for name in names if isinstance(name, str) and name)[:100]
    username = sender.get("username")
    username_tag = f"@{username[:64]}" if isinstance(username, str) and username else ""
    return " ".join(filter(None, (full_name, username_tag))) or "Somebody"
