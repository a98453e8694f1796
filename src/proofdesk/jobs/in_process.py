"""Runs of commands: executed in the process of the command, by a worker for this one job."""

from typing import Any
from uuid import uuid4

from procrastinate import App

from proofdesk.core.progress import ReportProgress
from proofdesk.jobs import queue_queries, recovery, run_queries, runs, worker
from proofdesk.jobs.queue import JobKey
from proofdesk.jobs.resources import Resources
from proofdesk.jobs.run_queries import Run
from proofdesk.projects.scope import Scope

_FOLLOW_SECONDS = 1.0


async def execute(
    resources: Resources, scope: Scope, job_type: str, params: dict[str, Any] | None, report: ReportProgress
) -> Run:
    """Execute a run in this process, or follow the open one that another process executes. Return it when it is over.

    The job waits in a queue of its own, so that this process takes no other. When the process is killed, any worker
    continues the run.
    """
    queue_name = f"command-{uuid4().hex}"[:40]  # a longer name does not fit into PostgreSQL's notifications
    requested = await runs.request(resources.db, scope, job_type, "cli", params, queue_name=queue_name)
    run = requested.run
    app = worker.create_app(resources, stopping=None, report=report)
    async with app.open_async(resources.db.pool):
        while run.status in runs.ACTIVE:
            if await _take_over_waiting(resources, JobKey(scope.project_id, job_type), queue_name):
                await _drain(app, queue_name)
            run = await _follow(resources, scope, run, report)
            await recovery.requeue_stalled_jobs(app)
    if requested.joined and _is_lost(run):  # the last attempt of an earlier request: this one starts anew
        return await execute(resources, scope, job_type, params, report)
    return run


async def _take_over_waiting(resources: Resources, key: JobKey, queue_name: str) -> bool:
    """Take the waiting job, also one that a worker was to execute. Return whether there is one."""
    async with resources.db.transaction() as conn:
        return await queue_queries.move_waiting_job(conn, key.lock, queue_name)


async def _drain(app: App, queue_name: str) -> None:
    await app.run_worker_async(
        queues=[queue_name],
        concurrency=1,
        wait=False,
        delete_jobs="always",
        shutdown_graceful_timeout=0,  # a command that is interrupted stops at once
        update_heartbeat_interval=recovery.WORKER_HEARTBEAT_SECONDS,
        stalled_worker_timeout=recovery.STALLED_AFTER_SECONDS,
        install_signal_handlers=False,
    )


async def _follow(resources: Resources, scope: Scope, run: Run, report: ReportProgress) -> Run:
    """Wait a moment for the run to end. Return the next attempt instead when the run was lost."""
    run = await runs.wait(resources.db, scope, run.id, _FOLLOW_SECONDS, report)
    if not _is_lost(run):
        return run
    async with resources.db.scoped(scope) as conn:
        return (await run_queries.run_history(conn, scope, run.job_type, None, 1, 0))[0]


def _is_lost(run: Run) -> bool:
    return (run.error_details or {}).get("code") == "worker_lost"
