"""Runs: requested, joined, executed, cancelled, waited for. A project has one open run of a job type at most.

queued ──claim──▶ running ──▶ ok | failed | cancelled. A run whose time slice is over, or whose worker stops, is queued
again with what it did so far. A run whose process is gone fails as `worker_lost`, and another attempt follows it.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from proofdesk import logging
from proofdesk.core.progress import ReportProgress
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Conflict, NotFound
from proofdesk.jobs import execution, outcomes, queue, run_queries, run_state_queries
from proofdesk.jobs.execution import RunHandler, RunOutcome
from proofdesk.jobs.outcomes import current_runner
from proofdesk.jobs.queue import DEFAULT_QUEUE, JobKey
from proofdesk.jobs.run_queries import Run
from proofdesk.jobs.time_slices import TimeSlice
from proofdesk.projects.scope import Scope

__all__ = ["RunHandler", "RunOutcome"]

log = logging.get_logger(__name__)

HEARTBEAT_SECONDS = 2.0
MAX_WAIT_SECONDS = 600
ACTIVE = ("queued", "running")


@dataclass(frozen=True)
class RequestedRun:
    """The run that serves a request; `joined` when it was queued or running already."""

    run: Run
    joined: bool


class RunNotFound(NotFound):
    """The project has no such run."""

    code = "run_not_found"


class RunIsOver(Conflict):
    """The run has ended, so it cannot be cancelled."""

    code = "run_is_over"


async def request(
    db: Database,
    scope: Scope,
    job_type: str,
    trigger: str,
    params: dict[str, Any] | None = None,
    *,
    queue_name: str = DEFAULT_QUEUE,
) -> RequestedRun:
    """Queue a run for the workers, or join the open one."""
    scope.require("editor")
    async with db.scoped(scope) as conn:
        requested = await _find_or_create(conn, scope, job_type, trigger, params or {}, queue_name)
    return requested or await request(db, scope, job_type, trigger, params, queue_name=queue_name)


async def request_after(db: Database, scope: Scope, job_type: str, trigger: str) -> RequestedRun:
    """Queue a run that sees everything committed until now.

    A run that is running already may have looked for work before that: its worker runs it once more.
    """
    async with db.scoped(scope) as conn:
        requested = await _find_or_create(conn, scope, job_type, trigger, {}, DEFAULT_QUEUE)
        if requested and requested.run.status == "running":
            is_running = await run_state_queries.request_again(conn, scope, requested.run.id)
            requested = requested if is_running else None  # it ended in between
    return requested or await request_after(db, scope, job_type, trigger)


async def claim(db: Database, scope: Scope, job_type: str) -> Run | None:
    """Take the open run of a job type for this process. Return None when there is none, or it is not tried again.

    Only the process that holds the queue's lock of the job may do this. A run that is running then has lost its
    process: it is marked as lost, and the next attempt is taken instead.
    """
    async with db.scoped(scope) as conn:
        run = await run_queries.active_run(conn, scope, job_type)
        if run is not None and run.status == "running":
            run = await _replace_lost(conn, scope, run)
        return run and await run_state_queries.claim_run(conn, scope, run.id, current_runner())


async def execute(
    db: Database,
    scope: Scope,
    run: Run,
    handler: RunHandler,
    report: ReportProgress | None = None,
    *,
    stopping: asyncio.Event | None = None,
    heartbeat: float = HEARTBEAT_SECONDS,
) -> Run:
    """Execute a run that this process has claimed. Return it as it is then.

    An error is written to the run and not raised, but a cancellation is passed on. Workers give `stopping`: their runs
    make room for other projects, and are queued again when the worker stops. Other runs are cancelled then.
    """
    time_slice = TimeSlice(db, scope, run, report, stopping)
    with logging.bind_context(job_type=run.job_type, run_id=str(run.id), request_id=run.request_id):
        job = asyncio.ensure_future(handler(scope, run, time_slice))
        writer = asyncio.create_task(execution.write_progress(db, scope, run, time_slice, job, heartbeat))
        try:
            await execution.run_to_completion(db, scope, run, job, time_slice, is_worker=stopping is not None)
        finally:
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
    return await get(db, scope, run.id)


async def cancel(db: Database, scope: Scope, run_id: UUID) -> Run:
    """Cancel a queued run at once. A running one is told to stop, which it does within seconds.

    Raises `RunNotFound` and, when the run has ended, `RunIsOver`.
    """
    scope.require("editor")
    async with db.scoped(scope) as conn:
        run = await _get(conn, scope, run_id)
        error = f"Cancelled by {scope.actor.username}."
        if run.status == "queued" and await outcomes.finish(conn, scope, run, "cancelled", error=error):
            return await _get(conn, scope, run_id)
        if not await run_state_queries.request_cancel(conn, scope, run_id):
            raise RunIsOver("The run has ended, so it cannot be cancelled.")
        await queue.abort(conn, JobKey(scope.project_id, run.job_type))
        if run.cancel_requested_at is None:
            await outcomes.record_event(conn, scope, "job.cancel_requested", run, {"by": scope.actor.username})
        return await _get(conn, scope, run_id)


async def wait(db: Database, scope: Scope, run_id: UUID, seconds: float, report: ReportProgress | None = None) -> Run:
    """Wait until the run is over, at most so many seconds. Return it as it is then."""
    deadline = time.monotonic() + seconds
    pause = 0.05
    while True:
        run = await get(db, scope, run_id)
        if report and run.progress:
            report(run.progress["done"], run.progress["total"], run.progress["unit"])
        if run.status not in ACTIVE or time.monotonic() >= deadline:
            return run
        await asyncio.sleep(min(pause, max(0, deadline - time.monotonic())))
        pause = min(pause * 1.5, 1.0)


async def get(db: Database, scope: Scope, run_id: UUID) -> Run:
    """Return a run. Raises `RunNotFound`."""
    async with db.scoped(scope) as conn:
        return await _get(conn, scope, run_id)


async def list_latest(db: Database, scope: Scope) -> list[Run]:
    """Return the newest run of each job type."""
    async with db.scoped(scope) as conn:
        return await run_queries.latest_runs(conn, scope)


async def list_history(
    db: Database, scope: Scope, job_type: str | None, status: str | None, limit: int, offset: int
) -> tuple[list[Run], int]:
    """Return runs, newest first, and their total number."""
    async with db.scoped(scope) as conn:
        runs = await run_queries.run_history(conn, scope, job_type, status, limit, offset)
        return runs, await run_queries.count_runs(conn, scope, job_type, status)


async def delete_old(db: Database, scope: Scope, days: int) -> int:
    """Delete runs that ended so many days ago, but not the last of each job type. Return how many."""
    async with db.scoped(scope) as conn:
        return await run_state_queries.delete_old_runs(conn, scope, days)


async def _find_or_create(
    conn: Conn, scope: Scope, job_type: str, trigger: str, params: dict[str, Any], queue_name: str
) -> RequestedRun | None:
    """Queue a run, or find the open one. Return None when that ended in between."""
    run = await run_state_queries.insert_run(conn, scope, job_type, trigger, params)
    if run is not None:
        await queue.enqueue(conn, [JobKey(scope.project_id, job_type)], queue_name)
        await outcomes.record_event(conn, scope, "job.requested", run, {"trigger": trigger, "params": run.params})
        return RequestedRun(run, False)
    open_run = await run_queries.active_run(conn, scope, job_type)
    return RequestedRun(open_run, True) if open_run else None


async def _replace_lost(conn: Conn, scope: Scope, lost_run: Run) -> Run | None:
    """Mark a run as lost and add its next attempt. Return None when there is none."""
    if not await outcomes.mark_lost(conn, scope, lost_run):
        return None
    log.warning("lost run", run_id=str(lost_run.id), job_type=lost_run.job_type, attempt=lost_run.attempt)
    if outcomes.is_last_attempt(lost_run) or lost_run.cancel_requested_at is not None:
        return None
    run = await run_state_queries.insert_run(
        conn, scope, lost_run.job_type, lost_run.trigger, lost_run.params, attempts=lost_run.attempt
    )
    assert run is not None, "the schedule is locked, and the lost run has ended"
    payload = {"lost": str(lost_run.id), "attempt": lost_run.attempt + 1}
    await outcomes.record_event(conn, scope, "job.retried", run, payload)
    return run


async def _get(conn: Conn, scope: Scope, run_id: UUID) -> Run:
    run = await run_queries.run_by_id(conn, scope, run_id)
    if run is None:
        raise RunNotFound("This project has no such run.")
    return run
