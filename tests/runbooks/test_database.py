"""The runbook names what is wrong with a database, and no other runbook blames anything else for it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from proofdesk.database.sessions import connect_as_owner
from proofdesk.jobs.resources import open_resources
from proofdesk.runbooks import database_probe, execution, registry
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import RunbookResult
from proofdesk.settings import Settings
from tests.runbooks.installation import Installation
from tests.support.databases import copy_database

SLUG = "database-and-disk"


async def run(installation: Installation, url: str, slug: str = SLUG) -> RunbookResult:
    """Run a runbook as `doctor` does, on the database of a URL."""
    values: dict[str, Any] = installation.settings | {"database_url": SecretStr(url)}
    settings = Settings(**values)
    closed = (await database_probe.probe(url)).closed
    async with open_resources(settings, closed=closed) as resources:
        context = RunbookContext(resources, installation.scope.actor, installation.scope)
        return await execution.run_checks(context, registry.get_runbook(slug))


def cause(result: RunbookResult) -> str | None:
    """Return the id of the check that names the cause."""
    return result.cause.check if result.cause else None


REACHED = [
    ("connection", ("host=", "host=/nowhere")),
    ("password", ("//postgres:", "//nobody:")),
    ("name", ("/test_", "/no_such_test_")),
]


@pytest.mark.parametrize(("problem", "change"), REACHED)
async def test_a_database_that_cannot_be_reached(
    installation: Installation, database_url: str, problem: str, change: tuple[str, str]
):
    url = database_url.replace(*change)
    result = await run(installation, url)
    assert cause(result) == problem, result
    assert result.fixes[0].command
    for slug in (r.slug for r in registry.list_runbooks() if r.slug != SLUG):
        other = await run(installation, url, slug)
        assert (cause(other), other.verdict) == ("database", "problem")
        assert [c.id for c in other.checks if c.status == "fail"] == ["database"]
        assert other.fixes[0].command == f"proofdesk doctor {SLUG}"


@pytest.fixture
def empty_url(server_url: str) -> Iterator[str]:
    """Return the URL of a database without tables."""
    with psycopg.connect(server_url.replace("/proofdesk?", "/postgres?"), autocommit=True) as conn:
        conn.execute("DROP DATABASE IF EXISTS empty_of_runbooks")
        conn.execute("CREATE DATABASE empty_of_runbooks TEMPLATE template0")
        yield server_url.replace("/proofdesk?", "/empty_of_runbooks?")
        conn.execute("DROP DATABASE empty_of_runbooks WITH (FORCE)")


async def test_an_empty_database_is_reported_and_stays_empty(installation: Installation, empty_url: str):
    result = await run(installation, empty_url)
    assert cause(result) == "schema" and "empty" in result.summary
    assert result.fixes[0].command == "proofdesk migrate"
    with psycopg.connect(empty_url) as conn:
        assert conn.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


@contextlib.contextmanager
def altered(url: str, statement: str, undo: str) -> Iterator[None]:
    """Execute a statement as the owner, and its opposite at the end."""
    with connect_as_owner(url) as conn:
        conn.execute(statement.encode())
        try:
            yield
        finally:
            conn.execute(undo.encode())


async def test_a_default_of_read_only_is_named(installation: Installation, server_url: str):
    url = copy_database(server_url, "read_only_of_runbooks")
    name = "ALTER DATABASE read_only_of_runbooks"
    with altered(url, f"{name} SET default_transaction_read_only = on", f"{name} RESET ALL"):
        assert cause(await run(installation, url)) == "default-read-only"


async def test_a_database_without_free_connections_is_named(installation: Installation, server_url: str):
    url = copy_database(server_url, "busy_of_runbooks")
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS busy_of_runbooks")
        conn.execute("CREATE ROLE busy_of_runbooks LOGIN CONNECTION LIMIT 0")
    try:
        result = await run(installation, url.replace("//postgres:", "//busy_of_runbooks:"))
        assert cause(result) == "connections" and "no free connection" in result.summary
    finally:
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("DROP ROLE busy_of_runbooks")


@contextlib.asynccontextmanager
async def locked(url: str) -> AsyncIterator[int]:
    """Yield the process id of a session that makes another one wait."""
    async with await psycopg.AsyncConnection.connect(url) as blocker, await psycopg.AsyncConnection.connect(url) as b:
        await blocker.execute("LOCK TABLE cw_messages")
        waiting = asyncio.create_task(b.execute("SELECT 1 FROM cw_messages"))
        try:
            yield blocker.info.backend_pid
        finally:
            await blocker.rollback()
            await waiting


async def test_a_session_that_blocks_others_is_named(
    installation: Installation, database_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("proofdesk.runbooks.checks.database._WAIT_SECONDS", 0.0)
    async with locked(database_url) as pid:
        while not (result := await run(installation, database_url)).cause:
            pass
    assert cause(result) == "locks" and str(pid) in result.summary
    assert f"pg_terminate_backend({pid})" in (result.fixes[-1].command or "")


class Disk:
    """A disk with few bytes left."""

    total, used, free = 10 * 1024**3, 0, 1024**2


async def test_a_full_disk_is_named(installation: Installation, database_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: Disk)
    assert cause(await run(installation, database_url)) == "disk"


async def test_a_database_over_its_budget_is_named(installation: Installation):
    installation.set(storage_budget_gb=0.001)
    assert cause(await installation.run(SLUG)) == "budget"


async def test_a_server_that_cannot_write_is_named(
    installation: Installation, database_url: str, monkeypatch: pytest.MonkeyPatch
):
    async def refuse(*_: Any) -> None:
        raise psycopg.errors.DiskFull("could not extend file: No space left on device")

    monkeypatch.setattr("proofdesk.runbooks.database_queries.try_to_write", refuse)
    assert cause(await run(installation, database_url)) == "space"
    other = await run(installation, database_url, "scheduler-worker-failing")
    assert other.cause is not None and "disk" in other.cause.message


async def test_a_read_only_server_is_named(
    installation: Installation, database_url: str, monkeypatch: pytest.MonkeyPatch
):
    async def refuse(*_: Any) -> None:
        raise psycopg.errors.ReadOnlySqlTransaction("cannot assign TransactionIds during recovery")

    monkeypatch.setattr("proofdesk.runbooks.database_queries.fetch_transaction_id", refuse)
    assert cause(await run(installation, database_url)) == "read-only"
