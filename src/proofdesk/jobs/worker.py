"""The worker: takes jobs from the queue, carries them out, and looks at the schedule in between."""

import asyncio
import contextlib
from uuid import UUID

import procrastinate

from proofdesk import logs
from proofdesk.audit import trail
from proofdesk.errors import NotFound, ProofdeskError
from proofdesk.jobs import pipeline
from proofdesk.projects import scope
from proofdesk.resources import Resources
from proofdesk.scheduler import runs, tick, workers

log = logs.get(__name__)


async def work(resources: Resources, *, drain: bool = False) -> None:
    """Work until stopped, or with `drain` until the queue is empty. Running jobs are finished first."""
    app = _application(resources)
    async with app.open_async(resources.db.pool):
        worker_id = await workers.register(resources.db, runs.this_runner())
        clock = asyncio.create_task(_beat(resources, worker_id, looks_at_schedule=not drain))
        try:
            await _take_jobs(app, resources, drain=drain)
        finally:
            clock.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await clock
            await workers.unregister(resources.db, worker_id)


def _application(resources: Resources) -> procrastinate.App:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector())

    @app.task(name="run")
    async def run(project_id: str, run_id: str) -> None:
        await carry_out(resources, UUID(project_id), UUID(run_id))

    return app


async def _take_jobs(app: procrastinate.App, resources: Resources, *, drain: bool) -> None:
    waiting = True
    while waiting:
        await app.run_worker_async(
            concurrency=resources.settings.worker_concurrency,
            wait=not drain,
            delete_jobs="always",
            fetch_job_polling_interval=5.0,
            shutdown_graceful_timeout=20.0,
            install_signal_handlers=not drain,
        )
        # A job may have put another one when the queue was looked at already.
        waiting = drain and bool(list(await app.job_manager.list_jobs_async(status="todo")))


async def carry_out(resources: Resources, project_id: UUID, run_id: UUID) -> None:
    """Carry out one queued run; nothing happens when it is over or somebody else's, or its project is gone."""
    with contextlib.suppress(NotFound):
        inside = await scope.enter(resources.db, trail.system(), project_id)
        run = await runs.claim(resources.db, inside, run_id)
        if run is not None:
            await runs.carry_out(resources.db, inside, run, pipeline.work(resources, run.job_type))


async def _beat(resources: Resources, worker_id: UUID, *, looks_at_schedule: bool) -> None:
    settings, db = resources.settings, resources.db
    while True:
        try:
            await workers.beat(db, worker_id)
            if looks_at_schedule:
                await tick.tick(db, settings.worker_tick_limit)
        except ProofdeskError as error:
            log.warning("the schedule could not be looked at", error=error.message)
        await asyncio.sleep(settings.worker_interval_seconds)
