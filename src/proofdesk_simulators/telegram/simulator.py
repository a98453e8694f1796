"""The state and the controls of a simulated Telegram. `control.py` offers the controls over HTTP.

Errors are worded as the real ones: "group chat was upgraded to a supergroup chat" with `migrate_to_chat_id`
(TwiN/gatus issue 179), "bot was kicked from the group chat", "user is deactivated" and "bot can't initiate conversation
with a user" (tdlib/telegram-bot-api). Texts are counted in code points (FerroxLabs/wayland issue 934).
"""

import itertools
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import httpx2

KEPT = 10_000
CUT, LOST_REPLY, DELAY, PAGE = "cut", "lost_reply", "delay", "page"


@dataclass(eq=False)
class TelegramRefusal(Exception):
    """An error in Telegram's words."""

    status: int
    description: str
    parameters: dict[str, Any] = field(default_factory=dict)


CATALOGUE = {
    "unauthorized": TelegramRefusal(401, "Unauthorized"),
    "blocked": TelegramRefusal(403, "Forbidden: bot was blocked by the user"),
    "kicked": TelegramRefusal(403, "Forbidden: bot was kicked from the group chat"),
    "deactivated": TelegramRefusal(403, "Forbidden: user is deactivated"),
    "never_started": TelegramRefusal(403, "Forbidden: bot can't initiate conversation with a user"),
    "chat_not_found": TelegramRefusal(400, "Bad Request: chat not found"),
    "too_many_requests": TelegramRefusal(429, "Too Many Requests: retry after 5", {"retry_after": 5}),
    "server_error": TelegramRefusal(500, "Internal Server Error"),
    "bad_gateway": TelegramRefusal(502, "Bad Gateway"),
}
KINDS = (*CATALOGUE, CUT, LOST_REPLY, DELAY, PAGE)


@dataclass
class TelegramFault:
    """Applies to each `every`-th call of `method` (empty: all methods), at most `times` times, after `delay` seconds.

    `kind` is a key of the catalogue, `cut` (the connection breaks), `lost_reply` (it breaks after the call was
    executed), `page` (200 with a web page) or `delay`.
    """

    kind: str
    method: str = ""
    times: int | None = None
    delay: float = 0.0
    every: int = 1
    seen: int = 0
    struck: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"Unknown kind of fault {self.kind!r}. Use one of: {', '.join(KINDS)}")

    def strikes(self, method: str) -> bool:
        """Count this call and return whether the fault applies to it."""
        if self.struck == self.times or self.method not in ("", method):
            return False
        self.seen += 1
        if self.seen % self.every:
            return False
        self.struck += 1
        return True


@dataclass
class TelegramPerson:
    """A person, or a group, with a chat with the bot."""

    id: int
    first_name: str
    username: str | None = None
    blocks: bool = False
    moved_to: int | None = None


@dataclass
class BotMessage:
    """A message that the bot sent."""

    chat_id: int
    text: str
    message_id: int
    at: float


@dataclass
class TelegramWebhook:
    """The webhook. Its URL is empty if none is set."""

    url: str = ""
    secret_token: str = ""
    allowed_updates: list[str] = field(default_factory=list)
    last_error: str | None = None
    last_error_at: int | None = None


@dataclass
class UpdateDelivery:
    """An update that was posted, and the response. `status` is None without one."""

    update: dict[str, Any]
    status: int | None
    body: Any


class TelegramSimulator:
    """One bot and its people, safe to use while the app serves from another thread."""

    def __init__(self, bot_id: int = 7_000_000_001, username: str = "proofdesk_bot") -> None:
        self.id, self.username = bot_id, username
        self.token = f"{bot_id}:simulated-bot-token"
        self.lock = threading.RLock()
        self.numbers = itertools.count(1)
        self.reset()

    def reset(self) -> None:
        """Remove people, messages, webhook and faults. Ids continue, as Telegram's do."""
        self.people: dict[int, TelegramPerson] = {}
        self.sent: deque[BotMessage] = deque(maxlen=KEPT)
        self.calls: deque[tuple[str, int]] = deque(maxlen=KEPT)
        self.deliveries: deque[UpdateDelivery] = deque(maxlen=KEPT)
        self.pending: list[dict[str, Any]] = []
        self.faults: list[TelegramFault] = []
        self.hook = TelegramWebhook()

    def fail(self, kind: str, **values: Any) -> TelegramFault:
        """Add a fault. `values` are its fields. Raises ValueError for an unknown kind."""
        fault = TelegramFault(kind, **values)
        self.faults.append(fault)
        return fault

    def person(self, id: int, first_name: str = "Ada", username: str | None = None) -> TelegramPerson:
        """Return a person who has opened a chat with the bot, so that it may write to them."""
        return self.people.setdefault(id, TelegramPerson(id, first_name, username))

    def upgrade(self, group: int, moved_to: int) -> None:
        """Upgrade a group to a supergroup, which has another id."""
        self.person(group).moved_to = moved_to
        self.person(moved_to)

    def write(self, sender_id: int, text: str, *, chat: dict[str, Any] | None = None) -> UpdateDelivery:
        """Write to the bot as a person: in private, or in a chat such as `{"id": -100, "type": "group"}`."""
        return self.deliver(self.update(sender_id, text, chat=chat))

    def update(self, sender_id: int, text: str, *, chat: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the update for a message, without delivering it."""
        sender = self.person(sender_id)
        about = {"id": sender.id, "first_name": sender.first_name}
        about |= {} if sender.username is None else {"username": sender.username}
        message: dict[str, Any] = {
            "message_id": next(self.numbers),
            "from": {**about, "is_bot": False, "language_code": "en"},
            "chat": chat or {**about, "type": "private"},
            "date": int(time.time()),
            "text": text,
        }
        if text.startswith("/"):
            length = len(text.split()[0])
            message["entities"] = [{"offset": 0, "length": length, "type": "bot_command"}]
        return {"update_id": 700_000_000 + next(self.numbers), "message": message}

    def deliver(self, update: dict[str, Any]) -> UpdateDelivery:
        """Post an update to the webhook. Without a 2xx response it stays pending."""
        if not self.hook.url:
            self.pending.append(update)
            return self._noted(UpdateDelivery(update, None, "no webhook is set"))
        headers = {"x-telegram-bot-api-secret-token": self.hook.secret_token} if self.hook.secret_token else {}
        try:
            answer = httpx2.post(self.hook.url, json=update, headers=headers, timeout=30, trust_env=False)
        except httpx2.HTTPError as error:
            return self._failed(UpdateDelivery(update, None, type(error).__name__), "Connection refused")
        done = UpdateDelivery(update, answer.status_code, answer.text)
        if answer.headers.get("content-type") == "application/json":
            done.body = answer.json()
        if not answer.is_success:
            reason = f"Wrong response from the webhook: {answer.status_code} {answer.reason_phrase}"
            return self._failed(done, reason)
        return self._noted(done)

    def redeliver(self) -> list[UpdateDelivery]:
        """Deliver all pending updates again, as Telegram does after a while."""
        waiting, self.pending = self.pending, []
        return [self.deliver(update) for update in waiting]

    def _failed(self, delivery: UpdateDelivery, reason: str) -> UpdateDelivery:
        self.pending.append(delivery.update)
        self.hook.last_error, self.hook.last_error_at = reason, int(time.time())
        return self._noted(delivery)

    def _noted(self, delivery: UpdateDelivery) -> UpdateDelivery:
        self.deliveries.append(delivery)
        return delivery
