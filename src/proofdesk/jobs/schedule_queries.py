"""SQL of schedules."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from proofdesk.audit.events import Actor
from proofdesk.database.rows import Conn, execute, fetch_all, fetch_optional
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class Schedule:
    """When a job of the project runs. `failures` are in a row; `paused_cause` is None when a person paused it."""

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
class StartedRun:
    """A job that was due and the run that serves it; `joined` when that was under way already."""

    project_id: UUID
    job_type: str
    run_id: UUID
    joined: bool


async def list_schedules(conn: Conn, scope: Scope) -> list[Schedule]:
    """Every job of the project."""
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
    """The schedule of one job, which nobody else changes until the transaction ends."""
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
    """Pause, resume or pace a job; it is then due a cadence after it last ran. A person's pause has no cause."""
    return await fetch_optional(
        conn,
        Schedule,
        """
        WITH wanted AS (
            SELECT coalesce(%(status)s, status) AS status, coalesce(%(cadence)s, cadence_seconds) AS cadence_seconds
            FROM scheduled_jobs WHERE project_id = %(project)s AND job_type = %(job_type)s)
        UPDATE scheduled_jobs j
        SET status = w.status, cadence_seconds = w.cadence_seconds,
            failures = CASE WHEN %(status)s = 'active' THEN 0 ELSE failures END,
            paused_cause = CASE WHEN %(status)s::text IS NULL THEN paused_cause END,
            next_run_at = coalesce(last_run_at + make_interval(secs => w.cadence_seconds), next_run_at)
        FROM wanted w WHERE j.project_id = %(project)s AND j.job_type = %(job_type)s
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
    """Note how the job's last run ended, and when the next one is due, in seconds from now.

    With `pause_for` it pauses itself for that cause. A run that went well ends such a pause; a person's stays.
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


async def start_due(conn: Conn, actor: Actor, most: int, project_id: UUID | None) -> list[StartedRun]:
    """Take jobs that are due, the longest overdue first, of all projects or of one, and make or find their runs."""
    return await fetch_all(
        conn,
        StartedRun,
        """
        SELECT project_id, job_type, run_id, joined
        FROM start_due_jobs(%(most)s, %(project)s, %(actor)s, %(user)s, %(request)s)""",
        most=most,
        project=project_id,
        actor=actor.username,
        user=actor.user_id,
        request=actor.request_id,
    )


async def resume_mended(conn: Conn, chatwoot_configured: bool, default_account_id: int | None) -> None:
    """Let schedules go on that paused themselves, where the cause is gone."""
    await execute(
        conn,
        "SELECT resume_jobs(%(configured)s, %(account)s)",
        configured=chatwoot_configured,
        account=default_account_id,
    )
