"""Behind a real PgBouncer, a session is as required, or it is refused with the cause and executes nothing."""

import asyncio
import time

import psycopg
import pytest

from proofdesk.database import migrate, poolers
from proofdesk.database.pool import Database, open_database
from proofdesk.database.poolers import WrongSession
from proofdesk.database.sessions import DatabaseSession, connect_as_owner
from proofdesk.errors import Unavailable
from proofdesk.projects.scope import Scope
from tests.support import pgbouncer

REFUSED_WITHIN = 8.0  # seconds
OPTIONS_HANDLING = pytest.mark.parametrize("more", ["ignore_startup_parameters = options", ""])


@OPTIONS_HANDLING
@pytest.mark.fidelity(
    "PgBouncer",
    "`ignore_startup_parameters = options` drops the role silently.",
    "tried with PgBouncer",
)
async def test_session_mode_keeps_the_role(database_url: str, db: Database, project: Scope, more: str):
    with pgbouncer.running(database_url, "session", more) as bouncer:
        async with open_database(bouncer.url, 3) as behind:
            async with behind.transaction() as conn:
                assert conn.behind_pooler
                assert await _row(conn, "SELECT current_user::text, count(*) FROM scheduled_jobs") == (
                    "proofdesk_app",
                    0,
                )
            async with behind.scoped(project) as conn:
                assert await _row(conn, "SELECT count(*) > 0 FROM scheduled_jobs") == (True,)
            async with behind.statement() as conn:
                assert await _row(conn, "SELECT current_user::text, current_setting('timezone')") == (
                    "proofdesk_app",
                    "UTC",
                )


async def test_session_mode_migrates_and_locks(database_url: str):
    with pgbouncer.running(database_url, "session") as bouncer:
        assert await asyncio.to_thread(migrate.migrate, bouncer.url) == []


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest.mark.parametrize(
    "more",
    [
        "ignore_startup_parameters = options",
        "server_round_robin = 1\nignore_startup_parameters = options",
        "default_pool_size=1",
    ],
)
@pytest.mark.fidelity(
    "PgBouncer",
    "Transaction mode shares sessions: roles, locks and LISTEN get lost.",
    "pgbouncer.org/features.html; tried with PgBouncer",
)
async def test_shared_sessions_are_refused_with_the_cause(database_url: str, mode: str, more: str):
    with pgbouncer.running(database_url, mode, more) as bouncer:
        began = time.monotonic()
        with pytest.raises(WrongSession, match="pool_mode = session"):
            async with open_database(bouncer.url, 3):
                pass
        with pytest.raises(WrongSession, match="pool_mode = session"):
            await asyncio.to_thread(migrate.migrate, bouncer.url)
        assert time.monotonic() - began < 2 * REFUSED_WITHIN


async def test_pool_too_small_for_two_sessions_is_reported(database_url: str):
    with (
        pgbouncer.running(database_url, "session", "default_pool_size = 1") as bouncer,
        pytest.raises(WrongSession, match="pool_size"),
    ):
        async with open_database(bouncer.url, 3):
            pass


async def test_mode_change_while_connected_is_detected(database_url: str, project: Scope):
    with pgbouncer.running(database_url, "session") as bouncer:
        async with open_database(bouncer.url, 3) as behind:
            async with behind.transaction() as conn:
                first = await _row(conn, "SELECT pg_backend_pid()")
            bouncer.set_mode("transaction")
            # Another client uses the server session and changes its settings.
            async with await psycopg.AsyncConnection.connect(bouncer.url, autocommit=True) as other:
                for _ in range(20):
                    if await _row(other, "SELECT pg_backend_pid()") == first:
                        await other.execute("RESET ROLE")
                    await asyncio.sleep(0.05)
                with pytest.raises(Unavailable, match="pool_mode = session"):
                    for _ in range(20):
                        async with behind.statement() as conn:
                            assert await _row(conn, "SELECT current_user::text") == ("proofdesk_app",)
                        await other.execute("RESET ROLE")
                began = time.monotonic()
                with pytest.raises(WrongSession):
                    async with behind.transaction():
                        pass
                assert time.monotonic() - began < REFUSED_WITHIN
            bouncer.set_mode("session")
            async with asyncio.timeout(60):
                while True:
                    try:
                        async with behind.scoped(project) as conn:
                            assert await _row(conn, "SELECT current_user::text") == ("proofdesk_app",)
                        break
                    except Unavailable:
                        await asyncio.sleep(0.2)


async def _row(conn: psycopg.AsyncConnection, statement: str) -> tuple[object, ...] | None:
    return await (await conn.execute(statement)).fetchone()  # type: ignore[arg-type]


async def test_owner_connection_is_verified_too(database_url: str):
    with (
        pgbouncer.running(database_url, "transaction") as bouncer,
        pytest.raises(WrongSession, match="pool_mode = session"),
    ):
        await asyncio.to_thread(connect_as_owner, bouncer.url)


async def test_role_that_cannot_be_set_is_reported(database_url: str, owner_conn: psycopg.Connection):
    owner_conn.execute("DROP ROLE IF EXISTS stranger")
    owner_conn.execute("CREATE ROLE stranger LOGIN")
    with (
        pgbouncer.running(database_url.replace("postgres:@", "stranger:@"), "session") as bouncer,
        pytest.raises(WrongSession, match="GRANT proofdesk_app TO"),
    ):
        await DatabaseSession.connect(bouncer.url)
    owner_conn.execute("DROP ROLE stranger")


def test_pooler_timeout_is_a_few_seconds():
    assert poolers.TIMEOUT < REFUSED_WITHIN
