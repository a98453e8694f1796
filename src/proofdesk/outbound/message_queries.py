"""SQL that reads and locks messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from proofdesk.database.rows import Conn, fetch_all, fetch_value
from proofdesk.outbound.delivery_report import DeliveryReport
from proofdesk.projects.scope import Scope

HIDDEN_FIELDS = ("policy_ids", "delivery_status", "delivery_error", "delivery_via", "delivery_at")
"""Fields of a message that the API and commands do not show."""


@dataclass(frozen=True)
class OutboundMessage:
    """A message. `content_hash` is in hex. Without `next_attempt_at` nothing happens until a person acts."""

    id: UUID
    project_id: UUID
    account_scope_id: UUID
    channel: str
    recipient_ref: str
    payload: dict[str, Any]
    content_hash: str
    evidence_refs: list[dict[str, Any]]
    status: str
    idempotency_key: str
    dedupe_key: str | None
    retry_count: int
    max_retries: int
    scheduled_at: datetime | None
    next_attempt_at: datetime | None
    created_by: str
    assigned_to: str | None
    approved_by: str | None
    approved_at: datetime | None
    cancelled_by: str | None
    cancelled_at: datetime | None
    sent_at: datetime | None
    last_error: str | None
    policy_ids: list[UUID]
    created_at: datetime
    updated_at: datetime
    delivery_status: str | None = None
    delivery_error: str | None = None
    delivery_via: str | None = None
    delivery_at: datetime | None = None

    @property
    def delivery(self) -> DeliveryReport | None:
        """What the channel behind Chatwoot reported; None for channels without reports."""
        if self.delivery_status is None:
            return None
        return DeliveryReport(self.delivery_status, self.delivery_error, self.delivery_at, self.delivery_via)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that the API and commands show."""
        shown = {name: value for name, value in vars(self).items() if name not in HIDDEN_FIELDS}
        return shown | {"delivery": self.delivery and self.delivery.fields}


@dataclass(frozen=True)
class OutboundFilter:
    """Which messages to list: `pattern` is for LIKE over id, recipient, content and keys. None lists all."""

    status: str | None = None
    channel: str | None = None
    pattern: str | None = None
    delivery: str | None = None
    assigned_to: str | None = None


async def fetch_messages(conn: Conn, scope: Scope, outbound_ids: Sequence[UUID]) -> list[OutboundMessage]:
    """Return these messages, in the order of their ids in the list."""
    return await fetch_all(
        conn,
        OutboundMessage,
        """
        SELECT o.id, o.project_id, o.account_scope_id, o.channel, o.recipient_ref, o.payload,
               encode(o.content_hash, 'hex') AS content_hash, o.evidence_refs, o.status, o.idempotency_key,
               o.dedupe_key, o.retry_count, o.max_retries, o.scheduled_at, o.next_attempt_at, o.created_by,
               o.assigned_to, o.approved_by, o.approved_at, o.cancelled_by, o.cancelled_at, o.sent_at, o.last_error,
               o.policy_ids, o.created_at, o.updated_at, d.status AS delivery_status, d.error AS delivery_error,
               d.via AS delivery_via, d.reported_at AS delivery_at
        FROM outbound_messages o
        LEFT JOIN outbound_deliveries d ON d.project_id = o.project_id AND d.outbound_id = o.id
        WHERE o.project_id = %(project)s AND o.id = ANY (%(ids)s) ORDER BY array_position(%(ids)s, o.id)""",
        project=scope.project_id,
        ids=list(outbound_ids),
    )


async def fetch_message_page(
    conn: Conn, scope: Scope, message_filter: OutboundFilter, limit: int, offset: int
) -> list[OutboundMessage]:
    """Return messages, the newest first."""
    return await fetch_all(
        conn,
        OutboundMessage,
        """
        SELECT o.id, o.project_id, o.account_scope_id, o.channel, o.recipient_ref, o.payload,
               encode(o.content_hash, 'hex') AS content_hash, o.evidence_refs, o.status, o.idempotency_key,
               o.dedupe_key, o.retry_count, o.max_retries, o.scheduled_at, o.next_attempt_at, o.created_by,
               o.assigned_to, o.approved_by, o.approved_at, o.cancelled_by, o.cancelled_at, o.sent_at, o.last_error,
               o.policy_ids, o.created_at, o.updated_at, d.status AS delivery_status, d.error AS delivery_error,
               d.via AS delivery_via, d.reported_at AS delivery_at
        FROM outbound_messages o
        LEFT JOIN outbound_deliveries d ON d.project_id = o.project_id AND d.outbound_id = o.id
        WHERE o.project_id = %(project)s
          AND (%(status)s::text IS NULL OR o.status = %(status)s)
          AND (%(channel)s::text IS NULL OR o.channel = %(channel)s)
          AND (%(delivery)s::text IS NULL OR d.status = %(delivery)s)
          AND (%(assigned_to)s::text IS NULL OR o.assigned_to = %(assigned_to)s)
          AND (%(pattern)s::text IS NULL
               OR concat_ws(' ', o.id, recipient_ref, payload, idempotency_key, dedupe_key) ILIKE %(pattern)s)
        ORDER BY o.created_at DESC, o.id LIMIT %(limit)s OFFSET %(offset)s""",
        project=scope.project_id,
        status=message_filter.status,
        channel=message_filter.channel,
        pattern=message_filter.pattern,
        delivery=message_filter.delivery,
        assigned_to=message_filter.assigned_to,
        limit=limit,
        offset=offset,
    )


async def lock_message(conn: Conn, scope: Scope, outbound_id: UUID) -> bool:
    """Lock a message until the transaction ends; return False when it does not exist."""
    return bool(
        await fetch_value(
            conn,
            """
            SELECT true FROM outbound_messages WHERE project_id = %(project)s AND id = %(id)s FOR UPDATE""",
            project=scope.project_id,
            id=outbound_id,
        )
    )
