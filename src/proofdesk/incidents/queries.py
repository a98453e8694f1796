"""SQL of incidents: those of the project, and those of the installation, which have no project."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_optional, fetch_value, to_plain
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class Incident:
    """A problem that a failing check reports. `shared`: it concerns the installation.

    `fix` has `label`, `command`, `method` and `path`; `evidence` the checks of the runbook that failed or warn.
    """

    id: UUID
    shared: bool
    runbook: str
    check: str
    title: str
    cause: str
    fix: dict[str, Any]
    evidence: list[dict[str, Any]]
    state: str
    failures: int
    passes: int
    reopened: int
    reminders: int
    observed_at: datetime
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    remind_at: datetime | None = None
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None


@dataclass(frozen=True)
class IncidentWithNotifications(Incident):
    """An incident and its notifications, the oldest first.

    Each has `channel`, `kind`, `status`, `error`, `created_at` and `sent_at`.
    """

    notifications: list[dict[str, Any]] = field(default_factory=list)


async def lock_incidents(conn: Conn) -> None:
    """Let one process at a time change incidents, until the transaction ends."""
    await execute(conn, "SELECT pg_advisory_xact_lock(hashtext('proofdesk.incidents'))")


async def list_current(conn: Conn, scope: Scope, since: datetime) -> list[Incident]:
    """Return the incidents that are not closed, and those that were closed since a time."""
    return await fetch_all(
        conn,
        Incident,
        """
        SELECT id, project_id IS NULL AS shared, runbook, check_id AS "check", title, cause, fix, evidence, state,
               failures, passes, reopened, reminders, observed_at, opened_at, closed_at, remind_at, acknowledged_by,
               acknowledged_at
        FROM incidents
        WHERE (project_id = %(project)s OR project_id IS NULL) AND (state <> 'closed' OR closed_at >= %(since)s)
        ORDER BY closed_at NULLS FIRST, observed_at DESC""",
        project=scope.project_id,
        since=since,
    )


async def store_incidents(conn: Conn, scope: Scope, incidents: Sequence[Incident]) -> None:
    """Insert or replace incidents."""
    await execute(
        conn,
        """
        INSERT INTO incidents (id, project_id, account_scope_id, runbook, check_id, title, cause, fix, evidence, state,
                               failures, passes, reopened, reminders, observed_at, opened_at, closed_at, remind_at,
                               acknowledged_by, acknowledged_at)
        SELECT r.id, CASE WHEN NOT r.shared THEN %(project)s END, CASE WHEN NOT r.shared THEN %(account_scope)s END,
               r.runbook, r."check", r.title, r.cause, r.fix, r.evidence, r.state, r.failures, r.passes, r.reopened,
               r.reminders, r.observed_at, r.opened_at, r.closed_at, r.remind_at, r.acknowledged_by, r.acknowledged_at
        FROM jsonb_to_recordset(%(rows)s) AS r (
            id uuid, shared boolean, runbook text, "check" text, title text, cause text, fix jsonb, evidence jsonb,
            state text, failures integer, passes integer, reopened integer, reminders integer, observed_at timestamptz,
            opened_at timestamptz, closed_at timestamptz, remind_at timestamptz, acknowledged_by text,
            acknowledged_at timestamptz)
        ON CONFLICT (project_id, id) DO UPDATE
        SET title = excluded.title, cause = excluded.cause, fix = excluded.fix, evidence = excluded.evidence,
            state = excluded.state, failures = excluded.failures, passes = excluded.passes,
            reopened = excluded.reopened, reminders = excluded.reminders, observed_at = excluded.observed_at,
            opened_at = excluded.opened_at, closed_at = excluded.closed_at, remind_at = excluded.remind_at,
            acknowledged_by = excluded.acknowledged_by, acknowledged_at = excluded.acknowledged_at""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        rows=Jsonb([to_plain(row) for row in incidents]),
    )


async def delete_suspicions(conn: Conn, scope: Scope, ids: Sequence[UUID]) -> None:
    """Delete incidents that were suspected only."""
    await execute(
        conn,
        """
        DELETE FROM incidents
        WHERE (project_id = %(project)s OR project_id IS NULL) AND state = 'suspected' AND id = ANY(%(ids)s)""",
        project=scope.project_id,
        ids=list(ids),
    )


async def list_incidents(
    conn: Conn, scope: Scope, state: str | None, limit: int, offset: int
) -> list[IncidentWithNotifications]:
    """Return open or closed incidents, or both: the open ones first, then the newest."""
    return await fetch_all(
        conn,
        IncidentWithNotifications,
        """
        SELECT i.id, i.project_id IS NULL AS shared, runbook, check_id AS "check", title, cause, fix, evidence, state,
               failures, passes, reopened, reminders, observed_at, opened_at, closed_at, remind_at, acknowledged_by,
               acknowledged_at, coalesce(n.notifications, '[]') AS notifications
        FROM incidents i
        LEFT JOIN LATERAL (
            SELECT jsonb_agg(jsonb_build_object(
                       'channel', channel, 'kind', kind, 'status', status, 'error', error,
                       'created_at', created_at, 'sent_at', sent_at) ORDER BY created_at, channel) AS notifications
            FROM incident_notifications
            WHERE project_id IS NOT DISTINCT FROM i.project_id AND incident_id = i.id) n ON true
        WHERE (i.project_id = %(project)s OR i.project_id IS NULL) AND state <> 'suspected'
          AND (%(state)s::text IS NULL OR state = %(state)s)
        ORDER BY state = 'closed', coalesce(closed_at, opened_at) DESC, i.id LIMIT %(limit)s OFFSET %(offset)s""",
        project=scope.project_id,
        state=state,
        limit=limit,
        offset=offset,
    )


async def count_incidents(conn: Conn, scope: Scope, state: str | None) -> int:
    """Count open or closed incidents, or both."""
    return await fetch_value(
        conn,
        """
        SELECT count(*) FROM incidents
        WHERE (project_id = %(project)s OR project_id IS NULL) AND state <> 'suspected'
          AND (%(state)s::text IS NULL OR state = %(state)s)""",
        project=scope.project_id,
        state=state,
    )


async def fetch_incident(conn: Conn, scope: Scope, incident_id: UUID) -> Incident | None:
    """Return an open or closed incident and lock it until the transaction ends."""
    return await fetch_optional(
        conn,
        Incident,
        """
        SELECT id, project_id IS NULL AS shared, runbook, check_id AS "check", title, cause, fix, evidence, state,
               failures, passes, reopened, reminders, observed_at, opened_at, closed_at, remind_at, acknowledged_by,
               acknowledged_at
        FROM incidents
        WHERE (project_id = %(project)s OR project_id IS NULL) AND id = %(incident)s AND state <> 'suspected'
        FOR UPDATE""",
        project=scope.project_id,
        incident=incident_id,
    )
