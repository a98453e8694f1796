"""The database refuses rows whose project and account scope do not belong together."""

from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.support.worlds import TABLES, World

# What concerns the installation has no project.
NULLABLE = {"audit_events", "audit_heads", "incident_notifications", "incidents"}


async def test_row_with_another_account_scope_is_refused(owner_conn: psycopg.Connection, ours: World, theirs: World):
    for (table,) in owner_conn.execute(TABLES).fetchall():
        row = owner_conn.execute(
            sql.SQL("SELECT * FROM {} WHERE project_id = %s LIMIT 1").format(sql.Identifier(table)), [ours.project_id]
        ).fetchone()
        assert row is not None, table
        with pytest.raises(psycopg.errors.ForeignKeyViolation) as refused:
            _add(owner_conn, table, ours, theirs)
        assert refused.value.diag.message_detail and "projects" in refused.value.diag.message_detail, table


async def test_row_cannot_move_to_another_account_scope(owner_conn: psycopg.Connection, ours: World, theirs: World):
    for (table,) in owner_conn.execute(TABLES).fetchall():
        with pytest.raises((psycopg.errors.ForeignKeyViolation, psycopg.errors.InsufficientPrivilege)):
            owner_conn.execute(
                sql.SQL("UPDATE {} SET account_scope_id = %s WHERE project_id = %s").format(sql.Identifier(table)),
                [theirs.owner.account_scope_id, ours.project_id],
            )


async def test_every_project_table_has_row_security(owner_conn: psycopg.Connection, ours: World):
    for (table,) in owner_conn.execute(TABLES).fetchall():
        secured = owner_conn.execute("SELECT relrowsecurity FROM pg_class WHERE oid = %s::regclass", [table]).fetchone()
        assert secured == (True,), table
        nullable = owner_conn.execute(
            "SELECT bool_or(is_nullable = 'YES') FROM information_schema.columns"
            " WHERE table_name = %s AND column_name IN ('project_id', 'account_scope_id')",
            [table],
        ).fetchone()
        assert nullable == (table in NULLABLE,), table


async def test_without_a_project_no_rows_are_visible(owner_conn: psycopg.Connection, ours: World):
    with owner_conn.transaction():
        owner_conn.execute("SET LOCAL ROLE proofdesk_app")
        for (table,) in owner_conn.execute(TABLES).fetchall():
            count = owner_conn.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
            assert count == (0,), table


async def test_application_role_is_bound_by_row_security(owner_conn: psycopg.Connection):
    row = owner_conn.execute("SELECT rolsuper, rolbypassrls, rolcanlogin FROM pg_roles WHERE rolname = 'proofdesk_app'")
    assert row.fetchone() == (False, False, False)
    owned = owner_conn.execute("SELECT tablename FROM pg_tables WHERE tableowner = 'proofdesk_app'").fetchall()
    assert owned == []


def _add(conn: psycopg.Connection, table: str, ours: World, theirs: World) -> None:
    """Copy one of our rows to the other project with our account scope, after deleting theirs."""
    columns = _columns(conn, table)
    names = [sql.Identifier(column) for column in columns]
    values: list[Any] = [sql.SQL("%(theirs)s") if c == "project_id" else sql.Identifier(c) for c in columns]
    with conn.transaction(force_rollback=True):
        conn.execute("SET LOCAL session_replication_role = replica")
        conn.execute(sql.SQL("DELETE FROM {} WHERE project_id = %s").format(sql.Identifier(table)), [theirs.project_id])
        conn.execute("SET LOCAL session_replication_role = origin")
        conn.execute(
            sql.SQL("INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {table}"
                    " WHERE project_id = %(ours)s").format(
                table=sql.Identifier(table), names=sql.SQL(", ").join(names), values=sql.SQL(", ").join(values)
            ),
            {"theirs": theirs.project_id, "ours": ours.project_id},
        )  # fmt: skip


def _columns(conn: psycopg.Connection, table: str) -> list[str]:
    rows = conn.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_generated = 'NEVER'", [table]
    )
    return [name for (name,) in rows]
