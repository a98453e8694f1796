"""How runs end, or go on elsewhere; the schedule learns of it and the audit trail tells of it."""

import contextlib
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil

from proofdesk.audit import events
from proofdesk.database.rows import Conn
from proofdesk.jobs import fairness, run_queries, schedule_queries, schedules
from proofdesk.jobs.run_queries import Run
from proofdesk.projects.scope import Scope

LOST_AFTER = timedelta(seconds=45)
"""A run that was not heard of for so long has lost its worker; heartbeats come every two seconds."""
MAX_ATTEMPTS = 10
"""Runs of a job in a row that lose their worker before it is not tried again, when the last one came to nothing."""
MAX_ATTEMPTS_WITH_PROGRESS = 100
"""The same when each got on a bit: workers are killed for reasons of their own, too."""


async def finish(
    conn: Conn, scope: Scope, run: Run, status: str, *, pause_for: str | None = None, **ending: Any
) -> bool:
    """End a run, as `queries.finish` does; False when it is over already or another's by now.

    With `pause_for` the schedule pauses itself. The schedule is locked before the run: so does the tick.
    """
    schedule = await schedule_queries.lock_schedule(conn, scope, run.job_type)
    if not await run_queries.finish_run(conn, scope, run.id, status, runner=run.runner, **ending):
        return False
    if schedule is not None:
        await schedules.record_outcome(conn, scope, schedule, status, ending.get("error"), pause_for)
    await _record_end(conn, scope, run, status, ending)
    return True


async def requeue(
    conn: Conn, scope: Scope, run: Run, processed: int, progress: dict[str, Any] | None, meta: dict[str, Any]
) -> bool:
    """Give a running run back to the queue's end; False when it is over or another's by now."""
    kept = await run_queries.requeue_run(
        conn, scope, run.id, runner=run.runner, processed=processed, progress=progress, meta=meta
    )
    if kept:
        await fairness.enqueue(conn, scope, run.id)
    return kept


async def complete(
    conn: Conn, scope: Scope, run: Run, processed: int, progress: dict[str, Any] | None, meta: dict[str, Any]
) -> bool:
    """End a run whose work is done, or queue it again when new work was requested after it had looked for work."""
    await schedule_queries.lock_schedule(conn, scope, run.job_type)  # before the run, as `finish` does
    if await run_queries.is_requested_again(conn, scope, run.id):
        return await requeue(conn, scope, run, processed, progress, meta | {"requested_again": False})
    return await finish(conn, scope, run, "ok", processed=processed, progress=progress, meta=meta)


async def mark_lost(conn: Conn, scope: Scope, run: Run) -> bool:
    """End a run whose worker was lost; False when it is over already. After the last attempt the schedule pauses."""
    if run.cancel_requested_at:
        return await finish(conn, scope, run, "cancelled", error="Cancelled; its worker was lost before that.")
    details = {"code": "worker_lost", "runner": run.runner}
    error = "The process that ran this job ended without a word."
    if is_last_attempt(run):
        error += f" That was attempt {run.attempt}: it is not tried again until somebody asks for it or resumes it."
    pause_for = "worker_lost" if is_last_attempt(run) else None
    return await finish(conn, scope, run, "failed", error=error, details=details, pause_for=pause_for)


def is_last_attempt(run: Run) -> bool:
    """Whether a job that lost its worker once more is not tried again: it may be what kills them."""
    return run.attempt >= (MAX_ATTEMPTS if run.progress is None else MAX_ATTEMPTS_WITH_PROGRESS)


def has_lost_worker(runner: str | None, heartbeat_at: datetime | None, after: timedelta = LOST_AFTER) -> bool:
    """Whether the process that has a run is gone: silent for long or, on this machine, not running any more."""
    if heartbeat_at is None or datetime.now(UTC) - heartbeat_at > after:
        return True
    host, pid, started = (runner or "::").rsplit(":", 2)
    if host != socket.gethostname():
        return False
    with contextlib.suppress(psutil.Error, ValueError):
        return f"{psutil.Process(int(pid)).create_time():.2f}" != started
    return True


def current_runner() -> str:
    """This process, told apart from an earlier one that had the same number."""
    process = psutil.Process()
    return f"{socket.gethostname()}:{process.pid}:{process.create_time():.2f}"


async def record_event(
    conn: Conn, scope: Scope, action: str, run: Run, payload: dict[str, Any], status: str = "ok"
) -> None:
    """Tell of something that happened to a run, with the request that the run came from."""
    told = {"job_type": run.job_type} | payload
    actor = replace(scope.actor, request_id=run.request_id)
    await events.record(conn, actor, action, "worker_run", run.id, scope=scope, status=status, payload=told)


async def _record_end(conn: Conn, scope: Scope, run: Run, status: str, ending: dict[str, Any]) -> None:
    """What a run did, in numbers: no text of messages, no list that grows with what was read."""
    result = (ending.get("meta") or {}).get("result", {})
    told = {
        "processed": run.processed_count + ending.get("processed", 0),
        "counts": {name: value for name, value in result.items() if isinstance(value, int)},
        "error_code": (ending.get("details") or {}).get("code"),
    }
    await record_event(conn, scope, "job.finished", run, told, status)
