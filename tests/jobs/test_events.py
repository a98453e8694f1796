"""How runs reach those who watch: what a burst costs, and who waits for whom."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import psycopg
import pytest

from proofdesk.database.pool import NO_SETTINGS, Database, ScopeLike
from proofdesk.database.rows import Conn
from proofdesk.jobs import run_state_queries, runs
from proofdesk.jobs.events import MAX_WAITING, RunFeed
from proofdesk.jobs.run_queries import Run
from proofdesk.projects.scope import Scope
from tests.support.jobs import start_run
from tests.support.projects import new_project

PATIENCE = 30.0


class Counted(Database):
    """The database, counting transactions in projects."""

    readings = 0

    @asynccontextmanager
    async def scoped(self, scope: ScopeLike, settings: Mapping[str, object] = NO_SETTINGS) -> AsyncIterator[Conn]:
        """As always."""
        self.readings += 1
        async with super().scoped(scope, settings) as conn:
            yield conn


@pytest.fixture
async def counted(db: Database) -> Counted:
    return Counted(db.pool)


@pytest.fixture
async def feed(counted: Counted, database_url: str) -> AsyncIterator[RunFeed]:
    async with aclosing(RunFeed(counted, database_url)) as opened:
        yield opened


async def _next(following: AsyncGenerator[Run | None, None]) -> Run | None:
    async with asyncio.timeout(PATIENCE):
        return await anext(following)


async def _until(following: AsyncGenerator[Run | None, None], status: str) -> Run:
    while True:
        run = await _next(following)
        if run is not None and run.status == status:
            return run


async def _begun(db: Database, project: Scope) -> Run:
    return (await start_run(db, project, "chatwoot_sync", "manual")).run


async def _report(conn: psycopg.Connection, run: Run, steps: int) -> None:
    for done in range(1, steps + 1):
        conn.execute(
            "UPDATE worker_runs SET progress = jsonb_build_object('done', %s::int) WHERE id = %s", [done, run.id]
        )
        await asyncio.sleep(0)


async def test_slow_viewer_gets_the_newest_state_and_delays_nobody(
    feed: RunFeed, db: Database, project: Scope, owner_conn: psycopg.Connection
):
    run = await _begun(db, project)
    async with aclosing(feed.follow(project, PATIENCE)) as slow, aclosing(feed.follow(project, PATIENCE)) as quick:
        assert await _next(slow) == await _next(quick)
        await _report(owner_conn, run, 300)
        async with db.scoped(project) as conn:
            await run_state_queries.finish_run(conn, project, run.id, "ok", runner=runs.current_runner())
        ended = await _until(quick, "ok")
        assert ended.progress == {"done": 300}
        assert await _next(slow) == ended, "what lies between is of no interest any more"


async def test_a_burst_is_read_once_for_all_viewers(
    feed: RunFeed, counted: Counted, db: Database, project: Scope, owner_conn: psycopg.Connection
):
    run = await _begun(db, project)
    followers = [feed.follow(project, PATIENCE) for _ in range(20)]
    firsts = await asyncio.gather(*map(_next, followers))
    assert {first.id for first in firsts if first} == {run.id}
    before = counted.readings
    with owner_conn.transaction():  # all of it is told of at once
        for number in range(50):
            owner_conn.execute(
                "INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger)"
                " VALUES (%s, %s, %s, 'manual')",
                [project.project_id, project.account_scope_id, f"job {number}"],
            )
    for follower in followers:
        seen = {(await _next(follower) or run).job_type for _ in range(50)}
        assert len(seen) == 50
        await follower.aclose()
    assert counted.readings - before <= 3, "not once a viewer, and not once a run"


async def test_runs_without_viewers_are_not_read(
    feed: RunFeed, counted: Counted, db: Database, project: Scope, owner_conn: psycopg.Connection
):
    other = await new_project(db, "Other")
    async with aclosing(feed.follow(project, PATIENCE)) as following:
        ours = await _begun(db, project)
        await _until(following, "running")
        before = counted.readings
        await _report(owner_conn, await _begun(db, other), 10)
        async with db.scoped(project) as conn:
            await run_state_queries.finish_run(conn, project, ours.id, "ok", runner=runs.current_runner())
        assert (await _until(following, "ok")).id == ours.id
        assert counted.readings - before <= 2


async def test_viewer_with_too_many_changes_misses_the_oldest(
    feed: RunFeed, project: Scope, owner_conn: psycopg.Connection
):
    async with aclosing(feed.follow(project, 0.2)) as following:
        assert await _next(following) is None
        with owner_conn.transaction():
            for number in range(MAX_WAITING + 10):
                owner_conn.execute(
                    "INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger, created_at)"
                    " VALUES (%s, %s, %s, 'manual', now() + make_interval(secs => %s))",
                    [project.project_id, project.account_scope_id, f"{number}", number],
                )
        seen: list[Any] = []
        while len(seen) < MAX_WAITING:
            run = await _next(following)
            seen += [int(run.job_type)] if run else []
        assert seen == list(range(10, MAX_WAITING + 10))


async def test_heartbeat_without_progress_sends_no_change(
    feed: RunFeed, db: Database, project: Scope, owner_conn: psycopg.Connection
):
    run = await _begun(db, project)
    async with aclosing(feed.follow(project, 0.5)) as following:
        await _until(following, "running")
        owner_conn.execute("UPDATE worker_runs SET heartbeat_at = now() WHERE id = %s", [run.id])
        assert await _next(following) is None


async def test_closing_the_feed_ends_its_viewers(feed: RunFeed, project: Scope):
    async with aclosing(feed.follow(project, PATIENCE)) as following:
        waiting = asyncio.create_task(_next(following))
        await asyncio.sleep(0.05)
        await feed.aclose()
        with pytest.raises(StopAsyncIteration):
            await waiting
    with pytest.raises(StopAsyncIteration):
        await _next(feed.follow(project, PATIENCE))


async def test_ended_runs_stay_counted_after_deletion(db: Database, project: Scope, owner_conn: psycopg.Connection):
    for status in ("ok", "ok", "failed"):
        run = await _begun(db, project)
        async with db.scoped(project) as conn:
            assert await run_state_queries.finish_run(conn, project, run.id, status, runner=runs.current_runner())
    owner_conn.execute("DELETE FROM worker_runs")
    counted = owner_conn.execute("SELECT status, sum(runs)::int FROM run_totals GROUP BY 1 ORDER BY 1").fetchall()
    assert counted == [("failed", 1), ("ok", 2)]
