"""Runs: one at a time for each job of a project, honest about how they ended."""

import asyncio

import psycopg
import pytest

from proofdesk.core.progress import ReportProgress
from proofdesk.database.pool import Database
from proofdesk.errors import Unavailable
from proofdesk.jobs import runs
from proofdesk.jobs.run_queries import Run
from proofdesk.jobs.runs import RunOutcome
from proofdesk.projects.scope import Scope
from tests.support.jobs import start_run
from tests.support.projects import new_project

JOB = "chatwoot_sync"


async def quick(scope: Scope, run: Run, report: ReportProgress) -> RunOutcome:
    """Work that is done at once."""
    report(3, 3, "things")
    return RunOutcome(3, {"stored": 3})


async def test_successful_run_keeps_its_result(db: Database, project: Scope):
    requested = await start_run(db, project, JOB, "cli")
    ended = await runs.execute(db, project, requested.run, quick)
    assert (ended.status, ended.processed_count, ended.meta["result"]) == ("ok", 3, {"stored": 3})
    assert ended.finished_at is not None


async def test_failed_run_keeps_the_cause(db: Database, project: Scope):
    async def failing(scope: Scope, run: Run, report: ReportProgress) -> RunOutcome:
        raise Unavailable("Chatwoot answered 401.", code="chatwoot_sync_failed", details={"account_id": 7})

    requested = await start_run(db, project, JOB, "cli")
    ended = await runs.execute(db, project, requested.run, failing)
    assert (ended.status, ended.error) == ("failed", "Chatwoot answered 401.")
    assert ended.error_details == {"code": "chatwoot_sync_failed", "account_id": 7}


async def test_crash_is_stored_without_secrets(db: Database, project: Scope):
    async def crashing(scope: Scope, run: Run, report: ReportProgress) -> RunOutcome:
        raise RuntimeError("password=hunter2")

    requested = await start_run(db, project, JOB, "cli")
    ended = await runs.execute(db, project, requested.run, crashing)
    assert ended.status == "failed"
    assert "hunter2" not in f"{ended.error}{ended.error_details}"


async def test_second_request_joins_the_open_run(db: Database, project: Scope):
    first = await start_run(db, project, JOB, "cli")
    second = await runs.request(db, project, JOB, "manual")
    assert (second.joined, second.run.id) == (True, first.run.id)


async def test_work_that_arrives_while_a_run_ends_is_done_by_that_run(db: Database, project: Scope):
    statuses: list[str] = []

    async def late(scope: Scope, run: Run, report: ReportProgress) -> RunOutcome:
        statuses.append(run.status)
        if len(statuses) == 1:  # it looked for work; then more is committed
            await runs.request_after(db, project, JOB, "schedule")
        return RunOutcome(1, {"stored": len(statuses)})

    requested = await runs.request(db, project, JOB, "schedule")
    for status in ("queued", "ok"):
        run = await runs.claim(db, project, JOB)
        assert run is not None
        assert (await runs.execute(db, project, run, late, stopping=asyncio.Event())).status == status
    ended = await runs.get(db, project, requested.run.id)
    assert (ended.processed_count, ended.attempt, ended.meta["result"]) == (2, 1, {"stored": 2})


async def test_concurrent_requests_create_one_run(db: Database, project: Scope):
    requested = await asyncio.gather(*(runs.request(db, project, JOB, "manual") for _ in range(6)))
    assert len({a.run.id for a in requested}) == 1
    assert sum(not a.joined for a in requested) == 1


async def test_projects_do_not_wait_for_each_other(db: Database, project: Scope):
    other = await new_project(db, "Other")
    first = await start_run(db, project, JOB, "cli")
    second = await start_run(db, other, JOB, "cli")
    assert not second.joined
    assert first.run.id != second.run.id


async def test_run_of_another_project_is_not_found(db: Database, project: Scope):
    other = await new_project(db, "Other")
    requested = await start_run(db, other, JOB, "cli")
    with pytest.raises(runs.RunNotFound):
        await runs.get(db, project, requested.run.id)


async def test_claim_replaces_a_run_without_a_process(db: Database, project: Scope):
    first = await start_run(db, project, JOB, "cli")
    second = await runs.claim(db, project, JOB)
    assert second is not None and second.id != first.run.id
    lost = await runs.get(db, project, first.run.id)
    assert (lost.status, (lost.error_details or {})["code"]) == ("failed", "worker_lost")


async def test_one_job_of_a_project_and_type_waits_in_the_queue(
    db: Database, project: Scope, owner_conn: psycopg.Connection
):
    for _ in range(2):  # a job that waits for a cancelled run serves the next one
        requested = await runs.request(db, project, JOB, "manual")
        cancelled = await runs.cancel(db, project, requested.run.id)
        assert cancelled.status == "cancelled"
    await runs.request(db, project, JOB, "manual")
    rows = owner_conn.execute("SELECT lock, queueing_lock, args FROM procrastinate_jobs").fetchall()
    lock = f"{project.project_id}:{JOB}"
    assert rows == [(lock, lock, {"project_id": str(project.project_id), "job_type": JOB})]


async def test_wait_returns_when_the_run_or_the_time_is_over(db: Database, project: Scope):
    requested = await start_run(db, project, JOB, "cli")
    assert (await runs.wait(db, project, requested.run.id, 0.1)).status == "running"
    waiting = asyncio.create_task(runs.wait(db, project, requested.run.id, 10))
    await runs.execute(db, project, requested.run, quick)
    assert (await waiting).status == "ok"


async def test_interrupted_command_ends_its_run(db: Database, project: Scope):
    began = asyncio.Event()

    async def endless(scope: Scope, run: Run, report: ReportProgress) -> RunOutcome:
        began.set()
        await asyncio.sleep(60)
        raise AssertionError

    requested = await start_run(db, project, JOB, "cli")
    job = asyncio.create_task(runs.execute(db, project, requested.run, endless))
    await began.wait()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert (await runs.get(db, project, requested.run.id)).status == "cancelled"


async def test_schedule_records_how_the_run_ended(db: Database, project: Scope, owner_conn: psycopg.Connection):
    requested = await start_run(db, project, JOB, "cli")
    await runs.execute(db, project, requested.run, quick)
    row = owner_conn.execute(
        "SELECT last_status, next_run_at > now() FROM scheduled_jobs WHERE job_type = %s", [JOB]
    ).fetchone()
    assert row == ("ok", True)
