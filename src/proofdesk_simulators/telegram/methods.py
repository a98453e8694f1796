"""The methods of the Bot API that the simulator supports."""

import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from proofdesk_simulators.telegram.simulator import (
    CATALOGUE,
    BotMessage,
    TelegramRefusal,
    TelegramSimulator,
    TelegramWebhook,
)

Params = dict[str, Any]
Method = Callable[[TelegramSimulator, Params], tuple[Any, str | None]]
"""Returns the result and, for some methods, a description."""

LONGEST = 4096
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def get_me(simulator: TelegramSimulator, params: Params) -> tuple[Any, str | None]:
    """Return the bot."""
    abilities = {"can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}
    return {**_bot(simulator), **abilities}, None


def send_message(simulator: TelegramSimulator, params: Params) -> tuple[Any, str | None]:
    """Send a message to a person who opened a chat with the bot."""
    chat_id, text = params.get("chat_id"), params.get("text")
    person = simulator.people.get(_number(chat_id))
    if chat_id in (None, ""):
        raise TelegramRefusal(400, "Bad Request: chat_id is empty")
    if person is None:
        raise CATALOGUE["chat_not_found"]
    if person.moved_to is not None:
        description = "Bad Request: group chat was upgraded to a supergroup chat"
        raise TelegramRefusal(400, description, {"migrate_to_chat_id": person.moved_to})
    if person.blocks:
        raise CATALOGUE["blocked"]
    if not isinstance(text, str) or not text.strip():
        raise TelegramRefusal(400, "Bad Request: message text is empty")
    if len(text) > LONGEST:
        raise TelegramRefusal(400, "Bad Request: message is too long")
    sent = BotMessage(person.id, text, next(simulator.numbers), time.time())
    simulator.sent.append(sent)
    chat = {"id": person.id, "first_name": person.first_name, "type": "private"}
    result = {"message_id": sent.message_id, "from": _bot(simulator), "chat": chat}
    return {**result, "date": int(sent.at), "text": text}, None


def set_webhook(simulator: TelegramSimulator, params: Params) -> tuple[Any, str | None]:
    """Set the webhook. Plain http is allowed for loopback addresses only; the real Telegram does not allow it."""
    url, secret = str(params.get("url") or ""), str(params.get("secret_token") or "")
    address = urlsplit(url)
    if not url:
        return delete_webhook(simulator, params)
    if address.scheme != "https" and not (address.scheme == "http" and address.hostname in _LOOPBACK):
        raise TelegramRefusal(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
    if len(secret) > 256:
        raise TelegramRefusal(400, "Bad Request: secret token is too long")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", secret):
        raise TelegramRefusal(400, "Bad Request: secret token contains unallowed characters")
    allowed = params.get("allowed_updates") or []
    hook = TelegramWebhook(url, secret, json.loads(allowed) if isinstance(allowed, str) else allowed)
    same = (simulator.hook.url, simulator.hook.secret_token) == (url, secret)
    simulator.hook = hook
    return True, "Webhook is already set" if same else "Webhook was set"


def delete_webhook(simulator: TelegramSimulator, params: Params) -> tuple[Any, str | None]:
    """Delete the webhook. Updates stay pending."""
    had = bool(simulator.hook.url)
    simulator.hook = TelegramWebhook()
    if params.get("drop_pending_updates") in (True, "true", "True"):
        simulator.pending.clear()
    return True, "Webhook was deleted" if had else "Webhook is already deleted"


def get_webhook_info(simulator: TelegramSimulator, params: Params) -> tuple[Any, str | None]:
    """Return the webhook and the last delivery error."""
    hook = simulator.hook
    info: Params = {"url": hook.url, "has_custom_certificate": False, "pending_update_count": len(simulator.pending)}
    if hook.url:
        info |= {"max_connections": 40, "ip_address": "127.0.0.1"}
    if hook.last_error:
        info |= {"last_error_date": hook.last_error_at, "last_error_message": hook.last_error}
    if hook.allowed_updates:
        info["allowed_updates"] = hook.allowed_updates
    return info, None


METHODS: dict[str, Method] = {
    "getme": get_me,
    "sendmessage": send_message,
    "setwebhook": set_webhook,
    "deletewebhook": delete_webhook,
    "getwebhookinfo": get_webhook_info,
}
"""By lower-case name: Telegram ignores case."""


def _bot(simulator: TelegramSimulator) -> Params:
    return {"id": simulator.id, "is_bot": True, "first_name": "Proofdesk", "username": simulator.username}


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0
