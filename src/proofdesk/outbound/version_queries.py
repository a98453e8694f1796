"""SQL of edits: the present content of a message, and the versions that edits replaced."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_value
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class MessageVersion:
    """An earlier version of a message, and who replaced it. `status` is the state in which it was replaced."""

    number: int
    recipient_ref: str
    payload: dict[str, Any]
    evidence_refs: list[dict[str, Any]]
    scheduled_at: datetime | None
    content_hash: str
    status: str
    replaced_by: str
    replaced_at: datetime


@dataclass(frozen=True)
class MessageContent:
    """What an edit can change."""

    recipient_ref: str
    payload: dict[str, Any]
    evidence_refs: list[dict[str, Any]]
    scheduled_at: datetime | None


async def fetch_versions(conn: Conn, scope: Scope, outbound_id: UUID) -> list[MessageVersion]:
    """Return the earlier versions of a message, the oldest first."""
    return await fetch_all(
        conn,
        MessageVersion,
        """
        SELECT number, recipient_ref, payload, evidence_refs, scheduled_at, encode(content_hash, 'hex') AS content_hash,
               status, replaced_by, replaced_at
        FROM outbound_versions WHERE project_id = %(project)s AND outbound_id = %(id)s ORDER BY number""",
        project=scope.project_id,
        id=outbound_id,
    )


async def fetch_author(conn: Conn, scope: Scope, outbound_id: UUID) -> str | None:
    """Return who wrote the present content of a message: the last editor, or else who drafted it."""
    return await fetch_value(
        conn,
        """
        SELECT coalesce((SELECT v.replaced_by FROM outbound_versions v
                         WHERE v.project_id = o.project_id AND v.outbound_id = o.id ORDER BY number DESC LIMIT 1),
                        o.created_by)
        FROM outbound_messages o WHERE o.project_id = %(project)s AND o.id = %(id)s""",
        project=scope.project_id,
        id=outbound_id,
    )


async def keep_version(conn: Conn, scope: Scope, outbound_id: UUID) -> int:
    """Keep the present content of a locked message as a version; return its number."""
    return await fetch_value(
        conn,
        """
        INSERT INTO outbound_versions (project_id, account_scope_id, outbound_id, number, recipient_ref, payload,
                                       evidence_refs, scheduled_at, content_hash, status, replaced_by)
        SELECT o.project_id, o.account_scope_id, o.id,
               1 + (SELECT count(*) FROM outbound_versions v
                    WHERE v.project_id = o.project_id AND v.outbound_id = o.id),
               o.recipient_ref, o.payload, o.evidence_refs, o.scheduled_at, o.content_hash, o.status, %(by)s
        FROM outbound_messages o WHERE o.project_id = %(project)s AND o.id = %(id)s
        RETURNING number""",
        project=scope.project_id,
        id=outbound_id,
        by=scope.actor.username,
    )


async def replace_content(conn: Conn, scope: Scope, outbound_id: UUID, content: MessageContent) -> None:
    """Replace the content of a message, which becomes a draft."""
    await execute(
        conn,
        """
        UPDATE outbound_messages
        SET recipient_ref = %(recipient)s, payload = %(payload)s, evidence_refs = %(refs)s,
            scheduled_at = %(scheduled)s, status = 'draft'
        WHERE project_id = %(project)s AND id = %(id)s""",
        project=scope.project_id,
        id=outbound_id,
        recipient=content.recipient_ref,
        payload=Jsonb(content.payload),
        refs=Jsonb(content.evidence_refs),
        scheduled=content.scheduled_at,
    )
