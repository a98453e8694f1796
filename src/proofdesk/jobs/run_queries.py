"""SQL that reads runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_optional, fetch_value
from proofdesk.jobs.schedule_queries import DueJob
from proofdesk.projects.scope import Scope

RunStatus = Literal["queued", "running", "ok", "failed", "cancelled"]
RunTrigger = Literal["manual", "schedule", "webhook", "cli"]


@dataclass(frozen=True)
class Run:
    """One run of a job. `meta["result"]` is what its handler returned, `error_details` the cause of a failure."""

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
    cancel_requested_at: datetime | None


async def active_run(conn: Conn, scope: Scope, job_type: str) -> Run | None:
    """Return the queued or running run of a job type."""
    return await fetch_optional(
        conn,
        Run,
        """
        SELECT id, job_type, trigger, status, created_at, started_at, finished_at, processed_count, progress,
               error, error_details, meta, params, request_id, attempt, runner, heartbeat_at,
               cancel_requested_at
        FROM worker_runs
        WHERE project_id = %(project)s AND job_type = %(job_type)s AND status IN ('queued', 'running')""",
        project=scope.project_id,
        job_type=job_type,
    )


async def run_by_id(conn: Conn, scope: Scope, run_id: UUID) -> Run | None:
    """Return a run of the project."""
    return await fetch_optional(
        conn,
        Run,
        """
        SELECT id, job_type, trigger, status, created_at, started_at, finished_at, processed_count, progress,
               error, error_details, meta, params, request_id, attempt, runner, heartbeat_at,
               cancel_requested_at
        FROM worker_runs WHERE project_id = %(project)s AND id = %(run)s""",
        project=scope.project_id,
        run=run_id,
    )


async def latest_runs(conn: Conn, scope: Scope) -> list[Run]:
    """Return the newest run of each job type."""
    return await fetch_all(
        conn,
        Run,
        """
        SELECT r.id, r.job_type, r.trigger, r.status, r.created_at, r.started_at, r.finished_at, r.processed_count,
               r.progress, r.error, r.error_details, r.meta, r.params, r.request_id, r.attempt, r.runner,
               r.heartbeat_at, r.cancel_requested_at
        FROM scheduled_jobs j CROSS JOIN LATERAL (
            SELECT * FROM worker_runs w WHERE w.project_id = j.project_id AND w.job_type = j.job_type
            ORDER BY w.created_at DESC LIMIT 1) r
        WHERE j.project_id = %(project)s ORDER BY j.job_type""",
        project=scope.project_id,
    )


async def changed_runs(conn: Conn, scope: Scope, run_ids: list[UUID], *, with_latest: bool) -> list[Run]:
    """Return these runs, and the newest of each job type with `with_latest`, in the order of their creation."""
    return await fetch_all(
        conn,
        Run,
        """
        SELECT id, job_type, trigger, status, created_at, started_at, finished_at, processed_count, progress,
               error, error_details, meta, params, request_id, attempt, runner, heartbeat_at,
               cancel_requested_at
        FROM worker_runs
        WHERE project_id = %(project)s AND id IN (
            SELECT unnest(%(runs)s::uuid[])
            UNION
            SELECT r.id FROM scheduled_jobs j CROSS JOIN LATERAL (
                SELECT id FROM worker_runs w WHERE w.project_id = j.project_id AND w.job_type = j.job_type
                ORDER BY w.created_at DESC LIMIT 1) r
            WHERE j.project_id = %(project)s AND %(latest)s)
        ORDER BY created_at, id""",
        project=scope.project_id,
        runs=run_ids,
        latest=with_latest,
    )


async def listen(conn: Conn) -> None:
    """Let the connection receive a notification for each run that changes, of any project."""
    await execute(conn, "LISTEN proofdesk_runs")


async def run_history(
    conn: Conn, scope: Scope, job_type: str | None, status: str | None, limit: int, offset: int
) -> list[Run]:
    """Return runs, newest first."""
    return await fetch_all(
        conn,
        Run,
        """
        SELECT id, job_type, trigger, status, created_at, started_at, finished_at, processed_count, progress,
               error, error_details, meta, params, request_id, attempt, runner, heartbeat_at,
               cancel_requested_at
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
    """Return the number of runs of `run_history` without its limit."""
    return await fetch_value(
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


@dataclass(frozen=True)
class StartedRun:
    """The run of a job that was due; `joined` when it was queued or running already."""

    project_id: UUID
    account_scope_id: UUID
    job_type: str
    run_id: UUID
    params: dict[str, Any]
    joined: bool


async def active_runs_of(conn: Conn, jobs: Sequence[DueJob]) -> list[StartedRun]:
    """Return the queued or running run of each of these jobs that has one."""
    return await fetch_all(
        conn,
        StartedRun,
        """
        SELECT r.project_id, r.account_scope_id, r.job_type, r.id AS run_id, r.params, true AS joined
        FROM worker_runs r
        JOIN unnest(%(projects)s::uuid[], %(job_types)s::text[]) AS due (project_id, job_type)
          ON r.project_id = due.project_id AND r.job_type = due.job_type
        WHERE r.status IN ('queued', 'running')""",
        projects=[job.project_id for job in jobs],
        job_types=[job.job_type for job in jobs],
    )
