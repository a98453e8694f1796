"""SQL of drafts and the keys that make them unique."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, fetch_optional, fetch_value
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class DraftRecord:
    """The columns of a new draft. `request_hash` covers the whole request."""

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
class DraftKey:
    """The message that holds an idempotency key."""

    id: UUID
    request_hash: bytes


async def insert_draft(conn: Conn, scope: Scope, draft: DraftRecord) -> DraftKey | None:
    """Insert a draft; return None when another message holds one of its keys."""
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
    """Return the message that holds this idempotency key."""
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
    """Return the id of the message that holds this dedupe key."""
    return await fetch_value(
        conn,
        """
        SELECT id FROM outbound_messages
        WHERE project_id = %(project)s AND dedupe_key = %(key)s AND status NOT IN ('blocked_opt_out', 'cancelled')""",
        project=scope.project_id,
        key=dedupe_key,
    )
