"""SQL of schedules."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_optional
from proofdesk.projects.scope import Scope

ScheduleStatus = Literal["active", "paused"]


@dataclass(frozen=True)
class Schedule:
    """When a job of the project runs. `failures` are in a row. `paused_cause` is None when a person paused it."""

    id: UUID
    job_type: str
    status: str
    cadence_seconds: int
    next_run_at: datetime
    last_run_at: datetime | None
    last_status: str | None
    last_error: str | None
    payload: dict[str, Any]
    failures: int
    paused_cause: str | None


@dataclass(frozen=True)
class DueJob:
    """A job that is due, and the parameters of its runs."""

    project_id: UUID
    account_scope_id: UUID
    job_type: str
    payload: dict[str, Any]


async def list_schedules(conn: Conn, scope: Scope) -> list[Schedule]:
    """Return the schedules of the project, by job type."""
    return await fetch_all(
        conn,
        Schedule,
        """
        SELECT id, job_type, status, cadence_seconds, next_run_at, last_run_at, last_status, last_error, payload,
               failures, paused_cause
        FROM scheduled_jobs WHERE project_id = %(project)s ORDER BY job_type""",
        project=scope.project_id,
    )


async def lock_schedule(conn: Conn, scope: Scope, job_type: str) -> Schedule | None:
    """Return the schedule of a job and lock it until the transaction ends."""
    return await fetch_optional(
        conn,
        Schedule,
        """
        SELECT id, job_type, status, cadence_seconds, next_run_at, last_run_at, last_status, last_error, payload,
               failures, paused_cause
        FROM scheduled_jobs WHERE project_id = %(project)s AND job_type = %(job_type)s FOR NO KEY UPDATE""",
        project=scope.project_id,
        job_type=job_type,
    )


async def change_schedule(
    conn: Conn, scope: Scope, job_type: str, job_status: str | None, cadence_seconds: int | None
) -> Schedule | None:
    """Change the status or the cadence of a job. It is then due one cadence after its last run."""
    return await fetch_optional(
        conn,
        Schedule,
        """
        WITH changed AS (
            SELECT coalesce(%(status)s, status) AS status, coalesce(%(cadence)s, cadence_seconds) AS cadence_seconds
            FROM scheduled_jobs WHERE project_id = %(project)s AND job_type = %(job_type)s)
        UPDATE scheduled_jobs j
        SET status = w.status, cadence_seconds = w.cadence_seconds,
            failures = CASE WHEN %(status)s = 'active' THEN 0 ELSE failures END,
            paused_cause = CASE WHEN %(status)s::text IS NULL THEN paused_cause END,
            next_run_at = coalesce(last_run_at + make_interval(secs => w.cadence_seconds),
                                   least(next_run_at, now() + make_interval(secs => w.cadence_seconds)))
        FROM changed w WHERE j.project_id = %(project)s AND j.job_type = %(job_type)s
        RETURNING id, job_type, j.status, j.cadence_seconds, next_run_at, last_run_at, last_status, last_error, payload,
                  failures, paused_cause""",
        project=scope.project_id,
        job_type=job_type,
        status=job_status,
        cadence=cadence_seconds,
    )


async def record_outcome(
    conn: Conn,
    scope: Scope,
    job_type: str,
    outcome: str,
    *,
    error: str | None,
    failures: int,
    delay: float,
    pause_for: str | None,
) -> None:
    """Write how the last run of the job ended, and that the next one is due in `delay` seconds.

    With `pause_for` the job pauses itself for that cause. A successful run ends such a pause, but no pause by a person.
    """
    await execute(
        conn,
        """
        UPDATE scheduled_jobs
        SET last_run_at = now(), last_status = %(outcome)s, last_error = %(error)s, failures = %(failures)s,
            next_run_at = now() + make_interval(secs => %(delay)s),
            status = CASE WHEN status = 'paused' AND paused_cause IS NULL THEN 'paused'
                          WHEN %(cause)s::text IS NOT NULL THEN 'paused'
                          WHEN %(outcome)s = 'ok' THEN 'active' ELSE status END,
            paused_cause = CASE WHEN status = 'paused' AND paused_cause IS NULL THEN NULL
                                WHEN %(cause)s::text IS NOT NULL THEN %(cause)s
                                WHEN %(outcome)s <> 'ok' THEN paused_cause END
        WHERE project_id = %(project)s AND job_type = %(job_type)s""",
        project=scope.project_id,
        job_type=job_type,
        outcome=outcome,
        error=error,
        failures=failures,
        delay=delay,
        cause=pause_for,
    )


async def show_all_projects(conn: Conn) -> None:
    """Let the rest of the transaction see the schedules and runs of all projects."""
    await execute(conn, "SELECT set_config('proofdesk.scheduler', 'on', true)")


async def insert_missing_schedules(
    conn: Conn,
    job_types: Sequence[str],
    cadences: Sequence[int],
    first_runs_after: Sequence[timedelta],
    project_id: UUID | None = None,
) -> int:
    """Add the schedules that a project lacks, or that any project lacks. Return how many were added.

    The three sequences have one item for each job type.
    """
    return await execute(
        conn,
        """
        INSERT INTO scheduled_jobs (project_id, account_scope_id, job_type, cadence_seconds, next_run_at)
        SELECT p.id, p.account_scope_id, d.job_type, d.cadence_seconds, now() + d.first_run_after
        FROM projects p
        CROSS JOIN unnest(%(job_types)s::text[], %(cadences)s::integer[], %(first_runs_after)s::interval[])
            AS d (job_type, cadence_seconds, first_run_after)
        WHERE %(project)s::uuid IS NULL OR p.id = %(project)s
        ON CONFLICT (project_id, job_type) DO NOTHING""",
        job_types=list(job_types),
        cadences=list(cadences),
        first_runs_after=list(first_runs_after),
        project=project_id,
    )


async def take_due_jobs(conn: Conn, limit: int, project_id: UUID | None) -> list[DueJob]:
    """Take jobs that are due, the longest overdue first, of all projects or of one, and schedule their next run.

    Each job is locked until the transaction ends. Jobs that another transaction has locked are left to it.
    """
    return await fetch_all(
        conn,
        DueJob,
        """
        WITH due AS (
            SELECT j.project_id, j.job_type
            FROM scheduled_jobs j JOIN projects p ON p.id = j.project_id
            WHERE j.status = 'active' AND j.next_run_at <= now() AND p.archived_at IS NULL
              AND (%(project)s::uuid IS NULL OR j.project_id = %(project)s)
            ORDER BY j.next_run_at LIMIT %(limit)s
            FOR UPDATE OF j SKIP LOCKED)
        UPDATE scheduled_jobs j SET next_run_at = now() + make_interval(secs => j.cadence_seconds)
        FROM due d WHERE j.project_id = d.project_id AND j.job_type = d.job_type
        RETURNING j.project_id, j.account_scope_id, j.job_type, j.payload""",
        limit=limit,
        project=project_id,
    )


async def resume_unblocked(
    conn: Conn, *, chatwoot_configured: bool, default_account_id: int | None, unconfigured: str, unbound: str
) -> int:
    """Resume the schedules that paused themselves and whose cause is gone. Return how many were resumed.

    `unconfigured` is the cause of those that wait for Chatwoot's settings, `unbound` of those that wait for a source.
    A source is bound, or the default account is free, the project never had a source, and its creator may bind one.
    """
    return await execute(
        conn,
        """
        WITH unblocked AS (
            SELECT j.project_id, j.job_type FROM scheduled_jobs j JOIN projects p ON p.id = j.project_id
            LEFT JOIN app_users u ON u.id = p.created_by
            WHERE j.status = 'paused' AND (
                (j.paused_cause = %(unconfigured)s AND %(configured)s)
                OR (j.paused_cause = %(unbound)s AND (
                    EXISTS (SELECT FROM source_claims c WHERE c.claimed_by = j.project_id)
                    OR (p.first_bound_at IS NULL AND %(account)s::bigint IS NOT NULL
                        AND (u.id IS NULL OR u.is_owner OR u.may_bind_sources)
                        AND NOT EXISTS (SELECT FROM source_claims c WHERE c.account_id = %(account)s)))))
            FOR UPDATE OF j SKIP LOCKED)
        UPDATE scheduled_jobs j SET status = 'active', paused_cause = NULL, failures = 0, next_run_at = now()
        FROM unblocked u WHERE j.project_id = u.project_id AND j.job_type = u.job_type""",
        configured=chatwoot_configured,
        account=default_account_id,
        unconfigured=unconfigured,
        unbound=unbound,
    )
