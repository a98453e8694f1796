"""SQL of runs and schedules."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from proofdesk.db.rows import Conn, many, maybe, run, value
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class Run:
    """One run of a job. `meta["result"]` is what it returned, `error_details` the cause when it failed."""

    id: UUID
    job_type: str
    trigger: str
    status: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    processed_count: int
    progress: dict[str, Any] | None
    error: str | None
    error_details: dict[str, Any] | None
    meta: dict[str, Any]
    params: dict[str, Any]
    request_id: str | None
    attempt: int
    runner: str | None
    heartbeat_at: datetime | None


async def insert(
    conn: Conn, scope: Scope, job_type: str, trigger: str, params: dict[str, Any], runner: str | None
) -> Run | None:
    """A new run, queued, or running at once when `runner` is given; None while another one is under way."""
    return await maybe(
        conn,
        Run,
        """
        INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger, params, request_id,
                                 status, runner, started_at, heartbeat_at, attempt)
        VALUES (%(project)s, %(account_scope)s, %(job_type)s, %(trigger)s, %(params)s, %(request)s,
                CASE WHEN %(runner)s::text IS NULL THEN 'queued' ELSE 'running' END, %(runner)s,
                CASE WHEN %(runner)s::text IS NOT NULL THEN now() END,
                CASE WHEN %(runner)s::text IS NOT NULL THEN now() END,
                CASE WHEN %(runner)s::text IS NULL THEN 0 ELSE 1 END)
        ON CONFLICT (project_id, job_type) WHERE status IN ('queued', 'running') DO NOTHING
        RETURNING id, job_type, trigger, status, created_at, started_at, finished_at, processed_count, progress,
                  error, error_details, meta, params, request_id, attempt, runner, heartbeat_at""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        job_type=job_type,
        trigger=trigger,
        params=Jsonb(params),
        request=scope.actor.request_id,
        runner=runner,
    )


async def under_way(conn: Conn, scope: Scope, job_type: str) -> Run | None:
    """The queued or running run of that type."""
    return await maybe(
        conn,
        Run,
        """
        SELECT id, job_type, trigger, status, created_at, started_at, finished_at, processed_count, progress,
               error, error_details, meta, params, request_id, attempt, runner, heartbeat_at
        FROM worker_runs
        WHERE project_id = %(project)s AND job_type = %(job_type)s AND status IN ('queued', 'running')""",
        project=scope.project_id,
        job_type=job_type,
    )


async def run_by_id(conn: Conn, scope: Scope, run_id: UUID) -> Run | None:
    """One run of the project."""
    return await maybe(
        conn,
        Run,
        """
        SELECT id, job_type, trigger, status, created_at, started_at, finished_at, processed_count, progress,
               error, error_details, meta, params, request_id, attempt, runner, heartbeat_at
        FROM worker_runs WHERE project_id = %(project)s AND id = %(run)s""",
        project=scope.project_id,
        run=run_id,
    )


async def latest_runs(conn: Conn, scope: Scope) -> list[Run]:
    """The newest run of each job type."""
    return await many(
        conn,
        Run,
        """
        SELECT DISTINCT ON (job_type)
               id, job_type, trigger, status, created_at, started_at, finished_at, processed_count, progress,
               error, error_details, meta, params, request_id, attempt, runner, heartbeat_at
        FROM worker_runs WHERE project_id = %(project)s ORDER BY job_type, created_at DESC""",
        project=scope.project_id,
    )


async def run_history(
    conn: Conn, scope: Scope, job_type: str | None, status: str | None, limit: int, offset: int
) -> list[Run]:
    """Runs, newest first."""
    return await many(
        conn,
        Run,
        """
        SELECT id, job_type, trigger, status, created_at, started_at, finished_at, processed_count, progress,
               error, error_details, meta, params, request_id, attempt, runner, heartbeat_at
        FROM worker_runs
        WHERE project_id = %(project)s
          AND (%(job_type)s::text IS NULL OR job_type = %(job_type)s)
          AND (%(status)s::text IS NULL OR status = %(status)s)
        ORDER BY created_at DESC, id LIMIT %(limit)s OFFSET %(offset)s""",
        project=scope.project_id,
        job_type=job_type,
        status=status,
        limit=limit,
        offset=offset,
    )


async def count_runs(conn: Conn, scope: Scope, job_type: str | None, status: str | None) -> int:
    """How many runs `run_history` has in all."""
    return await value(
        conn,
        """
        SELECT count(*) FROM worker_runs
        WHERE project_id = %(project)s
          AND (%(job_type)s::text IS NULL OR job_type = %(job_type)s)
          AND (%(status)s::text IS NULL OR status = %(status)s)""",
        project=scope.project_id,
        job_type=job_type,
        status=status,
    )


async def claim(conn: Conn, scope: Scope, run_id: UUID, runner: str) -> Run | None:
    """Take a queued run; None when somebody else has it or it is over."""
    return await maybe(
        conn,
        Run,
        """
        UPDATE worker_runs
        SET status = 'running', runner = %(runner)s, started_at = now(), heartbeat_at = now(), attempt = attempt + 1
        WHERE project_id = %(project)s AND id = %(run)s AND status = 'queued'
        RETURNING id, job_type, trigger, status, created_at, started_at, finished_at, processed_count, progress,
                  error, error_details, meta, params, request_id, attempt, runner, heartbeat_at""",
        project=scope.project_id,
        run=run_id,
        runner=runner,
    )


async def beat(conn: Conn, scope: Scope, run_id: UUID, runner: str, progress: dict[str, Any] | None) -> bool:
    """Say that the run is alive and how far it is; False when it is no longer this runner's."""
    return bool(
        await run(
            conn,
            """
            UPDATE worker_runs SET heartbeat_at = now(), progress = coalesce(%(progress)s, progress)
            WHERE project_id = %(project)s AND id = %(run)s AND status = 'running' AND runner = %(runner)s""",
            project=scope.project_id,
            run=run_id,
            runner=runner,
            progress=Jsonb(progress) if progress else None,
        )
    )


async def finish(
    conn: Conn,
    scope: Scope,
    run_id: UUID,
    status: str,
    *,
    processed: int = 0,
    error: str | None = None,
    details: dict[str, Any] | None = None,
    meta: dict[str, Any] | None = None,
) -> bool:
    """End a run that is under way; False when it is over already."""
    return bool(
        await run(
            conn,
            """
            UPDATE worker_runs
            SET status = %(status)s, finished_at = now(), processed_count = %(processed)s, error = %(error)s,
                error_details = %(details)s, meta = meta || %(meta)s
            WHERE project_id = %(project)s AND id = %(run)s AND status IN ('queued', 'running')""",
            project=scope.project_id,
            run=run_id,
            status=status,
            processed=processed,
            error=error,
            details=Jsonb(details) if details else None,
            meta=Jsonb(meta or {}),
        )
    )


async def settle_schedule(conn: Conn, scope: Scope, job_type: str, status: str, error: str | None) -> None:
    """Note on the schedule how the job's last run ended; the next one is due a cadence later."""
    await run(
        conn,
        """
        UPDATE scheduled_jobs
        SET last_run_at = now(), last_status = %(status)s, last_error = %(error)s,
            next_run_at = now() + make_interval(secs => cadence_seconds)
        WHERE project_id = %(project)s AND job_type = %(job_type)s""",
        project=scope.project_id,
        job_type=job_type,
        status=status,
        error=error,
    )


@dataclass(frozen=True)
class DueJob:
    """A scheduled job whose time has come."""

    project_id: UUID
    job_type: str


async def due(conn: Conn, most: int) -> list[DueJob]:
    """Due jobs of all projects, the longest overdue first."""
    return await many(conn, DueJob, "SELECT project_id, job_type FROM due_jobs(%(most)s)", most=most)


async def postpone(conn: Conn, scope: Scope, job_type: str) -> bool:
    """Move a due job to its next time; False when another scheduler was faster."""
    return bool(
        await run(
            conn,
            """
            UPDATE scheduled_jobs SET next_run_at = now() + make_interval(secs => cadence_seconds)
            WHERE project_id = %(project)s AND job_type = %(job_type)s AND status = 'active'
              AND next_run_at <= now()""",
            project=scope.project_id,
            job_type=job_type,
        )
    )


async def insert_worker(conn: Conn, runner: str, forgotten_after: timedelta) -> UUID:
    """A new worker; long silent ones are removed on the way."""
    return await value(
        conn,
        """
        WITH forgotten AS (DELETE FROM workers WHERE last_heartbeat_at < now() - %(after)s)
        INSERT INTO workers (runner) VALUES (%(runner)s) RETURNING id""",
        runner=runner,
        after=forgotten_after,
    )


async def beat_worker(conn: Conn, worker_id: UUID) -> None:
    """Note that a worker is alive."""
    await run(conn, "UPDATE workers SET last_heartbeat_at = now() WHERE id = %(id)s", id=worker_id)


async def delete_worker(conn: Conn, worker_id: UUID) -> None:
    """Forget a worker that stopped."""
    await run(conn, "DELETE FROM workers WHERE id = %(id)s", id=worker_id)
