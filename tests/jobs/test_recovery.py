"""Lost runs are found and tried again, but not for ever; handed-on and cancelled ones go where they belong."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from proofdesk.jobs.fairness import TimeSlice

from proofdesk.database.pool import Database
from proofdesk.jobs import outcomes, recovery, runs, schedules
from proofdesk.jobs.run_queries import Run
from proofdesk.jobs.runs import RunOutcome
from proofdesk.projects.scope import Scope
from tests.support.jobs import start_run

JOB = "embeddings_run"
ELSEWHERE = "elsewhere:1:1.00"


async def lose(db: Database, project: Scope, conn: psycopg.Connection, run_id: UUID) -> None:
    """Let a queued run be claimed by a worker on another machine that is not heard of any more."""
    assert await runs.claim(db, project, run_id)
    conn.execute(
        "UPDATE worker_runs SET runner = %s, heartbeat_at = now() - interval '50 seconds' WHERE id = %s",
        [ELSEWHERE, run_id],
    )


async def under_way(db: Database, project: Scope) -> Run | None:
    """The run of the job that is queued or running."""
    found = [run for run in await runs.list_latest(db, project) if run.status in runs.ACTIVE]
    return found[0] if found else None


def test_a_lost_run_is_found_within_a_minute():
    assert outcomes.LOST_AFTER.total_seconds() + recovery.INTERVAL_SECONDS <= 60
    assert outcomes.LOST_AFTER.total_seconds() >= 10 * runs.HEARTBEAT_SECONDS


async def test_a_lost_run_is_buried_and_tried_again_by_whoever_comes(
    db: Database, project: Scope, owner_conn: psycopg.Connection
):
    asked = await runs.request(db, project, JOB, "manual", {"limit": 5})
    await lose(db, project, owner_conn, asked.run.id)
    await asyncio.gather(*(recovery.recover_lost_runs(db) for _ in range(4)))
    lost = await runs.get(db, project, asked.run.id)
    assert (lost.status, (lost.error_details or {})["code"]) == ("failed", "worker_lost")
    again = await under_way(db, project)
    assert again is not None and again.id != lost.id
    assert (again.status, again.trigger, again.params, again.request_id) == (
        "queued", "manual", {"limit": 5}, lost.request_id,
    )  # fmt: skip
    claimed = await runs.claim(db, project, again.id)
    assert claimed is not None and claimed.attempt == 2
    named = owner_conn.execute(
        "SELECT count(*) FROM procrastinate_jobs WHERE args ->> 'run_id' = %s", [str(again.id)]
    ).fetchone()
    assert named == (1,)
    told = owner_conn.execute("SELECT action FROM audit_events WHERE action LIKE 'job.%' ORDER BY id").fetchall()
    assert told == [("job.requested",), ("job.finished",), ("job.retried",)]


async def test_a_run_that_beats_is_left_alone(db: Database, project: Scope):
    await start_run(db, project, JOB, "cli")
    await recovery.recover_lost_runs(db, timedelta(seconds=30))
    run = await under_way(db, project)
    assert run is not None and run.status == "running"


async def test_a_job_that_loses_its_worker_again_and_again_stops_and_says_so(
    db: Database, project: Scope, owner_conn: psycopg.Connection
):
    await runs.request(db, project, JOB, "manual")
    for _ in range(outcomes.MAX_ATTEMPTS):
        run = await under_way(db, project)
        assert run is not None
        await lose(db, project, owner_conn, run.id)
        await recovery.recover_lost_runs(db)
    assert await under_way(db, project) is None
    schedule = next(s for s in await schedules.list_schedules(db, project) if s.job_type == JOB)
    assert (schedule.status, schedule.paused_cause, schedule.last_status) == ("paused", "worker_lost", "failed")
    assert f"attempt {outcomes.MAX_ATTEMPTS}" in (schedule.last_error or "")
    await recovery.recover_lost_runs(db)
    assert await under_way(db, project) is None


async def test_a_lost_run_that_was_to_be_cancelled_is_not_tried_again(
    db: Database, project: Scope, owner_conn: psycopg.Connection
):
    asked = await runs.request(db, project, JOB, "manual")
    await lose(db, project, owner_conn, asked.run.id)
    await runs.cancel(db, project, asked.run.id)
    await recovery.recover_lost_runs(db)
    assert (await runs.get(db, project, asked.run.id)).status == "cancelled"
    assert await under_way(db, project) is None


async def test_who_comes_back_after_his_run_was_buried_changes_nothing(
    db: Database, project: Scope, owner_conn: psycopg.Connection
):
    async def slow(scope: Scope, run: Run, turn: TimeSlice) -> RunOutcome:
        owner_conn.execute("UPDATE worker_runs SET heartbeat_at = now() - interval '50 seconds'")
        await recovery.recover_lost_runs(db)
        return RunOutcome(5, {"processed": 5})

    asked = await runs.request(db, project, JOB, "manual")
    claimed = await runs.claim(db, project, asked.run.id)
    assert claimed is not None
    ended = await runs.execute(db, project, claimed, slow)
    assert (ended.status, ended.processed_count) == ("failed", 0)
    schedule = next(s for s in await schedules.list_schedules(db, project) if s.job_type == JOB)
    assert schedule.last_status == "failed"


async def test_a_running_job_that_is_cancelled_stops_wherever_it_runs(db: Database, project: Scope):
    began = asyncio.Event()

    async def endless(scope: Scope, run: Run, turn: TimeSlice) -> RunOutcome:
        while True:
            turn(7, None, "chunks")
            began.set()
            await asyncio.sleep(0.01)

    asked = await start_run(db, project, JOB, "cli")
    job = asyncio.create_task(runs.execute(db, project, asked.run, endless, heartbeat=0.05))
    await began.wait()
    asking = await runs.cancel(db, project, asked.run.id)
    assert asking.status == "running" and asking.cancel_requested_at is not None
    ended = await asyncio.wait_for(job, 60)
    assert (ended.status, ended.processed_count) == ("cancelled", 7)
    with pytest.raises(runs.RunIsOver):
        await runs.cancel(db, project, asked.run.id)


async def test_old_runs_are_forgotten_but_the_last_of_each_kind(
    db: Database, project: Scope, owner_conn: psycopg.Connection
):
    async def quick(*_: Any) -> RunOutcome:
        return RunOutcome(0, {})

    made: list[UUID] = []
    for job in (JOB, JOB, JOB, "chatwoot_sync"):
        asked = await start_run(db, project, job, "cli")
        await runs.execute(db, project, asked.run, quick)
        made.append(asked.run.id)
    waiting = (await runs.request(db, project, JOB, "manual")).run.id
    owner_conn.execute("UPDATE worker_runs SET finished_at = finished_at - interval '31 days'")
    owner_conn.execute("UPDATE worker_runs SET finished_at = now() - interval '29 days' WHERE id = %s", [made[0]])
    assert await runs.delete_old(db, project, 30) == 1
    kept = {run.id for run in (await runs.list_history(db, project, None, None, 100, 0))[0]}
    assert kept == {made[0], made[2], made[3], waiting}, "the young one, the last of each kind, and what waits"


async def test_each_stage_of_a_run_has_a_beginning_of_its_own(db: Database, project: Scope):
    run = (await start_run(db, project, JOB, "cli")).run
    turn, stages = TimeSlice(db, project, run, None, None), []
    for done, unit in ((25, "conversations read"), (50, "conversations read"), (200, "conversations cut")):
        turn(done, 400, unit)
        stages.append((turn.progress or {})["stage"])
    assert [stage["done"] for stage in stages] == [25, 25, 200]
    assert stages[0]["since"] == stages[1]["since"] < stages[2]["since"]


async def test_a_worker_that_stops_hands_its_run_on_with_what_was_done(db: Database, project: Scope):
    stopping = asyncio.Event()

    async def patient(scope: Scope, run: Run, turn: TimeSlice) -> RunOutcome:
        done = run.meta.get("result", {}).get("processed", 0)
        while done < 6 and not await turn.is_over():
            done += 1
            turn(done, 6, "chunks")
            if done == 3:
                stopping.set()
        return RunOutcome(done - run.processed_count, {"processed": done}, finished=done == 6)

    asked = await runs.request(db, project, JOB, "manual")
    claimed = await runs.claim(db, project, asked.run.id)
    assert claimed is not None
    kept = await runs.execute(db, project, claimed, patient, stopping=stopping)
    assert (kept.status, kept.processed_count, kept.runner, kept.attempt) == ("queued", 3, None, 1)
    told = kept.progress or {}
    assert (told["done"], told["total"], told["unit"]) == (3, 6, "chunks")
    assert told["stage"]["done"] == 1, "its pace is told from the first report of the stage"
    stopping.clear()
    again = await runs.claim(db, project, asked.run.id)
    assert again is not None
    ended = await runs.execute(db, project, again, patient, stopping=asyncio.Event())
    assert (ended.status, ended.processed_count, ended.attempt) == ("ok", 6, 1)
    assert ended.started_at == claimed.started_at


async def test_a_run_that_comes_to_no_checkpoint_is_cut_off_and_handed_on(db: Database, project: Scope):
    began = asyncio.Event()

    async def endless(scope: Scope, run: Run, turn: TimeSlice) -> RunOutcome:
        began.set()
        await asyncio.sleep(600)
        raise AssertionError

    asked = await runs.request(db, project, JOB, "manual")
    claimed = await runs.claim(db, project, asked.run.id)
    assert claimed is not None
    job = asyncio.create_task(runs.execute(db, project, claimed, endless, stopping=asyncio.Event()))
    await began.wait()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    kept = await runs.get(db, project, asked.run.id)
    assert (kept.status, kept.runner) == ("queued", None)
    assert await runs.claim(db, project, kept.id)
