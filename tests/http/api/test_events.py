"""The stream of run updates, from real servers with two processes each."""

import asyncio
import contextlib
import json
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil
import psycopg
import pytest

from proofdesk.audit.events import system_actor
from proofdesk.core.progress import ReportProgress
from proofdesk.database import embedded, migrate
from proofdesk.database.pool import Database, open_database
from proofdesk.jobs import runs
from proofdesk.jobs.run_queries import Run
from proofdesk.jobs.runs import RunOutcome
from proofdesk.projects import scope
from tests.support.jobs import start_run
from tests.support.server import Cast, Person, create_person, open_client, run_server

TIMEOUT = 30.0


@dataclass
class Watcher:
    """The events that a client received."""

    received: list[dict[str, Any]] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    over: bool = False

    async def wait_for(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first received run for which the condition holds."""
        await until(lambda: any(map(condition, self.received)))
        return next(filter(condition, self.received))


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def watching(person: Person, path: str = "/jobs/events") -> AsyncIterator[Watcher]:
    """Stream over a new connection, which either of the two processes may accept."""
    watcher = Watcher()
    started = asyncio.Event()
    task = asyncio.create_task(_watch(person, path, watcher, started))
    try:
        async with asyncio.timeout(TIMEOUT):
            await started.wait()
        yield watcher
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _watch(person: Person, path: str, watcher: Watcher, started: asyncio.Event) -> None:
    client = open_client(str(person.client.base_url), cookies={"sid": person.token}, timeout=TIMEOUT)
    async with client, client.stream("GET", path, headers={"accept": "text/event-stream"}) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        started.set()
        with contextlib.suppress(httpx2.RemoteProtocolError):
            async for line in answer.aiter_lines():
                watcher.raw.append(line)
                if line.startswith("data: "):
                    watcher.received.append(json.loads(line.removeprefix("data: ")))
        watcher.over = True


async def _run_job(db: Database, person: Person, work: Callable[[ReportProgress], Awaitable[None]]) -> Run:
    """Execute a run in the person's project."""
    assert person.project_id is not None
    project_scope = await scope.enter(db, system_actor(), person.project_id)

    async def handler(_: Any, __: Run, report: ReportProgress) -> RunOutcome:
        await work(report)
        return RunOutcome(7, {"messages": 7})

    requested = await start_run(db, project_scope, "chatwoot_sync", "manual")
    return await runs.execute(db, project_scope, requested.run, handler)


async def _do_nothing(_: ReportProgress) -> None:
    """Let a run end at once."""


async def test_viewers_receive_start_progress_and_end_of_a_run(cast: Cast, db: Database):
    await cast.owner.client.post(f"/projects/{cast.member.project_id}/select")
    async with watching(cast.member) as first, watching(cast.owner, "/api/v1/jobs/events") as second:

        async def work(report: ReportProgress) -> None:
            report(3, 10, "conversations")
            for watcher in (first, second):
                in_progress = await watcher.wait_for(lambda run: run["progress"] is not None)
                assert in_progress["progress"] == {"done": 3, "total": 10, "unit": "conversations"}

        run = await _run_job(db, cast.member, work)
        for watcher in (first, second):
            ended = await watcher.wait_for(lambda received: received["status"] == "ok")
            assert ended == (await cast.member.client.get(f"/jobs/runs/{run.id}")).json()["run"]
            assert [run["status"] for run in watcher.received if run["progress"]] == ["running", "ok"]
            assert {"event: run", f"id: {run.id}", "retry: 2000"} <= set(watcher.raw)


async def test_a_new_stream_starts_with_the_current_state(cast: Cast, db: Database):
    await _run_job(db, cast.member, _do_nothing)
    last = await _run_job(db, cast.member, _do_nothing)
    for _ in range(2):
        async with watching(cast.member) as watcher:
            await watcher.wait_for(lambda run: run["status"] == "ok")
            assert [run["id"] for run in watcher.received] == [str(last.id)]


async def test_a_stream_has_no_runs_of_another_project(cast: Cast, db: Database):
    async with watching(cast.stranger) as stranger, watching(cast.member) as member:
        theirs = await _run_job(db, cast.member, _do_nothing)
        await member.wait_for(lambda run: run["status"] == "ok")
        ours = await _run_job(db, cast.stranger, _do_nothing)
        await stranger.wait_for(lambda run: run["status"] == "ok")
        assert {run["id"] for run in stranger.received} == {str(ours.id)}
        assert str(theirs.id) not in "".join(stranger.raw)


async def test_fifty_viewers_of_two_processes_need_two_connections(
    cast: Cast, db: Database, owner_conn: psycopg.Connection
):
    async with contextlib.AsyncExitStack() as stack:
        watchers = [await stack.enter_async_context(watching(cast.member)) for _ in range(50)]
        # The faster process accepts a connection. Of fifty, each process accepts some.
        await until(lambda: _connections(owner_conn, "proofdesk events") == 2)
        run = await _run_job(db, cast.member, _do_nothing)
        for watcher in watchers:
            assert (await watcher.wait_for(lambda received: received["status"] == "ok"))["id"] == str(run.id)
        assert _connections(owner_conn, "proofdesk events") == 2
        assert _connections(owner_conn, "proofdesk") <= 2 * 4 + 8  # the pools of the two processes and of this test


async def test_a_stream_that_cannot_start_returns_an_error(cast: Cast, anyone: httpx2.AsyncClient):
    for client, status, code in ((anyone, 401, "unauthorized"), (cast.owner.client, 409, "active_project_required")):
        answer = await client.get("/jobs/events", headers={"accept": "text/event-stream"})
        assert (answer.status_code, answer.json()["error"]) == (status, code)


async def test_a_head_request_of_a_stream_ends(cast: Cast):
    answer = await cast.member.client.head("/jobs/events", timeout=TIMEOUT)
    assert (answer.status_code, answer.content) == (200, b"")


# A server with its own database -------------------------------------------------------------------------------


@dataclass
class PrivateServer:
    """A server with a short keep-alive, on a database that can be stopped."""

    home: Path
    url: str
    database_url: str

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """Stop the database during the block."""
        pid = int((self.home / "postgres" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        until = time.monotonic() + TIMEOUT
        while _is_alive(pid) and time.monotonic() < until:
            time.sleep(0.02)
        try:
            yield
        finally:
            with embedded._starting(self.home):
                embedded._start(self.home / "postgres")


@pytest.fixture(scope="module")
def private() -> Iterator[PrivateServer]:
    # Not in pytest's folder, which only its user may enter: as root, the database runs as another user.
    with tempfile.TemporaryDirectory(prefix="proofdesk-private-") as name:
        folder = Path(name)
        with embedded.running_server(folder) as database_url:
            migrate.migrate(database_url)
            with run_server(
                database_url, folder / "server.log", "tests.http.api.short_keep_alive:from_environment"
            ) as url:
                yield PrivateServer(folder, url, database_url)


@pytest.fixture
async def watched(private: PrivateServer) -> AsyncIterator[tuple[Person, Database]]:
    """A user with a project on the private server."""
    async with open_database(private.database_url, 4) as db:
        with psycopg.connect(private.database_url, autocommit=True) as conn:
            person = create_person(private.url, conn, f"watcher{time.monotonic_ns()}", is_owner=False)
            made = await person.client.post("/projects", json={"name": "Watched"})
            person.project_id = made.json()["project"]["id"]
            await person.client.post(f"/projects/{person.project_id}/select")
        yield person, db
        await person.client.aclose()


async def test_a_stream_continues_after_the_database_was_restarted(
    private: PrivateServer, watched: tuple[Person, Database]
):
    person, db = watched
    before = await _run_job(db, person, _do_nothing)
    async with watching(person) as watcher:
        await watcher.wait_for(lambda run: run["id"] == str(before.id))
        with private.outage():
            quiet = watcher.raw.count(": idle")
            await until(lambda: watcher.raw.count(": idle") >= quiet + 2)
        async with open_database(private.database_url, 2) as again:
            after = await _run_job(again, person, _do_nothing)
        ended = await watcher.wait_for(lambda run: run["id"] == str(after.id) and run["status"] == "ok")
        assert ended["processed_count"] == 7 and not watcher.over


async def test_a_stream_ends_with_its_session(watched: tuple[Person, Database]):
    person, db = watched
    async with watching(person) as watcher:
        await _run_job(db, person, _do_nothing)
        await watcher.wait_for(lambda run: run["status"] == "ok")
        await person.client.post("/auth/logout")
        await until(lambda: watcher.over)


async def test_a_stream_ends_when_another_project_becomes_active(watched: tuple[Person, Database]):
    person, _ = watched
    async with watching(person) as watcher:
        made = await person.client.post("/projects", json={"name": "Another"})
        await person.client.post(f"/projects/{made.json()['project']['id']}/select")
        await until(lambda: watcher.over)


async def test_a_stream_ends_when_its_user_is_removed_from_the_project(
    private: PrivateServer, watched: tuple[Person, Database]
):
    person, _ = watched
    async with watching(person) as watcher:
        with psycopg.connect(private.database_url, autocommit=True) as conn:
            conn.execute("UPDATE projects SET archived_at = now() WHERE id = %s", [person.project_id])
        await until(lambda: watcher.over)


async def test_an_open_stream_does_not_extend_its_session(private: PrivateServer, watched: tuple[Person, Database]):
    person, _ = watched
    with psycopg.connect(private.database_url, autocommit=True) as conn:
        async with watching(person) as watcher:
            conn.execute("UPDATE sessions SET last_seen_at = now() - interval '1 hour' WHERE user_id = %s", [person.id])
            await until(lambda: watcher.raw.count(": idle") >= 3)
        old = conn.execute(
            "SELECT now() - last_seen_at > interval '59 minutes' FROM sessions WHERE user_id = %s", [person.id]
        ).fetchone()
    assert old == (True,)


async def test_a_stopping_server_closes_its_streams_at_once(private: PrivateServer, tmp_path: Path):
    with run_server(private.database_url, tmp_path / "server.log") as url:
        with psycopg.connect(private.database_url, autocommit=True) as conn:
            person = create_person(url, conn, "last")
        async with person.client, contextlib.AsyncExitStack() as stack:
            made = (await person.client.post("/projects", json={"name": "Last"})).json()["project"]
            await person.client.post(f"/projects/{made['id']}/select")
            watchers = [await stack.enter_async_context(watching(person)) for _ in range(5)]
            stopping = asyncio.create_task(asyncio.to_thread(_stop, url))
            await until(lambda: all(watcher.over for watcher in watchers))
            await stopping


def _stop(url: str) -> None:
    port = int(url.rpartition(":")[2])
    for process in psutil.Process().children():
        if str(port) in process.cmdline():
            process.terminate()
            process.wait(TIMEOUT)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _connections(conn: psycopg.Connection, name: str) -> int:
    row = conn.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()", [name]
    ).fetchone()
    assert row is not None
    return row[0]
