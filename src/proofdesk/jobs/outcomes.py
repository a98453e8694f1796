"""How a run ends or goes on: its row, its schedule and its audit event, in one transaction."""

import socket
from dataclasses import replace
from typing import Any

import psutil

from proofdesk.audit import events
from proofdesk.database.rows import Conn
from proofdesk.jobs import queue, run_state_queries, schedule_queries, schedules
from proofdesk.jobs.queue import JobKey
from proofdesk.jobs.run_queries import Run
from proofdesk.projects.scope import Scope

MAX_ATTEMPTS = 10
"""Runs of a job in a row that may lose their worker, when the last one made no progress."""
MAX_ATTEMPTS_WITH_PROGRESS = 100
"""The same when each run made progress: workers are also killed for reasons that have nothing to do with the job."""


async def finish(
    conn: Conn, scope: Scope, run: Run, status: str, *, pause_for: str | None = None, **result: Any
) -> bool:
    """End a run with `result`, the arguments of `run_state_queries.finish_run`.

    Return False when the run is over already or another process has it. With `pause_for`, the schedule pauses itself
    for that cause. The schedule is locked before the run, as the tick does.
    """
    schedule = await schedule_queries.lock_schedule(conn, scope, run.job_type)
    if not await run_state_queries.finish_run(conn, scope, run.id, status, runner=run.runner, **result):
        return False
    if schedule is not None:
        await schedules.record_outcome(conn, scope, schedule, status, result.get("error"), pause_for)
    await _record_end(conn, scope, run, status, result)
    return True


async def requeue(
    conn: Conn, scope: Scope, run: Run, processed: int, progress: dict[str, Any] | None, meta: dict[str, Any]
) -> bool:
    """Put a running run at the end of the queue. Return False when it is over or another process has it."""
    is_requeued = await run_state_queries.requeue_run(
        conn, scope, run.id, runner=run.runner, processed=processed, progress=progress, meta=meta
    )
    if is_requeued:
        await queue.enqueue(conn, [JobKey(scope.project_id, run.job_type)])
    return is_requeued


async def complete(
    conn: Conn, scope: Scope, run: Run, processed: int, progress: dict[str, Any] | None, meta: dict[str, Any]
) -> bool:
    """End a run whose work is done, or requeue it when work was requested after it had looked for work."""
    await schedule_queries.lock_schedule(conn, scope, run.job_type)  # before the run, as `finish` does
    if await run_state_queries.is_requested_again(conn, scope, run.id):
        return await requeue(conn, scope, run, processed, progress, meta | {"requested_again": False})
    return await finish(conn, scope, run, "ok", processed=processed, progress=progress, meta=meta)


async def stop(
    conn: Conn, scope: Scope, run: Run, processed: int, progress: dict[str, Any] | None, *, is_worker: bool
) -> bool:
    """End a run that was interrupted: as cancelled when somebody asked for that, else requeue it.

    A run without a worker, of a command that was interrupted, ends as cancelled too.
    """
    await schedule_queries.lock_schedule(conn, scope, run.job_type)
    is_cancelled = await run_state_queries.is_cancel_requested(conn, scope, run.id)
    if is_worker and not is_cancelled:
        return await requeue(conn, scope, run, 0, progress, {})
    error = "Cancelled while it was running." if is_cancelled else "Stopped."
    return await finish(conn, scope, run, "cancelled", error=error, processed=processed, progress=progress)


async def mark_lost(conn: Conn, scope: Scope, run: Run) -> bool:
    """End a run whose process is gone. Return False when it is over already.

    After the last attempt the schedule pauses.
    """
    if run.cancel_requested_at:
        return await finish(conn, scope, run, "cancelled", error="Cancelled. Its worker stopped before that.")
    details = {"code": "worker_lost", "runner": run.runner}
    error = "The worker stopped without reporting a result."
    if is_last_attempt(run):
        error += f" This was attempt {run.attempt}. Start the job or resume its schedule to try again."
    pause_for = "worker_lost" if is_last_attempt(run) else None
    return await finish(conn, scope, run, "failed", error=error, details=details, pause_for=pause_for)


def is_last_attempt(run: Run) -> bool:
    """Return whether a lost run is not tried again: the job may be what kills its workers."""
    return run.attempt >= (MAX_ATTEMPTS if run.progress is None else MAX_ATTEMPTS_WITH_PROGRESS)


def current_runner() -> str:
    """Return the name of this process: its host, its number and its start, since numbers are used again."""
    process = psutil.Process()
    return f"{socket.gethostname()}:{process.pid}:{process.create_time():.2f}"


async def record_event(
    conn: Conn, scope: Scope, action: str, run: Run, payload: dict[str, Any], status: str = "ok"
) -> None:
    """Record an audit event about a run, with the id of the request that the run came from."""
    payload = {"job_type": run.job_type} | payload
    actor = replace(scope.actor, request_id=run.request_id)
    await events.record(conn, actor, action, "worker_run", run.id, scope=scope, status=status, payload=payload)


async def _record_end(conn: Conn, scope: Scope, run: Run, status: str, result: dict[str, Any]) -> None:
    # Numbers only: no text of messages, and no list that grows with what was read.
    counts = (result.get("meta") or {}).get("result", {})
    payload = {
        "processed": run.processed_count + result.get("processed", 0),
        "counts": {name: value for name, value in counts.items() if isinstance(value, int)},
        "error_code": (result.get("details") or {}).get("code"),
    }
    await record_event(conn, scope, "job.finished", run, payload, status)
