"""Runs: asked for, joined, carried out, waited for. Two of one job type in one project never overlap.

queued ──claim──▶ running ──▶ ok | failed | cancelled. A run whose runner is lost becomes failed (`worker_lost`)
when somebody next asks for the job.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psutil

from proofdesk import logs
from proofdesk.audit import trail
from proofdesk.db import queue
from proofdesk.db.pool import Database
from proofdesk.db.rows import Conn
from proofdesk.errors import NotFound, ProofdeskError
from proofdesk.progress import Report
from proofdesk.projects.scope import Scope
from proofdesk.scheduler import queries
from proofdesk.scheduler.queries import Run

log = logs.get(__name__)

HEARTBEAT_SECONDS = 2.0
LOST_AFTER = timedelta(seconds=60)
ACTIVE = ("queued", "running")


@dataclass(frozen=True)
class Requested:
    """The run that serves a request; `joined` when it was under way already."""

    run: Run
    joined: bool


@dataclass(frozen=True)
class Outcome:
    """What a job gives back: how many items it processed, and its result for `meta["result"]`."""

    processed: int
    result: dict[str, Any]


Work = Callable[[Scope, Run, Report], Awaitable[Outcome]]


class RunNotFound(NotFound):
    """The project has no such run."""

    code = "run_not_found"


def this_runner() -> str:
    """This process, told apart from an earlier one that had the same number."""
    process = psutil.Process()
    return f"{socket.gethostname()}:{process.pid}:{process.create_time():.2f}"


async def request(
    db: Database, scope: Scope, job_type: str, trigger: str, params: dict[str, Any] | None = None
) -> Requested:
    """Queue a run for the workers, or join the one that is under way."""
    async with db.scoped(scope) as conn:
        await _bury_lost(conn, scope, job_type)
        run = await queries.insert(conn, scope, job_type, trigger, params or {}, None)
        if run is not None:
            await _put(conn, scope, run)
            await _record(conn, scope, "job.requested", run, {"trigger": trigger, "params": run.params})
            return Requested(run, False)
        joined = await queries.under_way(conn, scope, job_type)
        if joined is not None and joined.status == "queued" and _waits_long(joined):
            # A worker that was killed between taking the job and claiming the run took the job along. One job more
            # does no harm: a run is claimed once.
            await _put(conn, scope, joined)
    return Requested(joined, True) if joined else await request(db, scope, job_type, trigger, params)


async def begin(
    db: Database, scope: Scope, job_type: str, trigger: str, params: dict[str, Any] | None = None
) -> Requested:
    """Start a run in this process, without the workers, or join the one that is under way."""
    async with db.scoped(scope) as conn:
        await _bury_lost(conn, scope, job_type)
        run = await queries.insert(conn, scope, job_type, trigger, params or {}, this_runner())
        if run is not None:
            await _record(conn, scope, "job.requested", run, {"trigger": trigger, "params": run.params})
            return Requested(run, False)
        joined = await queries.under_way(conn, scope, job_type)
    return Requested(joined, True) if joined else await begin(db, scope, job_type, trigger, params)


async def claim(db: Database, scope: Scope, run_id: UUID) -> Run | None:
    """Take a queued run for this process; None when another has it or it is over."""
    async with db.scoped(scope) as conn:
        return await queries.claim(conn, scope, run_id, this_runner())


async def carry_out(db: Database, scope: Scope, run: Run, work: Work, report: Report | None = None) -> Run:
    """Do the work of a run that this process has, beating its heart meanwhile; the run as it ended.

    Whatever goes wrong ends up in the run, not in an exception, except that being stopped is passed on.
    """
    pulse = _Pulse(report)
    with logs.bound(job_type=run.job_type, run_id=str(run.id), request_id=run.request_id):
        job = asyncio.ensure_future(work(scope, run, pulse.report))
        heart = asyncio.create_task(_beat(db, scope, run, pulse, job))
        try:
            outcome = await job
            await _finish(db, scope, run, "ok", processed=outcome.processed, meta={"result": outcome.result})
        except ProofdeskError as error:
            log.warning("run failed", error=error.message, code=error.code)
            details = {"code": error.code, **error.details}
            await _finish(db, scope, run, "failed", error=error.message, details=details, processed=pulse.done)
        except asyncio.CancelledError:
            if pulse.cancelled:
                await _finish(db, scope, run, "cancelled", error="Cancelled.", processed=pulse.done)
            else:
                details = {"code": "worker_stopped"}
                stop = _finish(db, scope, run, "failed", error="The worker was stopped.", details=details)
                await asyncio.shield(stop)
                raise
        except Exception as error:
            log.exception("run crashed")
            message = f"Unexpected {type(error).__name__}; the log of this run has the details."
            await _finish(db, scope, run, "failed", error=message, details={"code": "internal_error"})
        finally:
            heart.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await heart
    return await find(db, scope, run.id)


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
        run = await queries.run_by_id(conn, scope, run_id)
    if run is None:
        raise RunNotFound("This project has no such run.")
    return run


async def latest(db: Database, scope: Scope) -> list[Run]:
    """The newest run of each job type."""
    async with db.scoped(scope) as conn:
        return await queries.latest_runs(conn, scope)


async def history(
    db: Database, scope: Scope, job_type: str | None, status: str | None, limit: int, offset: int
) -> tuple[list[Run], int]:
    """Runs, newest first, and how many there are in all."""
    async with db.scoped(scope) as conn:
        runs = await queries.run_history(conn, scope, job_type, status, limit, offset)
        return runs, await queries.count_runs(conn, scope, job_type, status)


class _Pulse:
    """What the work last reported, for the heartbeat to store."""

    def __init__(self, listener: Report | None):
        self.listener = listener
        self.progress: dict[str, Any] | None = None
        self.cancelled = False

    @property
    def done(self) -> int:
        return self.progress["done"] if self.progress else 0

    def report(self, done: int, total: int | None, unit: str) -> None:
        self.progress = {"done": done, "total": total, "unit": unit}
        if self.listener:
            self.listener(done, total, unit)


async def _beat(db: Database, scope: Scope, run: Run, pulse: _Pulse, job: asyncio.Future[Any]) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        try:
            async with db.scoped(scope) as conn:
                mine = await queries.beat(conn, scope, run.id, run.runner or "", pulse.progress)
        except ProofdeskError:
            continue  # the database is away for a moment; the work will notice if it stays away
        if not mine:
            pulse.cancelled = True
            job.cancel()
            return


async def _finish(db: Database, scope: Scope, run: Run, status: str, **ending: Any) -> None:
    async with db.scoped(scope) as conn:
        ended = await queries.finish(conn, scope, run.id, status, **ending)
        await queries.settle_schedule(conn, scope, run.job_type, status, ending.get("error"))
        if ended:
            await _record_end(conn, scope, run, status, ending)


async def _record_end(conn: Conn, scope: Scope, run: Run, status: str, ending: dict[str, Any]) -> None:
    """What a run did, in numbers: no text of messages, no list that grows with what was read."""
    result = (ending.get("meta") or {}).get("result", {})
    told = {
        "processed": ending.get("processed", 0),
        "counts": {name: value for name, value in result.items() if isinstance(value, int)},
        "error_code": (ending.get("details") or {}).get("code"),
    }
    await _record(conn, scope, "job.finished", run, told, status)


async def _record(conn: Conn, scope: Scope, action: str, run: Run, payload: dict[str, Any], status: str = "ok") -> None:
    told = {"job_type": run.job_type} | payload
    actor = replace(scope.actor, request_id=run.request_id)
    await trail.record(conn, actor, action, "worker_run", run.id, scope=scope, status=status, payload=told)


async def _bury_lost(conn: Conn, scope: Scope, job_type: str) -> None:
    run = await queries.under_way(conn, scope, job_type)
    if run is not None and run.status == "running" and _is_lost(run):
        details = {"code": "worker_lost", "runner": run.runner}
        error = "The process that ran this job ended without a word."
        if await queries.finish(conn, scope, run.id, "failed", error=error, details=details):
            await _record_end(conn, scope, run, "failed", {"details": details})


async def _put(conn: queries.Conn, scope: Scope, run: Run) -> None:
    await queue.put(conn, "run", project_id=str(scope.project_id), run_id=str(run.id))


def _waits_long(run: Run) -> bool:
    return datetime.now(UTC) - run.created_at > LOST_AFTER


def _is_lost(run: Run) -> bool:
    if run.heartbeat_at is None or datetime.now(UTC) - run.heartbeat_at > LOST_AFTER:
        return True
    host, pid, started = (run.runner or "::").rsplit(":", 2)
    if host != socket.gethostname():
        return False
    try:
        return f"{psutil.Process(int(pid)).create_time():.2f}" != started
    except (psutil.Error, ValueError):
        return True
