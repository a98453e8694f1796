"""Recovery: jobs of workers that are gone go back into the queue.

Procrastinate knows which jobs are stalled. The worker that takes such a job finds its run running, marks it as lost and
executes the next attempt (`runs.claim`).
"""

import contextlib

from procrastinate import App
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status

from proofdesk.database.pool import Database
from proofdesk.jobs import queue, queue_queries, schedule_queries
from proofdesk.jobs.queue import JobKey

WORKER_HEARTBEAT_SECONDS = 5.0
STALLED_AFTER_SECONDS = 30.0
INTERVAL_SECONDS = 5.0
"""How often each worker looks. With `STALLED_AFTER_SECONDS`, a lost run continues within a minute."""
UNQUEUED_AFTER_SECONDS = 45.0


async def recover(db: Database, app: App, stalled_after: float = STALLED_AFTER_SECONDS) -> None:
    """Queue again what workers that are gone have left. Any number of workers may do this at once."""
    await requeue_stalled_jobs(app, stalled_after)
    await _finish_abandoned_jobs(db, app)
    await _queue_unqueued_runs(db)


async def requeue_stalled_jobs(app: App, stalled_after: float = STALLED_AFTER_SECONDS) -> None:
    """Put the jobs of workers without a heartbeat back into the queue, and forget these workers."""
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=stalled_after):
        await _requeue(app, job)
    await app.job_manager.prune_stalled_workers(stalled_after)
    # A stalled job that was to be aborted is not queued again, but fails.
    await app.job_manager.delete_old_jobs(nb_hours=0, include_failed=True, include_cancelled=True, include_aborted=True)


async def _requeue(app: App, job: Job) -> None:
    try:
        await app.job_manager.retry_job(job)
    except UniqueViolation:  # another job of this project and job type waits: that one continues the run
        await _finish(app, job.id)
    except ConnectorException:  # another worker was faster
        return


async def _finish_abandoned_jobs(db: Database, app: App) -> None:
    """Remove jobs that a worker took and whose end it could not write: they would block their lock."""
    async with db.transaction() as conn:
        await schedule_queries.show_all_projects(conn)
        abandoned = await queue_queries.list_abandoned_jobs(conn, UNQUEUED_AFTER_SECONDS)
    for job in abandoned:
        await _finish(app, job.id)


async def _finish(app: App, job_id: int | None) -> None:
    assert job_id is not None, "a job of the database has a number"
    with contextlib.suppress(ConnectorException):  # another worker was faster
        await app.job_manager.finish_job_by_id_async(job_id, Status.FAILED, delete_job=True)


async def _queue_unqueued_runs(db: Database) -> None:
    """Queue the open runs that have no job, such as those of an earlier version. Procrastinate does not know runs."""
    with contextlib.suppress(AlreadyEnqueued):  # another worker was faster
        async with db.transaction() as conn:
            await schedule_queries.show_all_projects(conn)
            unqueued = await queue_queries.list_unqueued_runs(conn, UNQUEUED_AFTER_SECONDS)
            await queue.enqueue(conn, [JobKey(run.project_id, run.job_type) for run in unqueued])
