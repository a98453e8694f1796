"""The worker: takes jobs from the queue and executes their runs. It also starts due jobs and recovers lost runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import procrastinate
from procrastinate.exceptions import ConnectorException

from proofdesk import logging
from proofdesk.audit import events
from proofdesk.core.progress import ReportProgress
from proofdesk.errors import NotFound, ProofdeskError, Unavailable
from proofdesk.jobs import catalog, new_projects, queue, recovery, runs, tick, worker_processes
from proofdesk.jobs.queue import JobKey
from proofdesk.jobs.resources import Resources
from proofdesk.projects import scope as scopes

log = logging.get_logger(__name__)

CHECKPOINT_SECONDS = 12.0
"""Seconds in which running jobs come to the end of a batch or page when the worker stops. Then they are interrupted and
queued again, which they survive. Stopping takes 20 seconds at most."""
_RESTART_SECONDS = 0.2  # when the connection of the queue broke
_DRAIN_CHECK_SECONDS = 0.05
_POLLING_SECONDS = 1.0  # a run that is queued again waits for its own job to end, of which nobody is notified


async def run_worker(resources: Resources, *, drain: bool = False, stopping: asyncio.Event | None = None) -> None:
    """Execute jobs until `stopping` is set, or with `drain` until the queue is empty.

    Running jobs are queued again then. While the database is away, the worker waits for it.
    """
    stopping = stopping or asyncio.Event()
    active: set[JobKey] = set()
    app = create_app(resources, stopping=stopping, active=active)
    async with app.open_async(resources.db.pool), _background_tasks(resources, app, starts_due_jobs=not drain):
        while not stopping.is_set():
            drained = asyncio.create_task(_wait_until_drained(app, active)) if drain else None
            try:
                await _take_jobs(app, resources, stopping, drained)
                if drained and drained.done() and not drained.cancelled():
                    return
            except (ConnectorException, Unavailable) as error:
                log.warning("the queue cannot be reached; trying again", error=str(error))
            await _sleep(stopping, _RESTART_SECONDS)


def create_app(
    resources: Resources,
    *,
    stopping: asyncio.Event | None,
    report: ReportProgress | None = None,
    active: set[JobKey] | None = None,
) -> procrastinate.App:
    """Return Procrastinate's application, which executes runs in this process. Workers give `stopping`.

    `active` holds the jobs that are being executed.
    """
    app = procrastinate.App(connector=procrastinate.PsycopgConnector())
    active = set() if active is None else active

    # A job that cannot begin because the database is away stays in the queue.
    @app.task(name=queue.TASK, retry=procrastinate.RetryStrategy(wait=1, retry_exceptions=[Unavailable]))
    async def run(project_id: str, job_type: str) -> None:
        key = JobKey(UUID(project_id), job_type)
        active.add(key)
        try:
            await execute_job(resources, key, stopping=stopping, report=report)
        finally:
            active.discard(key)

    return app


async def execute_job(
    resources: Resources,
    key: JobKey,
    *,
    stopping: asyncio.Event | None = None,
    report: ReportProgress | None = None,
) -> None:
    """Execute the open run of a job of the queue. Nothing happens when there is none, or the project is gone."""
    with contextlib.suppress(NotFound):
        scope = await scopes.enter(resources.db, events.system_actor(), key.project_id)
        run = await runs.claim(resources.db, scope, key.job_type)
        if run is not None:
            handler = catalog.bind_handler(resources, key.job_type)
            await runs.execute(resources.db, scope, run, handler, report, stopping=stopping)


async def _take_jobs(
    app: procrastinate.App, resources: Resources, stopping: asyncio.Event, drained: asyncio.Task[None] | None
) -> None:
    """Take jobs until `stopping` is set or `drained` is done. Ends also when the connection of the queue broke."""
    taking = asyncio.create_task(
        app.run_worker_async(
            concurrency=resources.settings.worker_concurrency,
            fetch_job_polling_interval=_POLLING_SECONDS,
            delete_jobs="always",
            shutdown_graceful_timeout=CHECKPOINT_SECONDS,
            update_heartbeat_interval=recovery.WORKER_HEARTBEAT_SECONDS,
            stalled_worker_timeout=recovery.STALLED_AFTER_SECONDS,
            install_signal_handlers=False,
        )
    )
    stop_request = asyncio.create_task(stopping.wait())
    ends = [stop_request, drained] if drained else [stop_request]
    try:
        await asyncio.wait([taking, *ends], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*ends, taking):
            if not task.done():
                task.cancel()
        await asyncio.wait([taking])
    if drained and drained.done() and not drained.cancelled():
        drained.result()
    if not taking.cancelled():
        taking.result()


async def _wait_until_drained(app: procrastinate.App, active: set[JobKey]) -> None:
    """Wait until no job waits or runs. Procrastinate's own way, `wait=False`, stops heartbeats while jobs still run."""
    idle_checks = 0
    while idle_checks < 2:  # between two checks, a job that was just taken begins
        await asyncio.sleep(_DRAIN_CHECK_SECONDS)
        is_idle = not active and not list(await app.job_manager.list_jobs_async(status="todo"))
        idle_checks = idle_checks + 1 if is_idle else 0


# Background tasks -----------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _background_tasks(
    resources: Resources, app: procrastinate.App, *, starts_due_jobs: bool
) -> AsyncIterator[None]:
    """Recover lost runs and, unless the worker only drains the queue, start due jobs."""
    settings, db = resources.settings, resources.db

    async def recover() -> None:
        await recovery.recover(db, app)

    async def report() -> None:
        await worker_processes.report(db, settings)

    async def start_due() -> None:
        await tick.start_due(db, settings, settings.worker_tick_limit)

    await _try(recover)  # so that draining the queue includes what was lost
    await _try(report)
    tasks = [
        asyncio.create_task(_repeat(recovery.INTERVAL_SECONDS, recover)),
        asyncio.create_task(_repeat(worker_processes.REPORT_SECONDS, report)),
    ]
    if starts_due_jobs:
        await _try(lambda: new_projects.add_missing_schedules(db))
        tasks.append(asyncio.create_task(_repeat(settings.worker_interval_seconds, start_due)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await worker_processes.withdraw(db)


async def _repeat(seconds: float, action: Callable[[], Awaitable[object]]) -> None:
    while True:
        await _try(action)
        await asyncio.sleep(seconds)


async def _try(action: Callable[[], Awaitable[object]]) -> None:
    """Log whatever goes wrong: the action is repeated."""
    try:
        await action()
    except (ProofdeskError, ConnectorException) as error:
        log.warning("a background task failed; trying again", error=str(error))
    except Exception:
        log.exception("a background task crashed; trying again")


async def _sleep(stopping: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
