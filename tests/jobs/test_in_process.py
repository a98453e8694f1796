"""Runs of commands: executed in their own process, as a worker would."""

import asyncio

import psycopg
import pytest

from proofdesk.core.progress import ignore_progress
from proofdesk.database.pool import Database
from proofdesk.jobs import catalog, in_process, runs, tick
from proofdesk.jobs.resources import Resources
from proofdesk.jobs.run_queries import Run
from proofdesk.jobs.runs import RunOutcome
from proofdesk.jobs.time_slices import TimeSlice
from proofdesk.projects.scope import Scope

JOB = catalog.MAINTENANCE.name


def queue_length(conn: psycopg.Connection) -> int:
    """Return the number of jobs in the queue."""
    row = conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone()
    assert row is not None
    return row[0]


async def test_command_executes_its_run_without_a_worker(
    db: Database, project: Scope, resources: Resources, owner_conn: psycopg.Connection
):
    other = await runs.request(db, project, catalog.RECONCILE.name, "manual")
    run = await in_process.execute(resources, project, JOB, {"limit": 1}, ignore_progress)
    assert (run.status, run.trigger, run.params, run.attempt) == ("ok", "cli", {"limit": 1}, 1)
    assert run.runner == runs.current_runner()
    assert (await runs.get(db, project, other.run.id)).status == "queued", "a command executes its own job only"
    assert queue_length(owner_conn) == 1


async def test_command_executes_a_run_that_waits_for_a_worker(db: Database, project: Scope, resources: Resources):
    requested = await runs.request(db, project, JOB, "manual")
    run = await in_process.execute(resources, project, JOB, None, ignore_progress)
    assert (run.id, run.status, run.trigger) == (requested.run.id, "ok", "manual")


async def test_command_continues_the_run_of_a_killed_command(
    db: Database, project: Scope, resources: Resources, owner_conn: psycopg.Connection
):
    killed = await runs.request(db, project, JOB, "cli", queue_name="command-1")
    assert await runs.claim(db, project, JOB) is not None
    owner_conn.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 minute')")
    owner_conn.execute(
        "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT max(id) FROM procrastinate_workers)"
    )
    run = await in_process.execute(resources, project, JOB, None, ignore_progress)
    assert (run.status, run.attempt) == ("ok", 2)
    assert run.id != killed.run.id


async def test_command_that_is_interrupted_cancels_its_run(
    db: Database, project: Scope, resources: Resources, owner_conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
):
    began = asyncio.Event()

    async def endless(scope: Scope, run: Run, time_slice: TimeSlice) -> RunOutcome:
        began.set()
        await asyncio.sleep(600)
        raise AssertionError

    monkeypatch.setattr(catalog, "bind_handler", lambda *_: endless)
    command = asyncio.create_task(in_process.execute(resources, project, JOB, None, ignore_progress))
    await began.wait()
    command.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(command, 30)
    assert [run.status for run in await runs.list_latest(db, project)] == ["cancelled"]
    assert queue_length(owner_conn) == 0


async def test_tick_does_not_start_a_job_that_a_command_just_ran(db: Database, project: Scope, resources: Resources):
    await in_process.execute(resources, project, catalog.OUTBOUND.name, None, ignore_progress)
    started = await tick.start_due(db, resources.settings, 25)
    assert catalog.OUTBOUND.name not in [run.job_type for run in started], "it ran just now"
