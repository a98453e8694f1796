"""A project that sends messages, and a channel whose behaviour tests choose."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import psycopg

from proofdesk.audit.events import Actor
from proofdesk.database.pool import Database
from proofdesk.outbound import approval, drafts, messages, policies
from proofdesk.outbound.channels.backoff import ChannelPause
from proofdesk.outbound.channels.interface import ChannelMessage, LookupUnsupported, Receipt, SendFailed
from proofdesk.outbound.delivery import delivery
from proofdesk.outbound.delivery.attempt_queries import DeliveryAttempt
from proofdesk.outbound.delivery.delivery import DeliveryOptions, DeliveryTotals
from proofdesk.outbound.delivery.outcomes import RetryBackoff
from proofdesk.outbound.drafts import DraftRequest
from proofdesk.outbound.gates import Policy
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.outbound.policy_queries import PolicyUpdate
from proofdesk.projects.scope import Scope
from tests.support import stories

NUMBERS = count(1)
LUIS = "luis@example.com"
Behaviour = Callable[[ChannelMessage], SendFailed | float | None]


def accept_all(_: ChannelMessage) -> None:
    """Accept a message at once."""


@dataclass
class FakeChannel:
    """A channel that keeps its messages. `behave` returns an error, or a delay in seconds, for each message."""

    name: str = "email"
    behave: Behaviour = accept_all
    can_look_up: bool = False
    sent: list[ChannelMessage] = field(default_factory=list)
    calls: int = 0

    @staticmethod
    def check(recipient_ref: str, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return recipient_ref, payload

    async def send(self, message: ChannelMessage) -> Receipt:
        self.calls += 1
        result = self.behave(message)
        if isinstance(result, float):
            await asyncio.sleep(result)
        if isinstance(result, SendFailed):
            raise result
        self.sent.append(message)
        return Receipt(f"receipt {message.key}")

    async def find(self, message: ChannelMessage) -> Receipt | None:
        if not self.can_look_up:
            raise LookupUnsupported
        return next((Receipt(f"receipt {m.key}") for m in self.sent if m.key == message.key), None)

    pause: ChannelPause | None = None

    async def aclose(self) -> None:
        pass


@dataclass
class OutboundDesk:
    """What tests do with the messages of a project. `mail` is its e-mail channel."""

    db: Database
    scope: Scope
    conn: psycopg.Connection
    mail: FakeChannel = field(default_factory=FakeChannel)
    options: DeliveryOptions = field(default_factory=lambda: DeliveryOptions(4, 60, RetryBackoff(3600, 3600)))

    async def draft(self, recipient: str = LUIS, **more: Any) -> OutboundMessage:
        values: dict[str, Any] = {
            "channel": "email",
            "payload": {"subject": "News", "text": "Hello"},
            "idempotency_key": f"key {next(NUMBERS)}",
        }
        message, _ = await drafts.create(self.db, self.scope, DraftRequest(recipient_ref=recipient, **(values | more)))
        return message

    async def approve_new(self, recipient: str = LUIS, **more: Any) -> OutboundMessage:
        message = await self.draft(recipient, **more)
        return await approval.approve(self.db, self.scope, message.id)

    async def process(self, limit: int | None = None) -> DeliveryTotals:
        return await delivery.process_due(self.db, self.scope, {"email": self.mail}, self.options, limit)

    async def send(self, message: OutboundMessage) -> OutboundMessage:
        return await delivery.send_now(self.db, self.scope, {"email": self.mail}, self.options, message.id)

    async def read(self, message: OutboundMessage) -> OutboundMessage:
        return await messages.get_message(self.db, self.scope, message.id)

    async def attempts(self, message: OutboundMessage) -> list[DeliveryAttempt]:
        return (await messages.get_details(self.db, self.scope, message.id)).attempts

    async def actions(self, message: OutboundMessage) -> list[str]:
        return [e.action for e in (await messages.get_details(self.db, self.scope, message.id)).history]

    async def policy(self, contact: str = LUIS, **change: Any) -> Policy:
        reason = change.pop("reason", None)
        return await policies.change_policy(
            self.db, self.scope, contact, "email", PolicyUpdate(**change), reason=reason
        )

    def as_user(self, name: str) -> Scope:
        return replace(self.scope, actor=Actor(name, None, False, None))

    def contact(self, number: int = 12) -> str:
        return f"cwc:{self.scope.project_id}:{stories.ACCOUNT}:{number}"

    def conversation(self, number: int = 102) -> str:
        return f"cw:{self.scope.project_id}:{stories.ACCOUNT}:{number}"

    def advance_time(self, hours: float) -> None:
        """Move all stored times of outbound into the past."""
        for table, columns in (
            ("contact_channel_policies", ["window_started_at", "last_inbound_at", "last_outbound_at"]),
            ("outbound_messages", ["next_attempt_at", "approved_at", "scheduled_at"]),
        ):
            changes = ", ".join(f"{c} = {c} - %(by)s" for c in columns)
            condition = "" if table != "outbound_messages" else " WHERE status <> 'sent'"
            self.conn.execute(f"UPDATE {table} SET {changes}{condition}".encode(), {"by": timedelta(hours=hours)})
        self.conn.execute(
            "UPDATE outbound_attempts SET lease_until = lease_until - %s WHERE outcome IS NULL",
            [timedelta(hours=hours)],
        )

    def receive_message(self, conversation: int, text: str = "Please wait", at: datetime | None = None) -> None:
        """Store a message of the contact of a conversation, now or at a time."""
        self.conn.execute(
            "INSERT INTO cw_messages (project_id, account_scope_id, account_id, message_id, conversation_id, inbox_id,"
            " message_type, content_type, content, private, deleted, sender_type, content_attributes, attachments,"
            " created_at) VALUES (%s, %s, %s, %s, %s, 1, 'incoming', 'text', %s, false, false, 'contact', '{}', '[]',"
            " coalesce(%s, clock_timestamp()))",
            [
                self.scope.project_id,
                self.scope.account_scope_id,
                stories.ACCOUNT,
                900_000 + next(NUMBERS),
                conversation,
                text,
                at,
            ],
        )

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.conn.execute(statement.encode(), values).fetchall()

    def fetch_count(self, statement: str) -> int:
        return self.rows(statement)[0][0]


def refuse_with(message: str = "Busy", **how: Any) -> Behaviour:
    """Return the behaviour of a channel that refuses every message."""
    return lambda _: SendFailed(message, **how)


def message_ids(messages: list[ChannelMessage]) -> list[UUID]:
    """Return the ids of messages."""
    return [m.id for m in messages]
