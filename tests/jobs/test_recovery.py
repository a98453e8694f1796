"""Lost runs get another attempt, but not forever; interrupted and cancelled runs end as they should."""

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import pytest

from proofdesk.database.pool import Database
from proofdesk.jobs import catalog, outcomes, recovery, runs, schedules, worker
from proofdesk.jobs.queue import JobKey
from proofdesk.jobs.resources import Resources
from proofdesk.jobs.run_queries import Run
from proofdesk.jobs.runs import RunOutcome
from proofdesk.jobs.time_slices import TimeSlice
from proofdesk.projects.scope import Scope
from tests.support.jobs import start_run

JOB = catalog.EMBED.name


async def lose(db: Database, project: Scope, conn: psycopg.Connection) -> Run:
    """Let a worker claim the queued run and stop without a word. Return the run as it has it."""
    run = await runs.claim(db, project, JOB)
    assert run is not None
    conn.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '31 seconds')")
    conn.execute(
        "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT max(id) FROM procrastinate_workers)"
    )
    conn.execute("UPDATE worker_runs SET runner = 'elsewhere:1:1.00' WHERE id = %s", [run.id])
    return run


async def recover(db: Database, resources: Resources) -> None:
    """Do what each worker does every few seconds."""
    app = worker.create_app(resources, stopping=asyncio.Event())
    async with app.open_async(db.pool):
        await recovery.recover(db, app)


async def open_run(db: Database, project: Scope) -> Run | None:
    """Return the run of the job that is queued or running."""
    return next((run for run in await runs.list_latest(db, project) if run.status in runs.ACTIVE), None)


def queue_statuses(conn: psycopg.Connection) -> list[str]:
    """Return the statuses of the jobs in the queue."""
    return [status for (status,) in conn.execute("SELECT status::text FROM procrastinate_jobs ORDER BY id").fetchall()]


def test_lost_run_continues_within_a_minute():
    assert recovery.STALLED_AFTER_SECONDS + recovery.INTERVAL_SECONDS <= 40
    assert recovery.UNQUEUED_AFTER_SECONDS + recovery.INTERVAL_SECONDS <= 60
    assert recovery.STALLED_AFTER_SECONDS >= 5 * recovery.WORKER_HEARTBEAT_SECONDS


async def test_lost_run_gets_another_attempt_from_any_worker(
    db: Database, project: Scope, resources: Resources, owner_conn: psycopg.Connection
):
    requested = await runs.request(db, project, JOB, "manual", {"limit": 5})
    await lose(db, project, owner_conn)
    await asyncio.gather(*(recover(db, resources) for _ in range(4)))
    assert queue_statuses(owner_conn) == ["todo"]
    await worker.run_worker(resources, drain=True)
    again, lost = (await runs.list_history(db, project, JOB, None, 10, 0))[0]
    assert (lost.id, lost.status, (lost.error_details or {})["code"]) == (requested.run.id, "failed", "worker_lost")
    assert (again.status, again.attempt, again.trigger, again.params, again.request_id) == (
        "ok", 2, "manual", {"limit": 5}, lost.request_id,
    )  # fmt: skip
    assert queue_statuses(owner_conn) == []
    actions = owner_conn.execute("SELECT action FROM audit_events WHERE action LIKE 'job.%' ORDER BY id").fetchall()
    assert actions == [("job.requested",), ("job.finished",), ("job.retried",), ("job.finished",)]


async def test_run_of_a_living_worker_is_left_alone(
    db: Database, project: Scope, resources: Resources, owner_conn: psycopg.Connection
):
    await runs.request(db, project, JOB, "manual")
    await lose(db, project, owner_conn)
    owner_conn.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '20 seconds'")
    await recover(db, resources)
    assert queue_statuses(owner_conn) == ["doing"]
    run = await open_run(db, project)
    assert run is not None and run.status == "running"


async def test_job_that_keeps_losing_its_worker_pauses(
    db: Database, project: Scope, resources: Resources, owner_conn: psycopg.Connection
):
    await runs.request(db, project, JOB, "manual")
    await lose(db, project, owner_conn)
    for _ in range(outcomes.MAX_ATTEMPTS - 1):
        assert await runs.claim(db, project, JOB) is not None, "the next attempt, which is lost as well"
    assert await runs.claim(db, project, JOB) is None
    schedule = next(s for s in await schedules.list_schedules(db, project) if s.job_type == JOB)
    assert (schedule.status, schedule.paused_cause, schedule.last_status) == ("paused", "worker_lost", "failed")
    assert f"attempt {outcomes.MAX_ATTEMPTS}" in (schedule.last_error or "")
    await recover(db, resources)
    await worker.run_worker(resources, drain=True)
    assert await open_run(db, project) is None


async def test_lost_run_that_was_to_be_cancelled_is_not_tried_again(
    db: Database, project: Scope, resources: Resources, owner_conn: psycopg.Connection
):
    requested = await runs.request(db, project, JOB, "manual")
    await lose(db, project, owner_conn)
    await runs.cancel(db, project, requested.run.id)
    await recover(db, resources)
    assert queue_statuses(owner_conn) == [], "a job that is to be aborted is not queued again"
    owner_conn.execute("UPDATE worker_runs SET heartbeat_at = now() - interval '46 seconds'")
    await worker.run_worker(resources, drain=True)
    assert (await runs.get(db, project, requested.run.id)).status == "cancelled"
    assert await open_run(db, project) is None


async def test_open_runs_without_a_job_are_queued_again(
    db: Database, project: Scope, resources: Resources, owner_conn: psycopg.Connection
):
    requested = await runs.request(db, project, JOB, "manual")
    owner_conn.execute("DELETE FROM procrastinate_jobs")
    await recover(db, resources)
    assert queue_statuses(owner_conn) == [], "it may be queued at this moment"
    owner_conn.execute("UPDATE worker_runs SET created_at = now() - interval '46 seconds'")
    await asyncio.gather(*(recover(db, resources) for _ in range(3)))
    assert queue_statuses(owner_conn) == ["todo"]
    await worker.run_worker(resources, drain=True)
    assert (await runs.get(db, project, requested.run.id)).status == "ok"


async def test_job_whose_end_was_not_written_does_not_block_the_next(
    db: Database, project: Scope, resources: Resources, owner_conn: psycopg.Connection
):
    requested = await runs.request(db, project, JOB, "manual")
    owner_conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
    owner_conn.execute(
        "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT max(id) FROM procrastinate_workers)"
    )
    owner_conn.execute("UPDATE procrastinate_events SET at = now() - interval '46 seconds'")
    owner_conn.execute("UPDATE worker_runs SET created_at = now() - interval '46 seconds'")
    await recover(db, resources)
    assert queue_statuses(owner_conn) == ["todo"]
    await worker.run_worker(resources, drain=True)
    assert (await runs.get(db, project, requested.run.id)).status == "ok"


async def test_stalled_job_gives_way_to_a_waiting_one(
    db: Database, project: Scope, resources: Resources, owner_conn: psycopg.Connection
):
    await runs.request(db, project, JOB, "manual")
    run = await lose(db, project, owner_conn)
    async with db.scoped(project) as conn:  # its worker was killed after it had queued the run again
        assert await outcomes.requeue(conn, project, await runs.get(db, project, run.id), 0, None, {})
    assert queue_statuses(owner_conn) == ["doing", "todo"]
    await recover(db, resources)
    assert queue_statuses(owner_conn) == ["todo"]
    await worker.run_worker(resources, drain=True)
    assert (await runs.get(db, project, run.id)).status == "ok"


async def test_process_whose_run_was_marked_lost_changes_nothing(db: Database, project: Scope):
    async def slow(scope: Scope, run: Run, time_slice: TimeSlice) -> RunOutcome:
        assert await runs.claim(db, project, JOB) is not None  # another worker continues it
        return RunOutcome(5, {"processed": 5})

    run = (await start_run(db, project, JOB, "manual")).run
    ended = await runs.execute(db, project, run, slow)
    assert (ended.status, ended.processed_count) == ("failed", 0)
    again = await open_run(db, project)
    assert again is not None and (again.status, again.attempt) == ("running", 2)


async def test_process_whose_run_was_marked_lost_stops(db: Database, project: Scope):
    async def endless(scope: Scope, run: Run, time_slice: TimeSlice) -> RunOutcome:
        assert await runs.claim(db, project, JOB) is not None
        await asyncio.sleep(600)
        raise AssertionError

    run = (await start_run(db, project, JOB, "manual")).run
    ended = await asyncio.wait_for(runs.execute(db, project, run, endless, heartbeat=0.05), 60)
    assert ended.status == "failed"


async def test_running_job_that_is_cancelled_stops_within_seconds(
    db: Database, project: Scope, resources: Resources, owner_conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
):
    began = asyncio.Event()

    async def endless(scope: Scope, run: Run, time_slice: TimeSlice) -> RunOutcome:
        while True:
            time_slice(7, None, "chunks")
            began.set()
            await asyncio.sleep(0.01)

    monkeypatch.setattr(catalog, "bind_handler", lambda *_: endless)
    requested = await runs.request(db, project, JOB, "manual")
    working = asyncio.create_task(worker.run_worker(resources, drain=True))
    await began.wait()
    running = await runs.cancel(db, project, requested.run.id)
    assert running.status == "running" and running.cancel_requested_at is not None
    ended = await runs.wait(db, project, requested.run.id, 10)
    assert (ended.status, ended.processed_count) == ("cancelled", 7)
    with pytest.raises(runs.RunIsOver):
        await runs.cancel(db, project, requested.run.id)
    await asyncio.wait_for(working, 30)
    assert queue_statuses(owner_conn) == []


async def test_old_runs_are_deleted_but_the_last_of_each_job(
    db: Database, project: Scope, owner_conn: psycopg.Connection
):
    async def quick(*_: Any) -> RunOutcome:
        return RunOutcome(0, {})

    ended: list[UUID] = []
    for job in (JOB, JOB, JOB, catalog.SYNC.name):
        run = (await start_run(db, project, job, "cli")).run
        await runs.execute(db, project, run, quick)
        ended.append(run.id)
    waiting = (await runs.request(db, project, JOB, "manual")).run.id
    owner_conn.execute("UPDATE worker_runs SET finished_at = finished_at - interval '31 days'")
    owner_conn.execute("UPDATE worker_runs SET finished_at = now() - interval '29 days' WHERE id = %s", [ended[0]])
    assert await runs.delete_old(db, project, 30) == 1
    kept = {run.id for run in (await runs.list_history(db, project, None, None, 100, 0))[0]}
    assert kept == {ended[0], ended[2], ended[3], waiting}, "the recent one, the last of each job, and what waits"


async def test_each_stage_of_a_run_has_a_start_of_its_own(db: Database, project: Scope):
    run = (await start_run(db, project, JOB, "cli")).run
    time_slice, stages = TimeSlice(db, project, run, None, None), []
    for done, unit in ((25, "conversations read"), (50, "conversations read"), (200, "conversations chunked")):
        time_slice(done, 400, unit)
        stages.append((time_slice.progress or {})["stage"])
    assert [stage["done"] for stage in stages] == [25, 25, 200]
    assert stages[0]["since"] == stages[1]["since"] < stages[2]["since"]


async def test_worker_that_stops_requeues_its_run_with_what_was_done(db: Database, project: Scope):
    stopping = asyncio.Event()

    async def patient(scope: Scope, run: Run, time_slice: TimeSlice) -> RunOutcome:
        done = run.meta.get("result", {}).get("processed", 0)
        while done < 6 and not await time_slice.is_over():
            done += 1
            time_slice(done, 6, "chunks")
            if done == 3:
                stopping.set()
        return RunOutcome(done - run.processed_count, {"processed": done}, finished=done == 6)

    first = (await start_run(db, project, JOB, "manual")).run
    requeued = await runs.execute(db, project, first, patient, stopping=stopping)
    assert (requeued.status, requeued.processed_count, requeued.runner, requeued.attempt) == ("queued", 3, None, 1)
    progress = requeued.progress or {}
    assert (progress["done"], progress["total"], progress["unit"]) == (3, 6, "chunks")
    assert progress["stage"]["done"] == 1, "its rate is computed from the first report of the stage"
    stopping.clear()
    again = await runs.claim(db, project, JOB)
    assert again is not None
    ended = await runs.execute(db, project, again, patient, stopping=asyncio.Event())
    assert (ended.status, ended.processed_count, ended.attempt) == ("ok", 6, 1)
    assert ended.started_at == first.started_at


async def test_run_without_a_checkpoint_is_interrupted_and_requeued(db: Database, project: Scope):
    began = asyncio.Event()

    async def endless(scope: Scope, run: Run, time_slice: TimeSlice) -> RunOutcome:
        began.set()
        await asyncio.sleep(600)
        raise AssertionError

    run = (await start_run(db, project, JOB, "manual")).run
    job = asyncio.create_task(runs.execute(db, project, run, endless, stopping=asyncio.Event()))
    await began.wait()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    requeued = await runs.get(db, project, run.id)
    assert (requeued.status, requeued.runner) == ("queued", None)
    assert await runs.claim(db, project, JOB)


async def test_job_without_an_open_run_does_nothing(db: Database, project: Scope, resources: Resources):
    requested = await runs.request(db, project, JOB, "manual")
    await runs.cancel(db, project, requested.run.id)
    await worker.execute_job(resources, JobKey(project.project_id, JOB))
    assert [run.status for run in await runs.list_latest(db, project)] == ["cancelled"]
