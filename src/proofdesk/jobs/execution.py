"""The execution of a run: its progress is written while it runs, and its outcome at the end."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from proofdesk import logging
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import ProofdeskError, Unavailable
from proofdesk.jobs import outcomes, run_state_queries
from proofdesk.jobs.run_queries import Run
from proofdesk.jobs.time_slices import TimeSlice
from proofdesk.projects.scope import Scope

log = logging.get_logger(__name__)

WRITE_TIMEOUT = 30.0
"""Seconds for which a run that is done waits for the database. After that it counts as lost and is tried again."""


@dataclass(frozen=True)
class RunOutcome:
    """What a handler returns: the number of items of this time slice, and the result for `meta["result"]`.

    `finished` is False when work is left. The next time slice finds the result in `run.meta`.
    """

    processed: int
    result: dict[str, Any]
    finished: bool = True


RunHandler = Callable[[Scope, Run, TimeSlice], Awaitable[RunOutcome]]


async def run_to_completion(
    db: Database, scope: Scope, run: Run, job: asyncio.Future[RunOutcome], time_slice: TimeSlice, *, is_worker: bool
) -> None:
    """Wait for the job and write its outcome. Raises only `CancelledError`, when this task is cancelled."""
    try:
        await _record(db, scope, run, await job, time_slice, is_worker=is_worker)
    except ProofdeskError as error:
        details = {"code": error.code, **error.details}
        pause_for = error.code if error.pauses else None
        await _fail(db, scope, run, time_slice, error.message, details, pause_for)
        # After the outcome is stored: a log that cannot be written must not leave the run open.
        log.warning("run failed", error=error.message, code=error.code)
    except asyncio.CancelledError:
        if time_slice.is_taken_away:
            return
        await asyncio.shield(_stop(db, scope, run, time_slice, is_worker=is_worker))
        raise
    except Exception as error:
        message = f"Unexpected {type(error).__name__}. See the log of this run for details."
        await _fail(db, scope, run, time_slice, message, {"code": "internal_error"})
        log.exception("run crashed")


async def write_progress(
    db: Database, scope: Scope, run: Run, time_slice: TimeSlice, job: asyncio.Future[Any], seconds: float
) -> None:
    """Write the progress of the run every so many seconds. Cancel its job when another process has the run."""
    while True:
        await asyncio.sleep(seconds)
        try:
            async with db.scoped(scope) as conn:
                is_ours = await run_state_queries.record_heartbeat(
                    conn, scope, run.id, run.runner or "", time_slice.progress
                )
        except ProofdeskError:
            continue  # The database is away. The job fails if it stays away.
        if not is_ours:
            time_slice.is_taken_away = True
            job.cancel()
            return


async def _record(
    db: Database, scope: Scope, run: Run, outcome: RunOutcome, time_slice: TimeSlice, *, is_worker: bool
) -> None:
    """Write what a run did. It ends, or is queued again when work is left or was requested meanwhile."""
    processed, progress, meta = outcome.processed, time_slice.progress, {"result": outcome.result}

    def write(conn: Conn) -> Awaitable[bool]:
        if not outcome.finished:
            return outcomes.requeue(conn, scope, run, processed, progress, meta)
        if is_worker:
            return outcomes.complete(conn, scope, run, processed, progress, meta)
        return outcomes.finish(conn, scope, run, "ok", processed=processed, progress=progress, meta=meta)

    await _write(db, scope, write)


async def _fail(
    db: Database,
    scope: Scope,
    run: Run,
    time_slice: TimeSlice,
    error: str,
    details: dict[str, Any],
    pause_for: str | None = None,
) -> None:
    result = {"error": error, "details": details, "processed": time_slice.done, "progress": time_slice.progress}
    await _write(db, scope, lambda conn: outcomes.finish(conn, scope, run, "failed", pause_for=pause_for, **result))


async def _stop(db: Database, scope: Scope, run: Run, time_slice: TimeSlice, *, is_worker: bool) -> None:
    done, progress = time_slice.done, time_slice.progress
    await _write(
        db, scope, lambda conn: outcomes.stop(conn, scope, run, done, progress, is_worker=is_worker), seconds=0
    )


async def _write(
    db: Database, scope: Scope, write: Callable[[Conn], Awaitable[bool]], seconds: float = WRITE_TIMEOUT
) -> None:
    """Write the outcome of a run, trying again while the database is away."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            async with db.scoped(scope) as conn:
                await write(conn)
            return
        except Unavailable as error:
            if time.monotonic() >= deadline:
                log.warning("the outcome of the run could not be written", error=error.message)
                return
            await asyncio.sleep(1)
