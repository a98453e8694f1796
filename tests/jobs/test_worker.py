"""Workers that are stopped, killed and cut off from their database: what they had goes on elsewhere."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psycopg

from proofdesk.database import embedded, migrate
from proofdesk.database.pool import Database, open_database
from proofdesk.jobs import catalog, recovery, runs, worker
from proofdesk.jobs.resources import Resources, open_resources
from proofdesk.jobs.run_queries import Run
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings
from proofdesk_simulators.chatwoot import ChatwootSimulator
from tests.support.chatwoot import chatwoot_content, stored_content
from tests.support.projects import new_project

STOPS_WITHIN = 20


def start_worker(resources: Resources) -> "subprocess.Popen[bytes]":
    """`proofdesk worker` as a process of its own, for the same database and Chatwoot."""
    settings = resources.settings
    assert settings.database_url and settings.chatwoot_api_token and settings.chatwoot_base_url
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "CHATWOOT_BASE_URL": settings.chatwoot_base_url,
        "CHATWOOT_API_TOKEN": settings.chatwoot_api_token.get_secret_value(),
        "CHATWOOT_ACCOUNT_ID": "1",
        "EMBEDDING_PROVIDER": "local",
        "LOG_LEVEL": "warning",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "proofdesk", "worker"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


async def until(what: Callable[[], Awaitable[bool]], seconds: float = 90) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not await what():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def reading(
    db: Database, project: Scope, resources: Resources, studio: ChatwootSimulator
) -> AsyncIterator[tuple]:
    """A worker process in the middle of a first reading, and the run it has."""
    studio.faults.add("delay", delay=0.02)
    requested = await runs.request(db, project, catalog.SYNC.name, "manual")
    process = start_worker(resources)

    async def has_begun() -> bool:
        assert process.poll() is None, process.communicate()[0].decode()
        return (await runs.get(db, project, requested.run.id)).status == "running" and studio.journal.count() > 5

    try:
        await until(has_begun)
        yield process, requested.run
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


async def finished(db: Database, project: Scope, resources: Resources, studio: ChatwootSimulator) -> list[Run]:
    """The runs there are after another worker has done what there was to do."""
    studio.faults.clear()
    await worker.run_worker(resources, drain=True)
    return (await runs.list_history(db, project, catalog.SYNC.name, None, 10, 0))[0]


async def test_stopped_worker_leaves_its_run_to_another(
    db: Database, project: Scope, resources: Resources, studio: ChatwootSimulator, owner_conn: psycopg.Connection
):
    async with reading(db, project, resources, studio) as (process, run):
        process.send_signal(signal.SIGTERM)
        asked_at = time.monotonic()
        output = process.communicate(timeout=60)[0].decode()
        assert process.returncode == 0, output
        assert time.monotonic() - asked_at < STOPS_WITHIN
    kept = await runs.get(db, project, run.id)
    assert (kept.status, kept.runner) == ("queued", None), kept
    [ended] = await finished(db, project, resources, studio)
    assert (ended.id, ended.status, ended.attempt) == (run.id, "ok", 1)
    assert stored_content(owner_conn) == chatwoot_content(studio)


async def test_run_of_a_killed_worker_is_continued_by_another(
    db: Database, project: Scope, resources: Resources, studio: ChatwootSimulator, owner_conn: psycopg.Connection
):
    async with reading(db, project, resources, studio) as (process, run):
        process.send_signal(signal.SIGKILL)
        process.wait()
    row = owner_conn.execute("SELECT status::text FROM procrastinate_jobs WHERE lock LIKE '%chatwoot_sync'").fetchone()
    assert row == ("doing",)
    owner_conn.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '31 seconds'")
    again, lost = await finished(db, project, resources, studio)
    assert (lost.id, lost.status, (lost.error_details or {})["code"]) == (run.id, "failed", "worker_lost")
    assert (again.status, again.attempt) == ("ok", 2)
    assert stored_content(owner_conn) == chatwoot_content(studio)
    assert owner_conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)
    assert owner_conn.execute("SELECT count(*) FROM procrastinate_workers").fetchone() == (0,)


async def test_job_of_a_worker_that_died_before_it_began_goes_to_another(
    db: Database, project: Scope, resources: Resources, owner_conn: psycopg.Connection
):
    requested = await runs.request(db, project, catalog.MAINTENANCE.name, "manual")
    owner_conn.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 minute')")
    owner_conn.execute(
        "UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT max(id) FROM procrastinate_workers)"
    )
    app = worker.create_app(resources, stopping=asyncio.Event())
    async with app.open_async(db.pool):
        await recovery.requeue_stalled_jobs(app, 120)
        assert owner_conn.execute("SELECT status FROM procrastinate_jobs").fetchall() == [("doing",)]
        await asyncio.gather(*(recovery.requeue_stalled_jobs(app, 45) for _ in range(3)))
        assert owner_conn.execute("SELECT status FROM procrastinate_jobs").fetchall() == [("todo",)]
    await worker.run_worker(resources, drain=True)
    assert (await runs.get(db, project, requested.run.id)).status == "ok"


async def test_scheduled_run_embeds_the_chunks_of_a_killed_worker(
    db: Database, project: Scope, resources: Resources, owner_conn: psycopg.Connection
):
    for job in (catalog.SYNC.name, catalog.EMBED.name):
        await runs.request(db, project, job, "manual")
        await worker.run_worker(resources, drain=True)
    minutes = resources.settings.embed_stale_recovery_minutes
    owner_conn.execute(
        "UPDATE rag_chunks SET embedding_status = 'processing', claimed_at = now() - make_interval(mins => %s)"
        " WHERE message_id IN (SELECT message_id FROM rag_chunks ORDER BY message_id LIMIT 3)",
        [minutes + 1],
    )
    owner_conn.execute("UPDATE scheduled_jobs SET next_run_at = now() WHERE job_type = 'embeddings_run'")
    stopping = asyncio.Event()
    working = asyncio.create_task(worker.run_worker(resources, stopping=stopping))

    async def all_ready() -> bool:
        row = owner_conn.execute("SELECT count(*) FROM rag_chunks WHERE embedding_status <> 'ready'").fetchone()
        return row == (0,)

    await until(all_ready)
    stopping.set()
    await asyncio.wait_for(working, STOPS_WITHIN)


async def test_worker_waits_for_its_database_and_continues(tmp_path: Path):
    with embedded.running_server(tmp_path) as url:
        migrate.migrate(url)
        settings = Settings(database_url=url, embedding_provider="local", worker_interval_seconds=1)  # type: ignore[arg-type]
        async with open_resources(settings) as resources, open_database(url, 4) as db:
            project = await new_project(db, "Studio")
            stopping = asyncio.Event()
            working = asyncio.create_task(worker.run_worker(resources, stopping=stopping))
            await _done(db, project)
            _stop(tmp_path)
            await asyncio.sleep(0.5)
            with embedded.running_server(tmp_path):
                await _done(db, project)
                assert not working.done()
                stopping.set()
                await asyncio.wait_for(working, STOPS_WITHIN)


async def _done(db: Database, project: Scope) -> None:
    requested = await runs.request(db, project, catalog.MAINTENANCE.name, "manual")

    async def is_over() -> bool:
        return (await runs.get(db, project, requested.run.id)).status == "ok"

    await until(is_over)


def _stop(home: Path) -> None:
    """Stop the server at once, whoever uses it."""
    pid = int((home / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + 30
    while (home / "postgres" / "postmaster.pid").exists():
        assert time.monotonic() < deadline, "the server did not stop"
        time.sleep(0.05)
