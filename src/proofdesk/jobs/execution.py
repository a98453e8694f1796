"""The work of a run is seen through: its heart beats meanwhile, and whatever becomes of it is noted in the run."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from proofdesk import logging
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import ProofdeskError, Unavailable
from proofdesk.jobs import outcomes, run_queries
from proofdesk.jobs.fairness import TimeSlice
from proofdesk.jobs.run_queries import Run
from proofdesk.projects.scope import Scope

log = logging.get_logger(__name__)

WRITE_TIMEOUT = 30.0
"""Seconds for which a run that is done waits for the database to note it. After that, recovery has it tried again."""


@dataclass(frozen=True)
class RunOutcome:
    """What a job gives back: how many items it processed in this turn, and its result for `meta["result"]`.

    When it left off before its end, `finished` is False, and the next turn finds the result in `run.meta`.
    """

    processed: int
    result: dict[str, Any]
    finished: bool = True


RunHandler = Callable[[Scope, Run, TimeSlice], Awaitable[RunOutcome]]


async def run_to_completion(
    db: Database, scope: Scope, run: Run, job: asyncio.Future[RunOutcome], turn: TimeSlice, *, is_worker: bool
) -> None:
    """Wait for the work and note how it ended. Raises only `CancelledError`, when this task is stopped."""

    async def end(status: str, patience: float = WRITE_TIMEOUT, **ending: Any) -> None:
        await _note(
            db,
            scope,
            lambda conn: outcomes.finish(conn, scope, run, status, progress=turn.progress, **ending),
            patience,
        )

    async def hand_on(processed: int, patience: float = WRITE_TIMEOUT, **meta: Any) -> None:
        await _note(
            db, scope, lambda conn: outcomes.requeue(conn, scope, run, processed, turn.progress, meta), patience
        )

    try:
        await _record(db, scope, run, await job, turn, is_worker=is_worker)
    except ProofdeskError as error:
        log.warning("run failed", error=error.message, code=error.code)
        details = {"code": error.code, **error.details}
        pause_for = error.code if error.pauses else None
        await end("failed", error=error.message, details=details, processed=turn.done, pause_for=pause_for)
    except asyncio.CancelledError:
        if turn.is_cancelled:
            await end("cancelled", error="Cancelled while it ran.", processed=turn.done)
        elif not turn.is_taken_away:
            stopped = hand_on(0, 0) if is_worker else end("cancelled", 0, error="Stopped.", processed=turn.done)
            await asyncio.shield(stopped)
            raise
    except Exception as error:
        log.exception("run crashed")
        message = f"Unexpected {type(error).__name__}; the log of this run has the details."
        await end("failed", error=message, details={"code": "internal_error"}, processed=turn.done)


async def send_heartbeats(
    db: Database, scope: Scope, run: Run, turn: TimeSlice, job: asyncio.Future[Any], seconds: float
) -> None:
    """Say every so often that the run is alive and how far it is; stop its work when it is cancelled or taken away."""
    while True:
        await asyncio.sleep(seconds)
        try:
            async with db.scoped(scope) as conn:
                cancelled = await run_queries.record_heartbeat(conn, scope, run.id, run.runner or "", turn.progress)
        except ProofdeskError:
            continue  # the database is away for a moment; the work will notice if it stays away
        if cancelled is not False:
            turn.is_cancelled, turn.is_taken_away = bool(cancelled), cancelled is None
            job.cancel()
            return


async def _record(
    db: Database, scope: Scope, run: Run, outcome: RunOutcome, turn: TimeSlice, *, is_worker: bool
) -> None:
    """Write what a run did: it ends, or is queued again when work is left or was requested meanwhile."""
    processed, progress, meta = outcome.processed, turn.progress, {"result": outcome.result}

    def note(conn: Conn) -> Awaitable[bool]:
        if not outcome.finished:
            return outcomes.requeue(conn, scope, run, processed, progress, meta)
        if is_worker:
            return outcomes.complete(conn, scope, run, processed, progress, meta)
        return outcomes.finish(conn, scope, run, "ok", processed=processed, progress=progress, meta=meta)

    await _note(db, scope, note, WRITE_TIMEOUT)


async def _note(db: Database, scope: Scope, note: Callable[[Conn], Awaitable[bool]], patience: float) -> None:
    """Write how a run ended, trying again while the database is away."""
    until = time.monotonic() + patience
    while True:
        try:
            async with db.scoped(scope) as conn:
                await note(conn)
            return
        except Unavailable as error:
            if time.monotonic() >= until:
                log.warning("the end of the run could not be noted", error=error.message)
                return
            await asyncio.sleep(1)
