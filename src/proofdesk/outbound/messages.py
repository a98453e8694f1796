"""Messages: lists, counts, and one message with everything that belongs to it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from proofdesk.audit import chain
from proofdesk.audit.queries import AuditEvent, AuditFilter
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn, like_pattern
from proofdesk.errors import Conflict, NotFound
from proofdesk.evidence import references
from proofdesk.outbound import gates, message_count_queries, message_queries, policies, version_queries
from proofdesk.outbound.delivery import attempt_queries
from proofdesk.outbound.delivery.attempt_queries import DeliveryAttempt
from proofdesk.outbound.gates import Policy
from proofdesk.outbound.message_queries import OutboundFilter, OutboundMessage
from proofdesk.outbound.version_queries import MessageVersion
from proofdesk.projects.scope import Scope

STATES = ("draft", "approved", "sending", "sent", "failed", "blocked_opt_out", "cancelled")
ENTITY_TYPE = "outbound_message"
_MAX_EVENTS = 500


class OutboundNotFound(NotFound):
    """The project has no such message."""

    code = "outbound_not_found"


class InvalidState(Conflict):
    """The state of the message does not allow this."""

    code = "outbound_invalid_state"

    def __init__(self, text: str, message: OutboundMessage, **details: Any):
        super().__init__(text, details={"status": message.status, "last_error": message.last_error, **details})


def name_by_status(message: OutboundMessage) -> str:
    """Return "An approved message", "A blocked message"."""
    word = message.status.partition("_")[0]
    return f"{'An' if word == 'approved' else 'A'} {word} message"


@dataclass(frozen=True)
class MessageDetails:
    """A message with its attempts, the present policy of its recipient, its audit events and its earlier versions.

    The oldest event and the oldest version are first.
    """

    outbound: OutboundMessage
    attempts: list[DeliveryAttempt]
    policy: Policy | None
    history: list[AuditEvent]
    versions: list[MessageVersion]


def build_filter(
    status: str | None = None,
    channel: str | None = None,
    words: str | None = None,
    delivery: str | None = None,
    assigned_to: str | None = None,
) -> OutboundFilter:
    """Return a filter: `words` stand in recipient, content or keys; `delivery` is what Chatwoot's channel reported."""
    return OutboundFilter(status or None, channel or None, like_pattern(words), delivery or None, assigned_to or None)


async def list_messages(
    db: Database, scope: Scope, message_filter: OutboundFilter, limit: int, offset: int
) -> tuple[list[OutboundMessage], int]:
    """Return messages, the newest first, and the total number."""
    async with db.scoped(scope) as conn:
        page = await message_queries.fetch_message_page(conn, scope, message_filter, limit, offset)
        counts = await _count_by_state(conn, scope, message_filter)
    total = counts.get(message_filter.status, 0) if message_filter.status else sum(counts.values())
    return page, total


async def count_by_state(
    db: Database, scope: Scope, channel: str | None = None, words: str | None = None
) -> dict[str, int]:
    """Return the number of messages in each state."""
    async with db.scoped(scope) as conn:
        counts = await _count_by_state(conn, scope, build_filter(channel=channel, words=words))
    return dict.fromkeys(STATES, 0) | counts


async def count_assigned(db: Database, scope: Scope) -> int:
    """Return the number of drafts that the actor is asked to approve."""
    async with db.scoped(scope) as conn:
        return await message_count_queries.count_assigned(conn, scope)


async def count_undelivered(db: Database, scope: Scope, channel: str | None = None) -> int:
    """Return the number of messages that Chatwoot accepted and its channel failed to deliver."""
    async with db.scoped(scope) as conn:
        return await message_count_queries.count_undelivered(conn, scope, channel)


async def _count_by_state(conn: Conn, scope: Scope, message_filter: OutboundFilter) -> dict[str, int]:
    if message_filter.pattern is None and message_filter.delivery is None and message_filter.assigned_to is None:
        counts = await message_count_queries.count_by_state(conn, scope, message_filter.channel)
    else:
        counts = await message_count_queries.count_matching_by_state(conn, scope, message_filter)
    return {count.status: count.messages for count in counts}


async def get_message(db: Database, scope: Scope, outbound_id: UUID) -> OutboundMessage:
    """Return a message. Raises `OutboundNotFound`."""
    async with db.scoped(scope) as conn:
        return await read_message(conn, scope, outbound_id)


async def get_details(db: Database, scope: Scope, outbound_id: UUID) -> MessageDetails:
    """Return a message with everything that belongs to it. Raises `OutboundNotFound`."""
    async with db.scoped(scope) as conn:
        message = await read_message(conn, scope, outbound_id)
        attempts = await attempt_queries.fetch_attempts(conn, scope, outbound_id)
        recipient_policies = await policies.load_policies(conn, scope, message.channel, message.recipient_ref)
        versions = await version_queries.fetch_versions(conn, scope, outbound_id)
    event_filter = AuditFilter(entity_type=ENTITY_TYPE, entity_id=str(outbound_id))
    events = await chain.list_events(db, scope, scope.actor, event_filter, _MAX_EVENTS, 0)
    history = await references.add_snippets(db, scope, events)
    return MessageDetails(message, attempts, effective_policy(recipient_policies), history[::-1], versions)


async def read_message(conn: Conn, scope: Scope, outbound_id: UUID) -> OutboundMessage:
    """Return a message, in the transaction of the caller. Raises `OutboundNotFound`."""
    messages = await message_queries.fetch_messages(conn, scope, [outbound_id])
    if not messages:
        raise OutboundNotFound("This project has no such message.")
    return messages[0]


async def lock_message(conn: Conn, scope: Scope, outbound_id: UUID) -> OutboundMessage:
    """Lock a message until the transaction of the caller ends, and return it. Raises `OutboundNotFound`."""
    await message_queries.lock_message(conn, scope, outbound_id)
    return await read_message(conn, scope, outbound_id)


def effective_policy(policies: list[Policy]) -> Policy | None:
    """Return the policies of a recipient as one, as it is now; None without any."""
    now = datetime.now(UTC)
    return gates.close_expired_window(gates.combine_policies(policies, now), now) if policies else None
