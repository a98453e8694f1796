"""SQL of the notifications about incidents. Each is written before it is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, execute, fetch_all, to_plain
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class NewNotification:
    """A notification to send. `number` says which opening, reminder or closing of the incident it is about."""

    incident_id: UUID
    shared: bool
    channel: str
    kind: str
    number: int


@dataclass(frozen=True)
class ClaimedNotification:
    """A notification that this process sends, and the incident that it is about. `project` is empty if it is shared."""

    id: UUID
    channel: str
    kind: str
    attempts: int
    incident_id: UUID
    project: str
    runbook: str
    check: str
    title: str
    cause: str
    fix: dict[str, Any]
    evidence: list[dict[str, Any]]
    reopened: int
    opened_at: datetime
    closed_at: datetime | None


async def insert_notifications(conn: Conn, scope: Scope, notifications: Sequence[NewNotification]) -> None:
    """Insert notifications to send."""
    await execute(
        conn,
        """
        INSERT INTO incident_notifications (project_id, account_scope_id, incident_id, channel, kind, number, status)
        SELECT CASE WHEN NOT r.shared THEN %(project)s END, CASE WHEN NOT r.shared THEN %(account_scope)s END,
               r.incident_id, r.channel, r.kind, r.number, 'pending'
        FROM jsonb_to_recordset(%(rows)s) AS r (incident_id uuid, shared boolean, channel text, kind text,
                                                number integer)
        ON CONFLICT DO NOTHING""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        rows=Jsonb([to_plain(row) for row in notifications]),
    )


async def cancel_unsent(conn: Conn, scope: Scope, incident_ids: Sequence[UUID]) -> None:
    """Cancel the notifications about incidents that have ended before they were sent."""
    await execute(
        conn,
        """
        UPDATE incident_notifications SET status = 'cancelled'
        WHERE (project_id = %(project)s OR project_id IS NULL) AND incident_id = ANY(%(incidents)s)
          AND status = 'pending'""",
        project=scope.project_id,
        incidents=list(incident_ids),
    )


async def insert_closings(conn: Conn, scope: Scope, incident_ids: Sequence[UUID]) -> None:
    """Insert a notification about the end of incidents for each channel that was notified of them."""
    await execute(
        conn,
        """
        INSERT INTO incident_notifications (project_id, account_scope_id, incident_id, channel, kind, number, status)
        SELECT DISTINCT i.project_id, i.account_scope_id, i.id, n.channel, 'closed', i.reopened + 1, 'pending'
        FROM incidents i JOIN incident_notifications n
            ON n.project_id IS NOT DISTINCT FROM i.project_id AND n.incident_id = i.id
        WHERE (i.project_id = %(project)s OR i.project_id IS NULL) AND i.id = ANY(%(incidents)s)
          AND n.status IN ('sent', 'sending')
        ON CONFLICT DO NOTHING""",
        project=scope.project_id,
        incidents=list(incident_ids),
    )


async def claim_notifications(conn: Conn, scope: Scope, lease: float, limit: int) -> list[ClaimedNotification]:
    """Take notifications to send, the oldest first. One that a process took more than `lease` seconds ago is free."""
    return await fetch_all(
        conn,
        ClaimedNotification,
        """
        WITH free AS (
            SELECT project_id, id FROM incident_notifications
            WHERE (project_id = %(project)s OR project_id IS NULL)
              AND ((status = 'pending' AND retry_at <= now())
                   OR (status = 'sending' AND claimed_at < now() - make_interval(secs => %(lease)s)))
            ORDER BY created_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
        UPDATE incident_notifications n
        SET status = 'sending', attempts = attempts + 1, claimed_at = now()
        FROM free, incidents i LEFT JOIN projects p ON p.id = i.project_id
        WHERE n.project_id IS NOT DISTINCT FROM free.project_id AND n.id = free.id
          AND i.project_id IS NOT DISTINCT FROM free.project_id AND i.id = n.incident_id
        RETURNING n.id, n.channel, n.kind, n.attempts, n.incident_id, coalesce(p.name, '') AS project, i.runbook,
                  i.check_id AS "check", i.title, i.cause, i.fix, i.evidence, i.reopened, i.opened_at, i.closed_at""",
        project=scope.project_id,
        lease=lease,
        limit=limit,
    )


async def settle_notification(
    conn: Conn, scope: Scope, notification_id: UUID, attempt: int, error: str | None, retry_after: float | None
) -> None:
    """Store how an attempt ended: sent without an error, to be tried again in `retry_after` seconds, or failed."""
    await execute(
        conn,
        """
        UPDATE incident_notifications
        SET status = CASE WHEN %(error)s::text IS NULL THEN 'sent'
                          WHEN %(retry_after)s::float IS NOT NULL THEN 'pending' ELSE 'failed' END,
            sent_at = CASE WHEN %(error)s::text IS NULL THEN now() END, error = %(error)s,
            retry_at = now() + make_interval(secs => coalesce(%(retry_after)s, 0))
        WHERE (project_id = %(project)s OR project_id IS NULL) AND id = %(id)s AND status = 'sending'
          AND attempts = %(attempt)s""",
        project=scope.project_id,
        id=notification_id,
        attempt=attempt,
        error=error,
        retry_after=retry_after,
    )
