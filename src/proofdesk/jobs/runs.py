"""Runs: asked for, joined, carried out, waited for. Two of one job type in one project never overlap.

queued ──claim──▶ running ──▶ ok | failed | cancelled. A run whose turn is over, or whose worker stops, goes back to
queued with what it did so far. One whose worker is lost fails as `worker_lost`, and `recovery` has it tried again.
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
from proofdesk.jobs import execution, fairness, outcomes, run_queries
from proofdesk.jobs.execution import RunHandler, RunOutcome
from proofdesk.jobs.fairness import TimeSlice
from proofdesk.jobs.outcomes import current_runner
from proofdesk.jobs.run_queries import Run
from proofdesk.projects.scope import Scope

__all__ = ["RunHandler", "RunOutcome"]

HEARTBEAT_SECONDS = 2.0
MAX_WAIT_SECONDS = 600
ACTIVE = ("queued", "running")


@dataclass(frozen=True)
class RequestedRun:
    """The run that serves a request; `joined` when it was under way already."""

    run: Run
    joined: bool


class RunNotFound(NotFound):
    """The project has no such run."""

    code = "run_not_found"


class RunIsOver(Conflict):
    """The run has ended: there is nothing to cancel."""

    code = "run_is_over"


async def request(
    db: Database, scope: Scope, job_type: str, trigger: str, params: dict[str, Any] | None = None
) -> RequestedRun:
    """Queue a run for the workers, or join the one that is under way."""
    async with db.scoped(scope) as conn:
        asked = await _find_or_create(conn, scope, job_type, trigger, params or {}, None)
        if asked and not asked.joined:
            await fairness.enqueue(conn, scope, asked.run.id)
    return asked or await request(db, scope, job_type, trigger, params)


async def request_after(db: Database, scope: Scope, job_type: str, trigger: str) -> RequestedRun:
    """Queue a run that sees everything committed until now.

    A run that is running already may have looked for work before that: its worker runs it once more.
    """
    async with db.scoped(scope) as conn:
        asked = await _find_or_create(conn, scope, job_type, trigger, {}, None)
        if asked and not asked.joined:
            await fairness.enqueue(conn, scope, asked.run.id)
        if asked and asked.run.status == "running" and not await run_queries.request_again(conn, scope, asked.run.id):
            asked = None  # it ended in between
    return asked or await request_after(db, scope, job_type, trigger)


async def start(
    db: Database, scope: Scope, job_type: str, trigger: str, params: dict[str, Any] | None = None
) -> RequestedRun:
    """Start a run in this process, without the workers, or join the one that is under way."""
    async with db.scoped(scope) as conn:
        asked = await _find_or_create(conn, scope, job_type, trigger, params or {}, current_runner())
    return asked or await start(db, scope, job_type, trigger, params)


async def retry(conn: Conn, scope: Scope, lost_run: Run) -> None:
    """Queue another try of a run that lost its worker, unless there is one already."""
    run = await run_queries.insert_run(
        conn, scope, lost_run.job_type, lost_run.trigger, lost_run.params, attempts=lost_run.attempt
    )
    if run is not None:
        await fairness.enqueue(conn, scope, run.id)
        await outcomes.record_event(
            conn, scope, "job.retried", run, {"lost": str(lost_run.id), "attempt": lost_run.attempt + 1}
        )


async def claim(db: Database, scope: Scope, run_id: UUID) -> Run | None:
    """Take a queued run for this process; None when another has it or it is over."""
    async with db.scoped(scope) as conn:
        return await run_queries.claim_run(conn, scope, run_id, current_runner())


async def execute(
    db: Database,
    scope: Scope,
    run: Run,
    work: RunHandler,
    report: ReportProgress | None = None,
    *,
    stopping: asyncio.Event | None = None,
    heartbeat: float = HEARTBEAT_SECONDS,
) -> Run:
    """Do the work of a run that this process has, beating its heart meanwhile; the run as it is then.

    Whatever goes wrong ends up in the run, not in an exception, except that being stopped is passed on. A worker gives
    `stopping`: its runs make room for other projects, and are handed on when it stops; others are cancelled then.
    """
    turn = TimeSlice(db, scope, run, report, stopping)
    with logging.bind_context(job_type=run.job_type, run_id=str(run.id), request_id=run.request_id):
        job = asyncio.ensure_future(work(scope, run, turn))
        heart = asyncio.create_task(execution.send_heartbeats(db, scope, run, turn, job, heartbeat))
        try:
            await execution.run_to_completion(db, scope, run, job, turn, is_worker=stopping is not None)
        finally:
            heart.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await heart
    return await get(db, scope, run.id)


async def cancel(db: Database, scope: Scope, run_id: UUID) -> Run:
    """Cancel a queued run at once; have one that is running stop, which it does within seconds.

    Raises `RunNotFound` and, when the run has ended, `RunIsOver`.
    """
    async with db.scoped(scope) as conn:
        run = await _get(conn, scope, run_id)
        by = f"Cancelled by {scope.actor.username}."
        if run.status == "queued" and await outcomes.finish(conn, scope, run, "cancelled", error=by):
            return await _get(conn, scope, run_id)
        if not await run_queries.request_cancel(conn, scope, run_id):
            raise RunIsOver("The run has ended; there is nothing to cancel.")
        if run.cancel_requested_at is None:
            await outcomes.record_event(conn, scope, "job.cancel_requested", run, {"by": scope.actor.username})
        return await _get(conn, scope, run_id)


async def wait(db: Database, scope: Scope, run_id: UUID, seconds: float, report: ReportProgress | None = None) -> Run:
    """Wait until the run is over, at most so long; the run as it is then."""
    until = time.monotonic() + seconds
    pause = 0.05
    while True:
        run = await get(db, scope, run_id)
        if report and run.progress:
            report(run.progress["done"], run.progress["total"], run.progress["unit"])
        if run.status not in ACTIVE or time.monotonic() >= until:
            return run
        await asyncio.sleep(min(pause, max(0, until - time.monotonic())))
        pause = min(pause * 1.5, 1.0)


async def get(db: Database, scope: Scope, run_id: UUID) -> Run:
    """One run. Raises `RunNotFound`."""
    async with db.scoped(scope) as conn:
        return await _get(conn, scope, run_id)


async def list_latest(db: Database, scope: Scope) -> list[Run]:
    """The newest run of each job type."""
    async with db.scoped(scope) as conn:
        return await run_queries.latest_runs(conn, scope)


async def list_history(
    db: Database, scope: Scope, job_type: str | None, status: str | None, limit: int, offset: int
) -> tuple[list[Run], int]:
    """Runs, newest first, and how many there are in all."""
    async with db.scoped(scope) as conn:
        runs = await run_queries.run_history(conn, scope, job_type, status, limit, offset)
        return runs, await run_queries.count_runs(conn, scope, job_type, status)


async def delete_old(db: Database, scope: Scope, days: int) -> int:
    """Remove runs that ended so many days ago, but the last of each job type; how many."""
    async with db.scoped(scope) as conn:
        return await run_queries.delete_old_runs(conn, scope, days)


async def _find_or_create(
    conn: Conn, scope: Scope, job_type: str, trigger: str, params: dict[str, Any], runner: str | None
) -> RequestedRun | None:
    """Make a run, or find the one under way; None when that ended in between."""
    attempts = 0
    found = await run_queries.active_run(conn, scope, job_type)
    if found is not None and found.status == "running" and outcomes.has_lost_worker(found.runner, found.heartbeat_at):
        await outcomes.mark_lost(conn, scope, found)
        attempts = found.attempt
    run = await run_queries.insert_run(conn, scope, job_type, trigger, params, runner=runner, attempts=attempts)
    if run is not None:
        await outcomes.record_event(conn, scope, "job.requested", run, {"trigger": trigger, "params": run.params})
        return RequestedRun(run, False)
    joined = await run_queries.active_run(conn, scope, job_type)
    return RequestedRun(joined, True) if joined else None


async def _get(conn: Conn, scope: Scope, run_id: UUID) -> Run:
    run = await run_queries.run_by_id(conn, scope, run_id)
    if run is None:
        raise RunNotFound("This project has no such run.")
    return run
