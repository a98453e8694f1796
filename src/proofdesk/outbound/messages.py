"""Messages as they are read: lists, and one with all that is known about it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from proofdesk.audit import chain
from proofdesk.audit import queries as audit
from proofdesk.audit.queries import AuditEvent
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn, like_pattern
from proofdesk.errors import Conflict, NotFound
from proofdesk.evidence import references
from proofdesk.outbound import gates, message_count_queries, message_queries, policies
from proofdesk.outbound.delivery import attempt_queries
from proofdesk.outbound.delivery.attempt_queries import DeliveryAttempt
from proofdesk.outbound.gates import Policy
from proofdesk.outbound.message_queries import OutboundFilter, OutboundMessage
from proofdesk.projects.scope import Scope

STATES = ("draft", "approved", "sending", "sent", "failed", "blocked_opt_out", "cancelled")
ENTITY_TYPE = "outbound_message"
_MOST_EVENTS = 500


class OutboundNotFound(NotFound):
    """The project has no such message."""

    code = "outbound_not_found"


class InvalidState(Conflict):
    """The message is not in a state that allows this."""

    code = "outbound_invalid_state"

    def __init__(self, message: str, found: OutboundMessage, **details: Any):
        super().__init__(message, details={"status": found.status, "last_error": found.last_error, **details})


@dataclass(frozen=True)
class MessageDetails:
    """A message with every attempt to deliver it, what its recipient allows now, and who did what about it."""

    outbound: OutboundMessage
    attempts: list[DeliveryAttempt]
    policy: Policy | None
    history: list[AuditEvent]


def build_filter(
    status: str | None = None, channel: str | None = None, words: str | None = None, delivery: str | None = None
) -> OutboundFilter:
    """Which messages: `words` are looked for in all they say, `delivery` is what Chatwoot's channel reported."""
    return OutboundFilter(status or None, channel or None, like_pattern(words), delivery or None)


async def list_messages(
    db: Database, scope: Scope, message_filter: OutboundFilter, limit: int, offset: int
) -> tuple[list[OutboundMessage], int]:
    """Messages, the newest first, and how many there are in all."""
    async with db.scoped(scope) as conn:
        found = await message_queries.fetch_message_page(conn, scope, message_filter, limit, offset)
        states = await _by_state(conn, scope, message_filter)
    return found, states.get(message_filter.status, 0) if message_filter.status else sum(states.values())


async def count_by_state(
    db: Database, scope: Scope, channel: str | None = None, words: str | None = None
) -> dict[str, int]:
    """How many messages are in each of the states."""
    async with db.scoped(scope) as conn:
        return dict.fromkeys(STATES, 0) | await _by_state(
            conn, scope, OutboundFilter(None, channel, like_pattern(words))
        )


async def count_undelivered(db: Database, scope: Scope, channel: str | None = None) -> int:
    """How many messages Chatwoot took and its channel failed to deliver."""
    async with db.scoped(scope) as conn:
        return await message_count_queries.count_undelivered(conn, scope, channel)


async def _by_state(conn: Conn, scope: Scope, asked: OutboundFilter) -> dict[str, int]:
    if asked.pattern is None and asked.delivery is None:
        found = await message_count_queries.count_by_state(conn, scope, asked.channel)
    else:
        found = await message_count_queries.count_matching_by_state(conn, scope, asked)
    return {each.status: each.messages for each in found}


async def get_message(db: Database, scope: Scope, outbound_id: UUID) -> OutboundMessage:
    """A message. Raises `OutboundNotFound`."""
    async with db.scoped(scope) as conn:
        return await read_message(conn, scope, outbound_id)


async def get_details(db: Database, scope: Scope, outbound_id: UUID) -> MessageDetails:
    """All that is known about a message. Raises `OutboundNotFound`."""
    async with db.scoped(scope) as conn:
        found = await read_message(conn, scope, outbound_id)
        attempts = await attempt_queries.fetch_attempts(conn, scope, outbound_id)
        allowed = await policies.load_policies(conn, scope, found.channel, found.recipient_ref)
    about = audit.AuditFilter(entity_type=ENTITY_TYPE, entity_id=str(outbound_id))
    history = await chain.list_events(db, scope, scope.actor, about, _MOST_EVENTS, 0)
    history = await references.add_snippets(db, scope, history)
    return MessageDetails(found, attempts, effective_policy(allowed), history[::-1])


async def read_message(conn: Conn, scope: Scope, outbound_id: UUID) -> OutboundMessage:
    """A message, in the transaction of the caller. Raises `OutboundNotFound`."""
    found = await message_queries.fetch_messages(conn, scope, [outbound_id])
    if not found:
        raise OutboundNotFound("This project has no such message.")
    return found[0]


async def lock_message(conn: Conn, scope: Scope, outbound_id: UUID) -> OutboundMessage:
    """A message, locked until the transaction of the caller ends. Raises `OutboundNotFound`."""
    await message_queries.lock_message(conn, scope, outbound_id)
    return await read_message(conn, scope, outbound_id)


def effective_policy(allowed: list[Policy]) -> Policy | None:
    """What a recipient allows, as of now; None when he was never met."""
    now = datetime.now(UTC)
    return gates.close_expired_window(gates.combine_policies(allowed, now), now) if allowed else None
