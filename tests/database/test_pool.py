"""Row-level security: what the application role can see and do."""

import asyncio
from dataclasses import dataclass

import psycopg
import pytest

from proofdesk.database import rows
from proofdesk.database.pool import Database, open_database
from proofdesk.projects.scope import Scope

PATIENCE = 30


@dataclass(frozen=True)
class Told:
    word: str


async def test_query_without_a_project_sees_no_rows(db: Database, project: Scope):
    async with db.transaction() as conn:
        rows = await (await conn.execute("SELECT * FROM scheduled_jobs")).fetchall()
    assert rows == []


async def test_query_in_a_project_sees_its_rows(db: Database, project: Scope):
    async with db.scoped(project) as conn:
        rows = await (await conn.execute("SELECT * FROM scheduled_jobs")).fetchall()
    assert rows


async def test_application_role_is_neither_superuser_nor_owner(db: Database):
    async with db.transaction() as conn:
        role = await (
            await conn.execute(
                "SELECT rolname, rolsuper, rolbypassrls, (SELECT count(*) FROM pg_tables"
                " WHERE schemaname = 'public' AND tableowner = current_user) FROM pg_roles WHERE rolname = current_user"
            )
        ).fetchone()
    assert role == ("proofdesk_app", False, False, 0)


async def test_reset_role_keeps_the_restriction(db: Database):
    async with db.transaction() as conn:
        await conn.execute("RESET ROLE")
        assert await (await conn.execute("SELECT current_user")).fetchone() == ("proofdesk_app",)


async def test_application_cannot_change_the_schema(db: Database):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with db.transaction() as conn:
            await conn.execute("DROP TABLE cw_messages")


async def test_closed_connection_is_replaced_before_use(database_url: str, owner_conn: psycopg.Connection):
    async with open_database(database_url, 1) as db:
        for _ in range(3):
            async with db.transaction() as conn:
                await conn.execute("SELECT 1")
                backend = conn.info.backend_pid
            owner_conn.execute("SELECT pg_terminate_backend(%s, 10000)", [backend])  # waits until the backend has ended


async def test_failed_transaction_is_rolled_back(db: Database, project: Scope):
    with pytest.raises(psycopg.errors.DivisionByZero):
        async with db.scoped(project) as conn:
            await conn.execute("DELETE FROM scheduled_jobs")
            await conn.execute("SELECT 1 / 0")
    async with db.scoped(project) as conn:
        assert await (await conn.execute("SELECT FROM scheduled_jobs")).fetchall()


async def test_project_setting_ends_with_its_transaction(database_url: str, project: Scope):
    async with open_database(database_url, 1) as db:  # one connection, used both times
        async with db.scoped(project) as conn:
            assert await (await conn.execute("SELECT FROM scheduled_jobs")).fetchall()
        async with db.transaction() as conn:
            assert await (await conn.execute("SELECT FROM scheduled_jobs")).fetchall() == []


async def test_pipeline_is_scoped_and_its_settings_end_with_it(db: Database, project: Scope):
    shown = "SELECT current_setting('work_mem') AS memory, current_project() AS project"
    async with db.pipelined(project, {"work_mem": "7MB"}) as conn:
        assert await (await conn.execute(shown)).fetchone() == ("7MB", project.project_id)
        assert await (await conn.execute("SELECT DISTINCT project_id FROM scheduled_jobs")).fetchall() == [
            (project.project_id,)
        ]
    async with db.transaction() as conn:
        assert (await (await conn.execute(shown)).fetchone())[0] != "7MB"  # type: ignore[index]


async def test_pipeline_error_is_raised_and_the_connection_stays_usable(database_url: str, project: Scope):
    async with open_database(database_url, 1) as db:
        with pytest.raises(psycopg.errors.DivisionByZero):
            async with db.pipelined(project, {}) as conn:
                assert await rows.fetch_value(conn, "SELECT 1") == 1
                await rows.execute(conn, "SELECT 1 / 0")
                await rows.open_cursor(conn, Told, "SELECT 'never' AS word")
        async with db.pipelined(project, {}) as conn:
            assert await rows.fetch_value(conn, "SELECT 3") == 3


async def test_last_result_is_fetched_after_the_pipeline(db: Database, project: Scope):
    async with db.pipelined(project, {}) as conn:
        cursor = await rows.open_cursor(conn, Told, "SELECT current_project()::text AS word")
    assert await cursor.fetchall() == [Told(str(project.project_id))]


async def test_pipeline_does_not_wait_for_unfetched_statements(
    db: Database, project: Scope, owner_conn: psycopg.Connection
):
    owner_conn.execute("SELECT pg_advisory_lock(1)")
    async with asyncio.timeout(PATIENCE), db.pipelined(project, {}) as conn:
        held_up = "SELECT set_config('test.word', 'kept', true), pg_advisory_xact_lock(1)"
        assert await rows.execute(conn, held_up) == -1
        cursor = await rows.open_cursor(conn, Told, "SELECT current_setting('test.word') AS word")
        owner_conn.execute("SELECT pg_advisory_unlock(1)")
    assert await cursor.fetchall() == [Told("kept")]
