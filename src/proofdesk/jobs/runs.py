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
from proofdesk.core.progress import Report
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Conflict, NotFound
from proofdesk.jobs import execution, fairness, outcomes, run_queries
from proofdesk.jobs.execution import Outcome, Work
from proofdesk.jobs.fairness import Turn
from proofdesk.jobs.outcomes import this_runner
from proofdesk.jobs.run_queries import Run
from proofdesk.projects.scope import Scope

__all__ = ["Outcome", "Work"]

HEARTBEAT_SECONDS = 2.0
ACTIVE = ("queued", "running")


@dataclass(frozen=True)
class Requested:
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
) -> Requested:
    """Queue a run for the workers, or join the one that is under way."""
    async with db.scoped(scope) as conn:
        asked = await _ask(conn, scope, job_type, trigger, params or {}, None)
        if asked and not asked.joined:
            await fairness.offer(conn, scope, asked.run.id)
    return asked or await request(db, scope, job_type, trigger, params)


async def request_after(db: Database, scope: Scope, job_type: str, trigger: str) -> Requested:
    """Queue a run that sees everything committed until now.

    A run that is running already may have looked for work before that: its worker runs it once more.
    """
    async with db.scoped(scope) as conn:
        asked = await _ask(conn, scope, job_type, trigger, {}, None)
        if asked and not asked.joined:
            await fairness.offer(conn, scope, asked.run.id)
        if asked and asked.run.status == "running" and not await run_queries.request_again(conn, scope, asked.run.id):
            asked = None  # it ended in between
    return asked or await request_after(db, scope, job_type, trigger)


async def begin(
    db: Database, scope: Scope, job_type: str, trigger: str, params: dict[str, Any] | None = None
) -> Requested:
    """Start a run in this process, without the workers, or join the one that is under way."""
    async with db.scoped(scope) as conn:
        asked = await _ask(conn, scope, job_type, trigger, params or {}, this_runner())
    return asked or await begin(db, scope, job_type, trigger, params)


async def retry(conn: Conn, scope: Scope, lost: Run) -> None:
    """Queue another try of a run that lost its worker, unless there is one already."""
    run = await run_queries.insert(conn, scope, lost.job_type, lost.trigger, lost.params, attempts=lost.attempt)
    if run is not None:
        await fairness.offer(conn, scope, run.id)
        await outcomes.record(conn, scope, "job.retried", run, {"lost": str(lost.id), "attempt": lost.attempt + 1})


async def claim(db: Database, scope: Scope, run_id: UUID) -> Run | None:
    """Take a queued run for this process; None when another has it or it is over."""
    async with db.scoped(scope) as conn:
        return await run_queries.claim(conn, scope, run_id, this_runner())


async def carry_out(
    db: Database,
    scope: Scope,
    run: Run,
    work: Work,
    report: Report | None = None,
    *,
    stopping: asyncio.Event | None = None,
    heartbeat: float = HEARTBEAT_SECONDS,
) -> Run:
    """Do the work of a run that this process has, beating its heart meanwhile; the run as it is then.

    Whatever goes wrong ends up in the run, not in an exception, except that being stopped is passed on. A worker gives
    `stopping`: its runs make room for other projects, and are handed on when it stops; others are cancelled then.
    """
    turn = Turn(db, scope, run, report, stopping)
    with logging.bound(job_type=run.job_type, run_id=str(run.id), request_id=run.request_id):
        job = asyncio.ensure_future(work(scope, run, turn))
        heart = asyncio.create_task(execution.beat(db, scope, run, turn, job, heartbeat))
        try:
            await execution.see_through(db, scope, run, job, turn, is_worker=stopping is not None)
        finally:
            heart.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await heart
    return await find(db, scope, run.id)


async def cancel(db: Database, scope: Scope, run_id: UUID) -> Run:
    """Cancel a queued run at once; have one that is running stop, which it does within seconds.

    Raises `RunNotFound` and, when the run has ended, `RunIsOver`.
    """
    async with db.scoped(scope) as conn:
        run = await _existing(conn, scope, run_id)
        by = f"Cancelled by {scope.actor.username}."
        if run.status == "queued" and await outcomes.finish(conn, scope, run, "cancelled", error=by):
            return await _existing(conn, scope, run_id)
        if not await run_queries.request_cancel(conn, scope, run_id):
            raise RunIsOver("The run has ended; there is nothing to cancel.")
        if run.cancel_requested_at is None:
            await outcomes.record(conn, scope, "job.cancel_requested", run, {"by": scope.actor.username})
        return await _existing(conn, scope, run_id)


async def wait(db: Database, scope: Scope, run_id: UUID, seconds: float, report: Report | None = None) -> Run:
    """Wait until the run is over, at most so long; the run as it is then."""
    until = time.monotonic() + seconds
    pause = 0.05
    while True:
        run = await find(db, scope, run_id)
        if report and run.progress:
            report(run.progress["done"], run.progress["total"], run.progress["unit"])
        if run.status not in ACTIVE or time.monotonic() >= until:
            return run
        await asyncio.sleep(min(pause, max(0, until - time.monotonic())))
        pause = min(pause * 1.5, 1.0)


async def find(db: Database, scope: Scope, run_id: UUID) -> Run:
    """One run. Raises `RunNotFound`."""
    async with db.scoped(scope) as conn:
        return await _existing(conn, scope, run_id)


async def latest(db: Database, scope: Scope) -> list[Run]:
    """The newest run of each job type."""
    async with db.scoped(scope) as conn:
        return await run_queries.latest_runs(conn, scope)


async def history(
    db: Database, scope: Scope, job_type: str | None, status: str | None, limit: int, offset: int
) -> tuple[list[Run], int]:
    """Runs, newest first, and how many there are in all."""
    async with db.scoped(scope) as conn:
        runs = await run_queries.run_history(conn, scope, job_type, status, limit, offset)
        return runs, await run_queries.count_runs(conn, scope, job_type, status)


async def forget_old(db: Database, scope: Scope, days: int) -> int:
    """Remove runs that ended so many days ago, but the last of each job type; how many."""
    async with db.scoped(scope) as conn:
        return await run_queries.delete_old_runs(conn, scope, days)


async def _ask(
    conn: Conn, scope: Scope, job_type: str, trigger: str, params: dict[str, Any], runner: str | None
) -> Requested | None:
    """Make a run, or find the one under way; None when that ended in between."""
    attempts = 0
    found = await run_queries.under_way(conn, scope, job_type)
    if found is not None and found.status == "running" and outcomes.is_lost(found.runner, found.heartbeat_at):
        await outcomes.bury(conn, scope, found)
        attempts = found.attempt
    run = await run_queries.insert(conn, scope, job_type, trigger, params, runner=runner, attempts=attempts)
    if run is not None:
        await outcomes.record(conn, scope, "job.requested", run, {"trigger": trigger, "params": run.params})
        return Requested(run, False)
    joined = await run_queries.under_way(conn, scope, job_type)
    return Requested(joined, True) if joined else None


async def _existing(conn: Conn, scope: Scope, run_id: UUID) -> Run:
    run = await run_queries.run_by_id(conn, scope, run_id)
    if run is None:
        raise RunNotFound("This project has no such run.")
    return run
