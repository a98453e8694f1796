"""SQL of the queue, beside Procrastinate's own."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_value
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class _Lock:
    lock: str


@dataclass(frozen=True)
class QueueJobId:
    """The number of a job of the queue."""

    id: int


@dataclass(frozen=True)
class OpenRunKey:
    """The project and the job type of a queued or running run."""

    project_id: UUID
    job_type: str


async def lock_waiting_jobs(conn: Conn, locks: Sequence[str]) -> set[str]:
    """Return which of these locks have a waiting job, which no worker takes until the transaction ends."""
    rows = await fetch_all(
        conn,
        _Lock,
        """
        SELECT queueing_lock AS lock FROM procrastinate_jobs
        WHERE status = 'todo' AND queueing_lock = ANY(%(locks)s) FOR UPDATE""",
        locks=list(locks),
    )
    return {row.lock for row in rows}


async def get_running_job_id(conn: Conn, lock: str) -> int | None:
    """Return the number of the job that a worker executes under this lock."""
    return await fetch_value(
        conn, "SELECT id FROM procrastinate_jobs WHERE lock = %(lock)s AND status = 'doing'", lock=lock
    )


async def move_waiting_job(conn: Conn, lock: str, queue_name: str) -> bool:
    """Move the waiting job of this lock to another queue. Return whether there was one."""
    return bool(
        await execute(
            conn,
            """
            UPDATE procrastinate_jobs SET queue_name = %(queue)s WHERE id = (
                SELECT id FROM procrastinate_jobs WHERE queueing_lock = %(lock)s AND status = 'todo'
                FOR UPDATE SKIP LOCKED)""",
            lock=lock,
            queue=queue_name,
        )
    )


async def is_another_project_waiting(conn: Conn, scope: Scope) -> bool:
    """Return whether a job of another project could start if a worker were free."""
    return await fetch_value(
        conn,
        """
        SELECT EXISTS (SELECT FROM procrastinate_jobs
                       WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())
                         AND args ->> 'project_id' <> %(project)s::text)""",
        project=scope.project_id,
    )


async def list_unqueued_runs(conn: Conn, seconds: float) -> list[OpenRunKey]:
    """Return the open runs of all projects without a job in the queue, and without a sign of life for so long."""
    return await fetch_all(
        conn,
        OpenRunKey,
        """
        SELECT r.project_id, r.job_type FROM worker_runs r JOIN projects p ON p.id = r.project_id
        WHERE r.status IN ('queued', 'running') AND p.archived_at IS NULL
          AND coalesce(r.heartbeat_at, r.created_at) < now() - make_interval(secs => %(seconds)s)
          AND NOT EXISTS (SELECT FROM procrastinate_jobs q
                          WHERE q.status IN ('todo', 'doing') AND q.lock = r.project_id || ':' || r.job_type)""",
        seconds=seconds,
    )


async def list_abandoned_jobs(conn: Conn, seconds: float) -> list[QueueJobId]:
    """Return the jobs that a worker took so long ago, and for which no run is running: the worker forgot them."""
    return await fetch_all(
        conn,
        QueueJobId,
        """
        SELECT q.id FROM procrastinate_jobs q
        WHERE q.status = 'doing'
          AND (SELECT max(e.at) FROM procrastinate_events e WHERE e.job_id = q.id AND e.type = 'started')
              < now() - make_interval(secs => %(seconds)s)
          AND NOT EXISTS (SELECT FROM worker_runs r
                          WHERE r.status = 'running' AND q.lock = r.project_id || ':' || r.job_type)""",
        seconds=seconds,
    )
