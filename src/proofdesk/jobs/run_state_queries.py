"""SQL that adds, changes and deletes runs."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_optional, fetch_value
from proofdesk.jobs.run_queries import Run, StartedRun
from proofdesk.jobs.schedule_queries import DueJob
from proofdesk.projects.scope import Scope


async def insert_run(
    conn: Conn,
    scope: Scope,
    job_type: str,
    trigger: str,
    params: dict[str, Any],
    attempts: int = 0,
) -> Run | None:
    """Add a queued run. Return None while the job type has a queued or running run.

    `attempts` is the number of lost runs that it is another attempt of.
    """
    return await fetch_optional(
        conn,
        Run,
        """
        INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger, params, request_id, attempt)
        VALUES (%(project)s, %(account_scope)s, %(job_type)s, %(trigger)s, %(params)s, %(request)s, %(attempts)s)
        ON CONFLICT (project_id, job_type) WHERE status IN ('queued', 'running') DO NOTHING
        RETURNING id, job_type, trigger, status, created_at, started_at, finished_at, processed_count, progress,
                  error, error_details, meta, params, request_id, attempt, runner, heartbeat_at,
                  cancel_requested_at""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        job_type=job_type,
        trigger=trigger,
        params=Jsonb(params),
        request=scope.actor.request_id,
        attempts=attempts,
    )


async def claim_run(conn: Conn, scope: Scope, run_id: UUID, runner: str) -> Run | None:
    """Take a queued run. Return None when it is not queued any more. A run that was queued again is no new attempt."""
    return await fetch_optional(
        conn,
        Run,
        """
        UPDATE worker_runs
        SET status = 'running', runner = %(runner)s, heartbeat_at = now(), progressed_at = now(),
            started_at = coalesce(started_at, now()), attempt = attempt + CASE WHEN started_at IS NULL THEN 1 ELSE 0 END
        WHERE project_id = %(project)s AND id = %(run)s AND status = 'queued'
        RETURNING id, job_type, trigger, status, created_at, started_at, finished_at, processed_count, progress,
                  error, error_details, meta, params, request_id, attempt, runner, heartbeat_at,
                  cancel_requested_at""",
        project=scope.project_id,
        run=run_id,
        runner=runner,
    )


async def record_heartbeat(
    conn: Conn, scope: Scope, run_id: UUID, runner: str, progress: dict[str, Any] | None
) -> bool:
    """Write the progress of a running run. Return False when the run is over or another process has it."""
    return bool(
        await execute(
            conn,
            """
            UPDATE worker_runs
            SET heartbeat_at = now(), progress = coalesce(%(progress)s, progress),
                progressed_at = CASE WHEN coalesce(%(progress)s, progress) IS DISTINCT FROM progress THEN now()
                                     ELSE progressed_at END
            WHERE project_id = %(project)s AND id = %(run)s AND status = 'running' AND runner = %(runner)s""",
            project=scope.project_id,
            run=run_id,
            runner=runner,
            progress=Jsonb(progress) if progress else None,
        )
    )


async def finish_run(
    conn: Conn,
    scope: Scope,
    run_id: UUID,
    status: str,
    *,
    runner: str | None,
    processed: int = 0,
    progress: dict[str, Any] | None = None,
    error: str | None = None,
    details: dict[str, Any] | None = None,
    meta: dict[str, Any] | None = None,
) -> bool:
    """End a run that `runner` has, or that is queued. Return False when it is over or another process has it."""
    return bool(
        await execute(
            conn,
            """
            UPDATE worker_runs
            SET status = %(status)s, finished_at = now(), processed_count = processed_count + %(processed)s,
                progress = coalesce(%(progress)s, progress), error = %(error)s, error_details = %(details)s,
                meta = meta || %(meta)s
            WHERE project_id = %(project)s AND id = %(run)s AND status IN ('queued', 'running')
              AND runner IS NOT DISTINCT FROM %(runner)s""",
            project=scope.project_id,
            run=run_id,
            status=status,
            runner=runner,
            processed=processed,
            progress=Jsonb(progress) if progress else None,
            error=error,
            details=Jsonb(details) if details else None,
            meta=Jsonb(meta or {}),
        )
    )


async def requeue_run(
    conn: Conn,
    scope: Scope,
    run_id: UUID,
    *,
    runner: str | None,
    processed: int,
    progress: dict[str, Any] | None,
    meta: dict[str, Any],
) -> bool:
    """Queue a running run again with what it did so far. Return False when another process has it."""
    return bool(
        await execute(
            conn,
            """
            UPDATE worker_runs
            SET status = 'queued', runner = NULL, heartbeat_at = NULL, meta = meta || %(meta)s,
                processed_count = processed_count + %(processed)s, progress = coalesce(%(progress)s, progress)
            WHERE project_id = %(project)s AND id = %(run)s AND status = 'running' AND runner = %(runner)s""",
            project=scope.project_id,
            run=run_id,
            runner=runner,
            processed=processed,
            progress=Jsonb(progress) if progress else None,
            meta=Jsonb(meta),
        )
    )


async def request_again(conn: Conn, scope: Scope, run_id: UUID) -> bool:
    """Ask a running run to do its work once more before it ends. Return False when it is not running."""
    return bool(
        await execute(
            conn,
            """
            UPDATE worker_runs SET meta = meta || '{"requested_again": true}'
            WHERE project_id = %(project)s AND id = %(run)s AND status = 'running'""",
            project=scope.project_id,
            run=run_id,
        )
    )


async def is_requested_again(conn: Conn, scope: Scope, run_id: UUID) -> bool:
    """Return whether the run was asked to do its work once more. Locks the run."""
    return bool(
        await fetch_value(
            conn,
            """
            SELECT coalesce((meta ->> 'requested_again')::boolean, false) FROM worker_runs
            WHERE project_id = %(project)s AND id = %(run)s AND status = 'running'
            FOR UPDATE""",
            project=scope.project_id,
            run=run_id,
        )
    )


async def is_cancel_requested(conn: Conn, scope: Scope, run_id: UUID) -> bool:
    """Return whether somebody asked for the run to be cancelled."""
    return bool(
        await fetch_value(
            conn,
            "SELECT cancel_requested_at IS NOT NULL FROM worker_runs WHERE project_id = %(project)s AND id = %(run)s",
            project=scope.project_id,
            run=run_id,
        )
    )


async def request_cancel(conn: Conn, scope: Scope, run_id: UUID) -> bool:
    """Write that the run is to be cancelled. Return False when it is not running."""
    return bool(
        await execute(
            conn,
            """
            UPDATE worker_runs SET cancel_requested_at = coalesce(cancel_requested_at, now())
            WHERE project_id = %(project)s AND id = %(run)s AND status = 'running'""",
            project=scope.project_id,
            run=run_id,
        )
    )


async def delete_old_runs(conn: Conn, scope: Scope, days: int) -> int:
    """Delete runs that ended so long ago, but not the last one of each job type. Return how many."""
    return await execute(
        conn,
        """
        DELETE FROM worker_runs r
        WHERE project_id = %(project)s AND finished_at < now() - make_interval(days => %(days)s)
          AND EXISTS (SELECT FROM worker_runs n
                      WHERE n.project_id = %(project)s AND n.job_type = r.job_type AND n.finished_at IS NOT NULL
                        AND (n.created_at, n.id) > (r.created_at, r.id))""",
        project=scope.project_id,
        days=days,
    )


async def insert_scheduled_runs(conn: Conn, jobs: Sequence[DueJob], request_id: str | None) -> list[StartedRun]:
    """Queue a run of each job that has no queued or running run. Return these runs."""
    return await fetch_all(
        conn,
        StartedRun,
        """
        INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger, params, request_id)
        SELECT project_id, account_scope_id, job_type, 'schedule', params, %(request)s
        FROM unnest(%(projects)s::uuid[], %(account_scopes)s::uuid[], %(job_types)s::text[], %(params)s::jsonb[])
            AS due (project_id, account_scope_id, job_type, params)
        ON CONFLICT (project_id, job_type) WHERE status IN ('queued', 'running') DO NOTHING
        RETURNING project_id, account_scope_id, job_type, id AS run_id, params, false AS joined""",
        request=request_id,
        projects=[job.project_id for job in jobs],
        account_scopes=[job.account_scope_id for job in jobs],
        job_types=[job.job_type for job in jobs],
        params=[Jsonb(job.payload) for job in jobs],
    )
