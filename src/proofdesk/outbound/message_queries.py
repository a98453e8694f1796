"""SQL of messages: drafted, shown, decided about by people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_optional, fetch_value
from proofdesk.outbound.delivery_report import DeliveryReport
from proofdesk.projects.scope import Scope


HIDDEN_FIELDS = ("policy_ids", "delivery_status", "delivery_error", "delivery_via", "delivery_at")
"""Fields of a message that the API and commands do not show."""


@dataclass(frozen=True)
class OutboundMessage:
    """A message. `content_hash` is in hex; without `next_attempt_at`, nothing happens until a person acts."""

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
        """What became of it after Chatwoot took it; None where nobody reports that."""
        if self.delivery_status is None:
            return None
        return DeliveryReport(self.delivery_status, self.delivery_error, self.delivery_at, self.delivery_via)

    @property
    def fields(self) -> dict[str, Any]:
        """What the API and commands show of it."""
        shown = {name: value for name, value in vars(self).items() if name not in HIDDEN_FIELDS}
        return shown | {"delivery": self.delivery and self.delivery.fields}


@dataclass(frozen=True)
class DraftRecord:
    """What a draft is made of. `request_hash` is over all that was asked for."""

    channel: str
    recipient_ref: str
    payload: dict[str, Any]
    idempotency_key: str
    dedupe_key: str | None
    max_retries: int
    scheduled_at: datetime | None
    evidence_refs: list[dict[str, Any]]
    request_hash: bytes


@dataclass(frozen=True)
class OutboundFilter:
    """Which messages: `pattern` is for LIKE, over id, recipient, content and keys; None asks for all."""

    status: str | None = None
    channel: str | None = None
    pattern: str | None = None
    delivery: str | None = None


@dataclass(frozen=True)
class DraftKey:
    """The message that has a key."""

    id: UUID
    request_hash: bytes


async def insert_draft(conn: Conn, scope: Scope, draft: DraftRecord) -> DraftKey | None:
    """A new draft; None while another message has one of its keys."""
    return await fetch_optional(
        conn,
        DraftKey,
        """
        INSERT INTO outbound_messages (project_id, account_scope_id, channel, recipient_ref, payload, idempotency_key,
                                       dedupe_key, max_retries, scheduled_at, evidence_refs, request_hash, created_by)
        VALUES (%(project)s, %(account_scope)s, %(channel)s, %(recipient)s, %(payload)s, %(key)s,
                %(dedupe)s, %(max_retries)s, %(scheduled)s, %(refs)s, %(hash)s, %(by)s)
        ON CONFLICT DO NOTHING RETURNING id, request_hash""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        channel=draft.channel,
        recipient=draft.recipient_ref,
        payload=Jsonb(draft.payload),
        key=draft.idempotency_key,
        dedupe=draft.dedupe_key,
        max_retries=draft.max_retries,
        scheduled=draft.scheduled_at,
        refs=Jsonb(draft.evidence_refs),
        hash=draft.request_hash,
        by=scope.actor.username,
    )


async def fetch_by_idempotency_key(conn: Conn, scope: Scope, idempotency_key: str) -> DraftKey | None:
    """The message that has this idempotency key."""
    return await fetch_optional(
        conn,
        DraftKey,
        """
        SELECT id, request_hash FROM outbound_messages
        WHERE project_id = %(project)s AND idempotency_key = %(key)s""",
        project=scope.project_id,
        key=idempotency_key,
    )


async def fetch_id_by_dedupe_key(conn: Conn, scope: Scope, dedupe_key: str) -> UUID | None:
    """The message that holds this dedupe key."""
    return await fetch_value(
        conn,
        """
        SELECT id FROM outbound_messages
        WHERE project_id = %(project)s AND dedupe_key = %(key)s AND status NOT IN ('blocked_opt_out', 'cancelled')""",
        project=scope.project_id,
        key=dedupe_key,
    )


async def fetch_messages(conn: Conn, scope: Scope, outbound_ids: Sequence[UUID]) -> list[OutboundMessage]:
    """These messages, what is due first before what is due later."""
    return await fetch_all(
        conn,
        OutboundMessage,
        """
        SELECT o.id, o.project_id, o.account_scope_id, o.channel, o.recipient_ref, o.payload,
               encode(o.content_hash, 'hex') AS content_hash, o.evidence_refs, o.status, o.idempotency_key,
               o.dedupe_key, o.retry_count, o.max_retries, o.scheduled_at, o.next_attempt_at, o.created_by,
               o.approved_by, o.approved_at, o.cancelled_by, o.cancelled_at, o.sent_at, o.last_error, o.policy_ids,
               o.created_at, o.updated_at, d.status AS delivery_status, d.error AS delivery_error,
               d.via AS delivery_via, d.reported_at AS delivery_at
        FROM outbound_messages o
        LEFT JOIN outbound_deliveries d ON d.project_id = o.project_id AND d.outbound_id = o.id
        WHERE o.project_id = %(project)s AND o.id = ANY (%(ids)s) ORDER BY o.next_attempt_at, o.id""",
        project=scope.project_id,
        ids=list(outbound_ids),
    )


async def fetch_message_page(
    conn: Conn, scope: Scope, message_filter: OutboundFilter, limit: int, offset: int
) -> list[OutboundMessage]:
    """Messages, the newest first."""
    return await fetch_all(
        conn,
        OutboundMessage,
        """
        SELECT o.id, o.project_id, o.account_scope_id, o.channel, o.recipient_ref, o.payload,
               encode(o.content_hash, 'hex') AS content_hash, o.evidence_refs, o.status, o.idempotency_key,
               o.dedupe_key, o.retry_count, o.max_retries, o.scheduled_at, o.next_attempt_at, o.created_by,
               o.approved_by, o.approved_at, o.cancelled_by, o.cancelled_at, o.sent_at, o.last_error, o.policy_ids,
               o.created_at, o.updated_at, d.status AS delivery_status, d.error AS delivery_error,
               d.via AS delivery_via, d.reported_at AS delivery_at
        FROM outbound_messages o
        LEFT JOIN outbound_deliveries d ON d.project_id = o.project_id AND d.outbound_id = o.id
        WHERE o.project_id = %(project)s
          AND (%(status)s::text IS NULL OR o.status = %(status)s)
          AND (%(channel)s::text IS NULL OR o.channel = %(channel)s)
          AND (%(delivery)s::text IS NULL OR d.status = %(delivery)s)
          AND (%(pattern)s::text IS NULL
               OR concat_ws(' ', o.id, recipient_ref, payload, idempotency_key, dedupe_key) ILIKE %(pattern)s)
        ORDER BY o.created_at DESC, o.id LIMIT %(limit)s OFFSET %(offset)s""",
        project=scope.project_id,
        status=message_filter.status,
        channel=message_filter.channel,
        pattern=message_filter.pattern,
        delivery=message_filter.delivery,
        limit=limit,
        offset=offset,
    )


async def lock_message(conn: Conn, scope: Scope, outbound_id: UUID) -> bool:
    """Lock a message until the transaction ends; False when there is none."""
    return bool(
        await fetch_value(
            conn,
            """
            SELECT true FROM outbound_messages WHERE project_id = %(project)s AND id = %(id)s FOR UPDATE""",
            project=scope.project_id,
            id=outbound_id,
        )
    )


async def approve_draft(conn: Conn, scope: Scope, outbound_id: UUID) -> bool:
    """Approve a draft as it is; False when it is none."""
    return bool(
        await execute(
            conn,
            """
            UPDATE outbound_messages
            SET status = 'approved', approved_by = %(by)s, approved_at = clock_timestamp(),
                approved_hash = content_hash, next_attempt_at = coalesce(scheduled_at, clock_timestamp())
            WHERE project_id = %(project)s AND id = %(id)s AND status = 'draft'""",
            project=scope.project_id,
            id=outbound_id,
            by=scope.actor.username,
        )
    )


async def cancel_message(conn: Conn, scope: Scope, outbound_id: UUID) -> bool:
    """Cancel what is not out yet nor on its way; False when that cannot be."""
    return bool(
        await execute(
            conn,
            """
            UPDATE outbound_messages
            SET status = 'cancelled', cancelled_by = %(by)s, cancelled_at = now(), next_attempt_at = NULL
            WHERE project_id = %(project)s AND id = %(id)s AND status IN ('draft', 'approved', 'failed')""",
            project=scope.project_id,
            id=outbound_id,
            by=scope.actor.username,
        )
    )


async def retry_message(conn: Conn, scope: Scope, outbound_id: UUID) -> bool:
    """Let a failed message be sent again, with all its retries, on the approval it has; False when it did not fail.

    So may one that waits for its provider: it is tried at once.
    """
    return bool(
        await execute(
            conn,
            """
            UPDATE outbound_messages
            SET status = 'approved', retry_count = 0, next_attempt_at = greatest(scheduled_at, now())
            WHERE project_id = %(project)s AND id = %(id)s
              AND (status = 'failed' OR (status = 'approved' AND last_error LIKE 'provider_error: %%'))""",
            project=scope.project_id,
            id=outbound_id,
        )
    )


async def redraft_message(conn: Conn, scope: Scope, outbound_id: UUID) -> bool:
    """Make a draft again of what failed, was blocked or cancelled; False when it is none of these.

    Raises `UniqueViolation` when another message has its dedupe key by now.
    """
    return bool(
        await execute(
            conn,
            """
            UPDATE outbound_messages SET status = 'draft'
            WHERE project_id = %(project)s AND id = %(id)s AND status IN ('failed', 'blocked_opt_out', 'cancelled')""",
            project=scope.project_id,
            id=outbound_id,
        )
    )
