"""The status: which workers are alive, whether the database is ready, and what waits."""

import psycopg
import pytest

from proofdesk.dashboard import overview, status
from proofdesk.database.pool import Database
from proofdesk.errors import Unavailable
from proofdesk.jobs import catalog, runs
from proofdesk.jobs.runs import RunOutcome
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings
from tests.support.jobs import start_run

SETTINGS = Settings()


async def done(*_: object) -> RunOutcome:
    """Finish at once."""
    return RunOutcome(3, {})


async def test_workers_with_a_recent_heartbeat_are_alive(db: Database, owner_conn: psycopg.Connection):
    with pytest.raises(Unavailable) as silent:
        await status.check_workers(db, SETTINGS)
    assert silent.value.code == "worker_silent"
    owner_conn.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '10 minutes')")
    gone = await status.read_workers(db, SETTINGS)
    assert (gone.alive, gone.workers) == (False, 0) and gone.last_heartbeat_at is not None
    owner_conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
    alive = await status.check_workers(db, SETTINGS)
    assert (alive.alive, alive.workers) == (True, 1)


async def test_database_without_a_migration_is_not_ready(db: Database, owner_conn: psycopg.Connection):
    await status.check_ready(db)
    owner_conn.execute("UPDATE schema_migrations SET name = 'x' WHERE name = '0035_scheduling.sql'")
    try:
        with pytest.raises(Unavailable, match=r"0035_scheduling\.sql"):
            await status.check_ready(db)
    finally:
        owner_conn.execute("UPDATE schema_migrations SET name = '0035_scheduling.sql' WHERE name = 'x'")


async def test_status_and_overview_of_a_project_agree(db: Database, project: Scope):
    run = (await start_run(db, project, catalog.SYNC.name, "cli")).run
    await runs.execute(db, project, run, done)
    current = await status.read_status(db, project, SETTINGS)
    assert current.keys() == status.FIELDS.keys()
    assert [job["job_name"] for job in current["jobs"]] == [catalog.SYNC.name]
    assert current["backlog"] == {"sync_due": 0, "outbound_due": 0, "embeddings_pending": 0}
    page = await overview.load_overview(db, project, 60)
    assert [job.id for job in page.latest] == [run.id]
    assert page.contents.entities == current["entities"]
    assert page.contents.synced_at is not None
    today = (await status.daily_work(db, project, 1))[0]
    assert (today.messages_read, today.chunks_embedded) == (3, 0)
