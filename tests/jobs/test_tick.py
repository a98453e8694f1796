"""The tick: every due job of every project gets one run, and whoever waits learns how it went."""

import asyncio
from collections import Counter
from typing import Any

import psycopg
import pytest
from psycopg import sql

from proofdesk.audit.events import system_actor
from proofdesk.database.pool import Database
from proofdesk.errors import Unavailable
from proofdesk.jobs import queue, runs, schedule_queries, tick
from proofdesk.jobs.queue import JobKey
from proofdesk.jobs.run_queries import StartedRun
from proofdesk.jobs.runs import RunOutcome
from proofdesk.projects import projects, scope
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings
from tests.support.jobs import start_run
from tests.support.projects import new_project

SETTINGS = Settings()
JOB = "chatwoot_sync"


def queued(conn: psycopg.Connection) -> Counter[str]:
    """Return the locks of the jobs in the queue, and how many jobs each has."""
    return Counter(lock for (lock,) in conn.execute("SELECT lock FROM procrastinate_jobs").fetchall())


def locks(started: list[StartedRun]) -> dict[str, int]:
    """Return the lock of each run, once."""
    return {JobKey(run.project_id, run.job_type).lock: 1 for run in started}


async def test_due_jobs_of_all_projects_are_queued(db: Database, project: Scope, owner_conn: psycopg.Connection):
    await new_project(db, "Other")
    started = await tick.start_due(db, SETTINGS, 25)
    assert Counter(s.job_type for s in started)["chatwoot_sync"] == 2
    assert Counter(s.job_type for s in started)["embeddings_run"] == 2
    assert len({s.project_id for s in started}) == 2
    assert queued(owner_conn) == locks(started)


async def test_tick_can_be_for_one_project(db: Database, project: Scope, owner_conn: psycopg.Connection):
    other = await new_project(db, "Other")
    started = await tick.start_due(db, SETTINGS, 25, project)
    assert {s.project_id for s in started} == {project.project_id}
    assert {s.project_id for s in await tick.start_due(db, SETTINGS, 25)} == {other.project_id}


async def test_started_jobs_are_not_due_again(db: Database, project: Scope):
    await tick.start_due(db, SETTINGS, 25)
    assert await tick.start_due(db, SETTINGS, 25) == []


async def test_eight_concurrent_ticks_start_forty_jobs_once_each(
    db: Database, project: Scope, owner_conn: psycopg.Connection
):
    for number in range(9):
        await new_project(db, f"Project {number}")
    owner_conn.execute("UPDATE scheduled_jobs SET next_run_at = now() - random() * interval '1 hour'")
    due = {(p, t) for p, t in owner_conn.execute("SELECT project_id, job_type FROM scheduled_jobs").fetchall()}
    assert len(due) >= 40
    started = [
        s for found in await asyncio.gather(*(tick.start_due(db, SETTINGS, 25) for _ in range(8))) for s in found
    ]
    started += await tick.start_due(db, SETTINGS, 100)
    assert Counter((s.project_id, s.job_type) for s in started) == dict.fromkeys(due, 1)
    assert queued(owner_conn) == locks(started)
    made = owner_conn.execute("SELECT project_id, job_type FROM worker_runs WHERE status = 'queued'").fetchall()
    assert Counter(made) == dict.fromkeys(due, 1)


async def test_concurrent_ticks_and_ends_of_runs_do_not_deadlock(
    db: Database, project: Scope, owner_conn: psycopg.Connection
):
    async def quick(*_: Any) -> RunOutcome:
        return RunOutcome(0, {})

    for _ in range(6):
        requested = await start_run(db, project, "chatwoot_sync", "cli")
        owner_conn.execute("UPDATE scheduled_jobs SET next_run_at = now()")
        ending = runs.execute(db, project, requested.run, quick)
        await asyncio.gather(ending, *(tick.start_due(db, SETTINGS, 25) for _ in range(3)))
        for run in await runs.list_latest(db, project):
            if run.status == "queued":
                await runs.cancel(db, project, run.id)


async def test_interrupted_tick_changes_nothing(
    db: Database, project: Scope, owner_conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
):
    async def cut_off(*_: Any) -> None:
        raise RuntimeError("killed")

    before = owner_conn.execute("SELECT * FROM scheduled_jobs ORDER BY id").fetchall()
    with monkeypatch.context() as broken, pytest.raises(RuntimeError):
        broken.setattr(queue, "enqueue", cut_off)
        await tick.start_due(db, SETTINGS, 25)
    assert owner_conn.execute("SELECT * FROM scheduled_jobs ORDER BY id").fetchall() == before
    assert owner_conn.execute("SELECT count(*) FROM worker_runs").fetchone() == (0,)
    assert len(await tick.start_due(db, SETTINGS, 25)) > 0


async def test_tick_joins_an_open_run(db: Database, project: Scope, owner_conn: psycopg.Connection):
    requested = await start_run(db, project, "chatwoot_sync", "cli")
    [joined] = [s for s in await tick.start_due(db, SETTINGS, 25) if s.job_type == "chatwoot_sync"]
    assert (joined.run_id, joined.joined) == (requested.run.id, True)
    assert not any(JOB in lock for lock in queued(owner_conn))


async def test_tick_records_each_run_in_the_chain_of_its_project(
    db: Database, project: Scope, owner_conn: psycopg.Connection
):
    other = await new_project(db, "Other")
    started = await tick.start_due(db, SETTINGS, 25)
    for inside in (project, other):
        rows = owner_conn.execute(
            "SELECT entity_id, actor_username, payload ->> 'trigger' FROM audit_events"
            " WHERE action = 'job.requested' AND project_id = %s",
            [inside.project_id],
        ).fetchall()
        ours = {str(s.run_id) for s in started if s.project_id == inside.project_id}
        assert {row[0] for row in rows} == ours
        assert {row[1:] for row in rows} == {("system", "schedule")}


async def test_paused_job_is_not_started(db: Database, project: Scope, owner_conn: psycopg.Connection):
    owner_conn.execute("UPDATE scheduled_jobs SET status = 'paused' WHERE job_type <> 'chatwoot_sync'")
    assert [s.job_type for s in await tick.start_due(db, SETTINGS, 25)] == ["chatwoot_sync"]


async def test_jobs_of_an_archived_project_are_not_started(db: Database, project: Scope):
    await projects.archive(db, await scope.require_owner(db, project))
    assert await tick.start_due(db, SETTINGS, 25) == []


async def test_tick_starts_no_more_jobs_than_its_limit(db: Database, project: Scope):
    assert len(await tick.start_due(db, SETTINGS, 1)) == 1


async def test_results_have_the_status_of_each_run(db: Database, project: Scope, owner_conn: psycopg.Connection):
    async def ends(*_: Any) -> RunOutcome:
        return RunOutcome(2, {"messages": 2})

    async def fails(*_: Any) -> RunOutcome:
        raise Unavailable("No answer.", code="embeddings_job_failed")

    owner_conn.execute("UPDATE scheduled_jobs SET next_run_at = now()")
    started = await tick.start_due(db, SETTINGS, 25)
    for job_type, work in (("chatwoot_sync", ends), ("embeddings_run", fails)):
        run = await runs.claim(db, project, job_type)
        assert run is not None
        await runs.execute(db, project, run, work)
    result = await tick.wait_for_results(db, system_actor(), started, 0)
    assert (result.processed, result.ok, result.failed) == (len(started), 1, 1)
    details = {d["job_type"]: d for d in result.details}
    assert (details["chatwoot_sync"]["status"], details["chatwoot_sync"]["details"]) == ("ok", {"messages": 2})
    assert (details["embeddings_run"]["status"], details["embeddings_run"]["error"]) == ("failed", "No answer.")
    assert details["maintenance"]["status"] == "queued"


async def test_scheduler_sees_schedules_and_runs_and_nothing_else(
    db: Database, project: Scope, owner_conn: psycopg.Connection
):
    await tick.start_due(db, SETTINGS, 25)
    scoped = "SELECT relname::text FROM pg_class WHERE relrowsecurity AND relkind = 'r' ORDER BY 1"
    async with db.transaction() as conn:
        await schedule_queries.show_all_projects(conn)
        visible = set()
        for (table,) in owner_conn.execute(scoped).fetchall():
            rows = await conn.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
            visible |= {table} if await rows.fetchone() != (0,) else set()
        changed = await conn.execute("UPDATE worker_runs SET status = 'cancelled', finished_at = now()")
        removed = await conn.execute("DELETE FROM worker_runs")
        unscheduled = await conn.execute("DELETE FROM scheduled_jobs")
    assert visible == {"scheduled_jobs", "worker_runs"}
    assert (changed.rowcount, removed.rowcount, unscheduled.rowcount) == (0, 0, 0)


async def test_without_the_setting_the_scheduler_sees_nothing(db: Database, project: Scope):
    async with db.transaction() as conn:
        assert await schedule_queries.take_due_jobs(conn, 25, None) == []
