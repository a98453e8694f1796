"""The worker: takes jobs from the queue, carries them out, and looks at the schedule and after lost runs in between."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any
from uuid import UUID

import procrastinate
from procrastinate.exceptions import ConnectorException

from proofdesk import logging
from proofdesk.audit import events
from proofdesk.errors import NotFound, ProofdeskError, Unavailable
from proofdesk.jobs import catalog, heartbeats, recovery, runs, tick
from proofdesk.jobs.outcomes import LOST_AFTER
from proofdesk.jobs.resources import Resources
from proofdesk.jobs.run_queries import Run
from proofdesk.projects import scope

log = logging.get_logger(__name__)

CHECKPOINT_WITHIN = 12.0
"""Seconds in which running jobs come to a batch's or a page's end when the worker is asked to stop; then they are cut
off, which they survive, and handed on. All of it has 20 seconds."""
_FOREVER = 365 * 86_400.0
_AGAIN_AFTER = 0.2  # seconds, when the database went away, or a job put another one while the queue was drained


async def run_worker(resources: Resources, *, drain: bool = False, stopping: asyncio.Event | None = None) -> None:
    """Work until `stopping` is set, or with `drain` until the queue is empty.

    Runs that are under way then are handed on at their next checkpoint. While the database is away it is waited for.
    """
    stopping = stopping or asyncio.Event()
    app = _application(resources, stopping)
    async with app.open_async(resources.db.pool), _alive(resources, app, looks_at_schedule=not drain):
        while not stopping.is_set():
            try:
                await _take_jobs(app, resources, stopping, drain=drain)
                if drain and not await _anything_waits(app):
                    return
            except (ConnectorException, Unavailable) as error:
                log.warning("the queue cannot be reached; trying again", error=str(error))
            await _pause(stopping, _AGAIN_AFTER)


def _application(resources: Resources, stopping: asyncio.Event) -> procrastinate.App:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector())

    # A job that cannot begin because the database is away stays in the queue.
    @app.task(name="run", retry=procrastinate.RetryStrategy(wait=1, retry_exceptions=[Unavailable]))
    async def run(project_id: str, run_id: str) -> None:
        await execute_run(resources, UUID(project_id), UUID(run_id), stopping)

    return app


async def _take_jobs(app: procrastinate.App, resources: Resources, stopping: asyncio.Event, *, drain: bool) -> None:
    """Take jobs until asked to stop; with `drain` until there is none. Ends also when the queue's connection broke."""
    taking = asyncio.create_task(
        app.run_worker_async(
            concurrency=resources.settings.worker_concurrency,
            wait=not drain,
            delete_jobs="always",
            fetch_job_polling_interval=5.0,
            shutdown_graceful_timeout=_FOREVER,  # `carry_out` sees to it that jobs end
            install_signal_handlers=False,
        )
    )
    asked = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait([taking, asked], return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
        if not taking.done():
            taking.cancel()
        await asyncio.wait([taking])
    if not taking.cancelled():
        taking.result()


async def _anything_waits(app: procrastinate.App) -> bool:
    # A job may have put another one when the queue was looked at already.
    return bool(list(await app.job_manager.list_jobs_async(status="todo")))


async def execute_run(
    resources: Resources, project_id: UUID, run_id: UUID, stopping: asyncio.Event | None = None
) -> None:
    """Carry out one queued run; nothing happens when it is over or somebody else's, or its project is gone."""
    stopping = stopping or asyncio.Event()
    with contextlib.suppress(NotFound):
        inside = await scope.enter(resources.db, events.system_actor(), project_id)
        run = await runs.claim(resources.db, inside, run_id)
        if run is not None:
            job = catalog.bind_handler(resources, run.job_type)
            await _in_time(runs.execute(resources.db, inside, run, job, stopping=stopping), stopping)


async def _in_time(carried_out: Coroutine[Any, Any, Run], stopping: asyncio.Event) -> None:
    """Let a run go on until it is done, but when the worker is asked to stop, for `CHECKPOINT_WITHIN` only."""

    async def deadline() -> None:
        await stopping.wait()
        await asyncio.sleep(CHECKPOINT_WITHIN)

    running, late = asyncio.create_task(carried_out), asyncio.create_task(deadline())
    try:
        await asyncio.wait([running, late], return_when=asyncio.FIRST_COMPLETED)
    finally:
        late.cancel()
        if not running.done():
            running.cancel()
        await asyncio.wait([running])
    if not running.cancelled():
        running.result()


# Beside the jobs ------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _alive(resources: Resources, app: procrastinate.App, *, looks_at_schedule: bool) -> AsyncIterator[None]:
    """Show that the worker is alive, look after lost runs and, unless it only drains, at the schedule."""
    settings, db = resources.settings, resources.db
    worker_id = await heartbeats.register(db, runs.current_runner())

    async def look() -> None:
        await heartbeats.beat(db, worker_id)
        if looks_at_schedule:
            await tick.start_due(db, settings, settings.worker_tick_limit)

    async def recover() -> None:
        await recovery.recover_lost_runs(db)
        await requeue_stalled_jobs(app, LOST_AFTER)

    await _tried(recover)  # so that draining the queue takes along what was lost
    clocks = [
        asyncio.create_task(_every(recovery.INTERVAL_SECONDS, recover)),
        asyncio.create_task(_every(settings.worker_interval_seconds, look)),
    ]
    try:
        yield
    finally:
        for clock in clocks:
            clock.cancel()
        await asyncio.wait(clocks)
        with contextlib.suppress(Unavailable):
            await heartbeats.unregister(db, worker_id)


async def requeue_stalled_jobs(app: procrastinate.App, silent_for: timedelta) -> None:
    """Give jobs back to the queue whose worker is gone. Their runs decide: one that is over makes them do nothing."""
    seconds = silent_for.total_seconds()
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=seconds):
        with contextlib.suppress(ConnectorException):  # another worker was faster
            await app.job_manager.retry_job(job)
    await app.job_manager.prune_stalled_workers(seconds)


async def _every(seconds: float, look: Callable[[], Awaitable[None]]) -> None:
    while True:
        await _tried(look)
        await asyncio.sleep(seconds)


async def _tried(look: Callable[[], Awaitable[None]]) -> None:
    """Whatever goes wrong, the next look comes."""
    try:
        await look()
    except (ProofdeskError, ConnectorException) as error:
        log.warning("could not look; trying again", error=str(error))
    except Exception:
        log.exception("looking failed; trying again")


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
