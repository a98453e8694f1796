"""The queue of jobs, which is Procrastinate's. A job is queued in the transaction of the change that causes it.

A job of the queue means: execute the open run of this job type in this project. Its lock keeps two such jobs from
running at once, its queueing lock keeps two from waiting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from uuid import UUID

import procrastinate
from procrastinate.jobs import Job

from proofdesk.database.rows import Conn
from proofdesk.jobs import queue_queries

TASK = "run"
DEFAULT_QUEUE = "default"


@dataclass(frozen=True)
class JobKey:
    """What the queue tells jobs apart by."""

    project_id: UUID
    job_type: str

    @property
    def lock(self) -> str:
        """The lock of such jobs, and their queueing lock."""
        return f"{self.project_id}:{self.job_type}"


@cache
def _app() -> procrastinate.App:
    return procrastinate.App(connector=procrastinate.PsycopgConnector())


async def enqueue(conn: Conn, keys: Sequence[JobKey], queue_name: str = DEFAULT_QUEUE) -> None:
    """Add a job for each key to the end of the queue, unless one waits already. Workers see it at the commit.

    A job that waits already stays until the transaction ends, so that a worker that takes it sees the run.
    """
    waiting = await queue_queries.lock_waiting_jobs(conn, [key.lock for key in keys])
    jobs = [_job(key, queue_name) for key in keys if key.lock not in waiting]
    if jobs:
        await _app().job_manager.batch_defer_jobs_async(jobs=jobs, connection=conn)


async def abort(conn: Conn, key: JobKey) -> None:
    """Ask the worker that executes the job to stop it. It is notified at the commit."""
    job_id = await queue_queries.get_running_job_id(conn, key.lock)
    if job_id is not None:
        await _app().job_manager.cancel_job_by_id_async(job_id, abort=True, connection=conn)


def _job(key: JobKey, queue_name: str) -> Job:
    return Job(
        queue=queue_name,
        lock=key.lock,
        queueing_lock=key.lock,
        task_name=TASK,
        task_kwargs={"project_id": str(key.project_id), "job_type": key.job_type},
    )
