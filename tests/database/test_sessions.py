"""Settings of a role, a database or a server have no effect on Proofdesk."""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql

from proofdesk.database import migrate, sessions
from proofdesk.database.pool import open_database
from proofdesk.database.sessions import DatabaseSession, connect_as_owner
from proofdesk.errors import Unavailable
from tests.support.databases import delete_all_rows
from tests.support.projects import new_project

HOSTILE = {
    "statement_timeout": "1",
    "lock_timeout": "1",
    "idle_in_transaction_session_timeout": "1",
    "idle_session_timeout": "1",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "timezone": "Asia/Kathmandu",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-3",
    "search_path": "nowhere",
    "row_security": "off",
    "transform_null_equals": "on",
}


@pytest.fixture
def strange(server_url: str, worker_id: str) -> Iterator[str]:
    """An empty database with every setting changed."""
    name = f"strange_{worker_id}"
    with psycopg.connect(server_url.replace("/proofdesk?", "/postgres?"), autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'".encode())
        for setting, value in HOSTILE.items():
            named = sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                sql.Identifier(name), sql.Identifier(setting), value if setting != "datestyle" else sql.SQL("SQL, DMY")
            )
            conn.execute(named)
        yield server_url.replace("/proofdesk?", f"/{name}?")
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def test_database_settings_change_nothing(strange: str):
    migrate.migrate(strange)
    async with open_database(strange, 2) as db:
        project = await new_project(db, "Studio")
        async with db.scoped(project) as conn:
            for name, value in (sessions.REQUIRED_SETTINGS | sessions.TIME_LIMITS).items():
                row = await (await conn.execute("SELECT current_setting(%s)", [name])).fetchone()
                assert row == (value,), name
            cursor = await conn.execute("SELECT pg_sleep(0.05), timestamptz '2026-01-02 03:04Z', '\\x00ff'::bytea")
            assert (await cursor.fetchone() or ())[1:] == (datetime(2026, 1, 2, 3, 4, tzinfo=UTC), b"\x00\xff")
            cursor = await conn.execute("SELECT timestamptz '2026-01-02 03:04Z'::text, (NULL = NULL) IS NULL")
            assert await cursor.fetchone() == ("2026-01-02 03:04:00+00", True)


@pytest.mark.fidelity(
    "PostgreSQL",
    "`ALTER ROLE … SET` changes what statements mean.",
    "tried with PostgreSQL 18",
)
async def test_role_settings_change_nothing(database_url: str, owner_conn: psycopg.Connection):
    role = sql.SQL("ALTER ROLE postgres IN DATABASE {} {}")
    name = sql.Identifier(owner_conn.info.dbname)
    owner_conn.execute(role.format(name, sql.SQL("SET default_transaction_read_only = on")))
    owner_conn.execute(role.format(name, sql.SQL("SET timezone = 'Asia/Kathmandu'")))
    try:
        async with open_database(database_url, 2) as db:
            await new_project(db, "Studio")
            async with db.statement() as conn:
                assert await (await conn.execute("SHOW timezone")).fetchone() == ("UTC",)
        with connect_as_owner(database_url) as conn:
            conn.execute("CREATE TABLE probe ()")
            conn.execute("DROP TABLE probe")
    finally:
        owner_conn.execute(role.format(name, sql.SQL("RESET ALL")))
        delete_all_rows(owner_conn)


async def test_time_limits_in_the_url_apply(database_url: str):
    url = database_url + "&options=-c%20statement_timeout%3D4321%20-c%20timezone%3DAsia/Tokyo"
    async with await DatabaseSession.connect(url) as conn:
        shown = await (await conn.execute("SELECT current_setting('statement_timeout')")).fetchone()
        zone = await (await conn.execute("SELECT current_setting('timezone')")).fetchone()
    assert (shown, zone) == (("4321ms",), ("UTC",))
    with connect_as_owner(url) as owner:
        assert owner.execute("SHOW statement_timeout").fetchone() == ("4321ms",)


def test_extension_in_another_schema_is_reported(strange: str):
    with psycopg.connect(
        strange,
        autocommit=True,
        options="-c default_transaction_read_only=off -c statement_timeout=0"
        " -c lock_timeout=0 -c idle_session_timeout=0",
    ) as conn:
        conn.execute("CREATE SCHEMA extensions")
        conn.execute("CREATE EXTENSION vector SCHEMA extensions")
    with pytest.raises(Unavailable, match="ALTER EXTENSION vector SET SCHEMA public"):
        migrate.migrate(strange)
