"""Client of Telegram's Bot API: one method for each call, one attempt for each call.

The token is part of every address. Errors of the HTTP client, which hold the address, are therefore replaced by our
own, and the token is removed from its log lines.
"""

import asyncio
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx2

from proofdesk.core.certificates import ssl_context
from proofdesk.core.response_limits import SMALL_RESPONSE, limit_bodies
from proofdesk.errors import Unavailable

MAX_TEXT_LENGTH = 4096
"""Longest message in Unicode code points, whether letters or emoji (measured at the real API:
github.com/FerroxLabs/wayland/issues/934; only the offsets of entities count in UTF-16)."""

_HINTS = (
    ("blocked by the user", "They blocked the bot; only they can unblock it."),
    ("user is deactivated", "Their account was deleted."),
    ("kicked", "The bot was removed from the chat; a member has to add it again."),
    ("not a member", "The bot is not in the chat; a member has to add it."),
    ("chat not found", "They have to open a chat with the bot first."),
    ("initiate conversation", "They have to open a chat with the bot first."),
)

_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.InvalidURL)


def _without_token(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    if "/bot" in text:
        record.msg, record.args = re.sub(r"/bot[^/\s]+/", "/bot…/", text), ()
    return True


logging.getLogger("httpx2").addFilter(_without_token)


class TelegramError(Unavailable):
    """A call that Telegram refused or did not answer. `permanent`: the same call will fail again.

    `outcome_unknown`: it is not known whether the call was carried out. `migrate_to`: the new id of the chat.
    """

    code = "telegram_send_failed"

    def __init__(
        self,
        message: str,
        method: str,
        status: int | None,
        retry_after: int | None = None,
        *,
        migrate_to: int | None = None,
        request_sent: bool = True,
    ):
        upstream = {"service": "telegram", "method": "POST", "endpoint": f"/{method}", "status": status}
        super().__init__(message, details={"upstream": upstream})
        self.status = status
        self.retry_after = retry_after
        self.migrate_to = migrate_to
        self.permanent = status is not None and status != 429 and status < 500
        self.outcome_unknown = request_sent and (status is None or status >= 500)


@dataclass(frozen=True)
class BotIdentity:
    """Id and username of the bot."""

    id: int
    username: str


@dataclass(frozen=True)
class WebhookInfo:
    """Where Telegram sends updates, and its last error. `url` is empty if no webhook is set."""

    url: str
    pending: int
    last_error: str | None
    last_error_at: datetime | None


class Bot:
    """Client for one bot. `timeout` is in seconds."""

    def __init__(self, base_url: str, token: str, *, timeout: float = 10):
        self._http = httpx2.AsyncClient(
            base_url=base_url.rstrip("/"),
            timeout=timeout,  # for each step: a call that did not even connect was not carried out
            verify=ssl_context(),
            headers={"accept-encoding": "identity"},
            event_hooks={"response": [limit_bodies(SMALL_RESPONSE)]},
        )
        self._token, self._deadline = token, 3 * timeout  # a response that trickles reaches no timeout of a step

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def identity(self) -> BotIdentity:
        """Fetch the bot's identity; also the way to check the token."""
        result = _object(await self._call("getMe"))
        return BotIdentity(result.get("id", 0), result.get("username", ""))

    async def send(self, chat_id: int, text: str) -> int | None:
        """Send a text without markup, of at most `MAX_TEXT_LENGTH` characters; return the message id."""
        options = {"link_preview_options": {"is_disabled": True}}
        sent = _object(await self._call("sendMessage", chat_id=chat_id, text=text, **options)).get("message_id")
        return sent if isinstance(sent, int) else None

    async def set_webhook(self, url: str, secret: str | None) -> None:
        """Register the address to which Telegram sends messages; it sends `secret` in a header."""
        token = {} if secret is None else {"secret_token": secret}
        await self._call("setWebhook", url=url, allowed_updates=["message"], **token)

    async def webhook_info(self) -> WebhookInfo:
        """Fetch the registered webhook and the last delivery error."""
        info = _object(await self._call("getWebhookInfo"))
        at = info.get("last_error_date")
        last_error_at = datetime.fromtimestamp(at, UTC) if isinstance(at, int) else None
        return WebhookInfo(
            info.get("url", ""), info.get("pending_update_count", 0), info.get("last_error_message"), last_error_at
        )

    async def _call(self, method: str, **params: Any) -> Any:
        try:
            async with asyncio.timeout(self._deadline):
                response = await self._http.post(f"/bot{quote(self._token, safe=':')}/{method}", json=params)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            message = f"Telegram cannot be reached: {type(error).__name__}."
            request_sent = not isinstance(error, _NOT_SENT)
            raise TelegramError(message, method, None, request_sent=request_sent) from None
        try:
            body = _object(response.json())
        except (ValueError, RecursionError):
            body = {}
        if response.status_code != 200 or body.get("ok") is not True:
            raise self._refusal(method, response.status_code, body)
        return body.get("result")

    def _refusal(self, method: str, status: int, body: dict[str, Any]) -> TelegramError:
        description = str(body.get("description") or "an answer that is not the Bot API's.").replace(self._token, "…")[
            :200
        ]
        parameters = _object(body.get("parameters"))
        retry_after, migrate_to = parameters.get("retry_after"), parameters.get("migrate_to_chat_id")
        message = f"Telegram answered {status} to {method}: {description} {_hint(status, description)}".strip()
        # A page with status 200 comes from a proxy: a retry may help.
        code = 502 if status < 400 else status
        return TelegramError(
            message,
            method,
            code,
            retry_after if isinstance(retry_after, int) else None,
            migrate_to=migrate_to if isinstance(migrate_to, int) else None,
        )


def _hint(status: int, description: str) -> str:
    if status in (401, 404):
        return "Check TELEGRAM_BOT_TOKEN."
    return next((hint for words, hint in _HINTS if words in description), "") if status in (400, 403) else ""


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
