"""What it means when somebody writes to the bot. Nothing here does anything about it: `auth.telegram` does."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from proofdesk.accounts.signup_queries import Binding
from proofdesk.core import bidi

CODE_MINUTES = 15
_COMMAND = re.compile(r"/([a-z]+)(?:@\w+)?(?:\s+(.*))?", re.ASCII | re.IGNORECASE | re.DOTALL)

BOUND = "Bound. PINs for new accounts come here; give one only to somebody you know."
HOW = (
    "The owner gets it on the settings page of Proofdesk or with `proofdesk telegram bind-code`, then sends "
    f"/bind CODE here within {CODE_MINUTES} minutes."
)
_HELP = "/bind CODE: make this the account that gets signup PINs\n/whoami: your Telegram id\n/help: this list"


@dataclass(frozen=True)
class Said:
    """What a person wrote to the bot in a private chat. `proven`: it came with the webhook's secret."""

    sender_id: int
    chat_id: int
    name: str
    command: str
    argument: str
    proven: bool


@dataclass(frozen=True)
class Decision:
    """What follows. `text` is what the bot answers, `code` what `redeem` uses up, `reason` why `refuse`."""

    act: Literal["answer", "bind", "redeem", "keep", "refuse"]
    text: str
    code: str = ""
    reason: str = ""


def read(message: object, *, proven: bool) -> Said | None:
    """What the message of an update says; None when it is from a group, a channel or a bot, or has no text."""
    chat, sender = _part(message, "chat"), _part(message, "from")
    text = message.get("text") if isinstance(message, dict) else None
    if chat.get("type") != "private" or sender.get("is_bot") is True or not isinstance(text, str):
        return None
    sender_id, chat_id = _id(sender), _id(chat)
    if sender_id is None or chat_id is None:
        return None
    found = _COMMAND.fullmatch(text.strip())
    command, argument = (found[1].lower(), (found[2] or "").strip()) if found else ("", "")
    return Said(sender_id, chat_id, _name(sender), command, argument, proven)


def decide(said: Said, binding: Binding | None, owner_id: int | None) -> Decision:
    """What an update means. `owner_id` is TELEGRAM_OWNER_ID; while it is set, nothing else makes an owner."""
    if said.command != "bind":
        return Decision("answer", _talk(said, binding, owner_id))
    if owner_id is not None and said.sender_id != owner_id:
        text = "The owner of this Proofdesk is set by its operator. It is not this account."
        return Decision("refuse", text, reason="not_the_owner")
    if binding is not None and binding.user_id == said.sender_id and not said.argument:
        return Decision("keep", "This account is bound already: PINs for new accounts come here.")
    if owner_id is not None:
        return Decision("bind", BOUND)
    if said.argument:
        return Decision("redeem", BOUND, said.argument)
    if binding is not None:
        return Decision(
            "refuse", "Another account is bound. Only the owner can move it. " + HOW, reason="bound_already"
        )
    return Decision("answer", "A one-time code is needed, so that no stranger can take the owner's place. " + HOW)


def holds(binding: Binding | None, owner_id: int | None) -> bool:
    """Whether somebody is bound, and not somebody else than TELEGRAM_OWNER_ID names now."""
    return binding is not None and owner_id in (None, binding.user_id)


def _talk(said: Said, binding: Binding | None, owner_id: int | None) -> str:
    if said.command == "whoami":
        is_owner = binding is not None and holds(binding, owner_id) and binding.user_id == said.sender_id
        who = f"{bidi.isolated(said.name)}, Telegram id {said.sender_id}"
        return f"{who}: {'' if is_owner else 'not '}the owner of this Proofdesk."
    if said.command == "start":
        return "This bot sends the owner of a Proofdesk the PINs of people who want an account.\n\n" + _HELP
    return _HELP


def _part(value: object, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _id(of: dict[str, Any]) -> int | None:
    number = of.get("id")
    return number if type(number) is int and 0 < number < 2**63 else None


def _name(sender: dict[str, Any]) -> str:
    names = [sender.get(key) for key in ("first_name", "last_name")]
    shown = " ".join(name for name in names if isinstance(name, str) and name)[:100]
    username = sender.get("username")
    at = f"@{username[:64]}" if isinstance(username, str) and username else ""
    return " ".join(filter(None, (shown, at))) or "Somebody"
