"""Migrations are applied once, in order; scoped tables have keys, references and policies of their project."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql

from proofdesk.database import migrate
from proofdesk.errors import Unavailable

# Tables of the whole installation. They refer to projects, but hold no content of a project.
NOT_SCOPED = {
    "backups",
    "account_scopes",
    "projects",
    "app_users",
    "sessions",
    "app_settings",
    "source_claims",
    "rate_limits",
    "run_totals",
    "worker_processes",
    "signup_requests",
    "telegram_owner",
    "telegram_bind_codes",
    "telegram_updates",
}


@pytest.fixture
def new_database(server_url: str, worker_id: str) -> Iterator[str]:
    """An empty database."""
    name = f"new_{worker_id}"
    with psycopg.connect(server_url.replace("/proofdesk?", "/postgres?"), autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        yield server_url.replace("/proofdesk?", f"/{name}?")
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_processes_can_migrate_concurrently(new_database: str):
    with ThreadPoolExecutor(6) as starters:
        applied = list(starters.map(lambda _: migrate.migrate(new_database), range(6)))
    assert sorted(len(names) for names in applied)[:5] == [0, 0, 0, 0, 0]
    assert "0001_foundation.sql" in max(applied, key=len)


def test_migration_drops_the_vector_index_of_all_projects(new_database: str):
    migrate.migrate(new_database)
    with psycopg.connect(new_database, autocommit=True) as conn:
        conn.execute("CREATE INDEX rag_vectors_hnsw_256 ON rag_vectors ((1))")
        conn.execute("DELETE FROM schema_migrations WHERE name = '0010_vectors.sql'")
        migrate.migrate(new_database)
        assert conn.execute("SELECT FROM pg_indexes WHERE indexname LIKE 'rag_vectors_hnsw%'").fetchall() == []


def test_unreachable_database_is_reported():
    with pytest.raises(Unavailable, match="cannot be reached"):
        migrate.migrate("postgresql://nobody@127.0.0.1:1/none")


def test_missing_rights_to_migrate_are_reported_with_commands(new_database: str):
    with psycopg.connect(new_database, autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS plain")
        conn.execute("CREATE ROLE plain LOGIN")
    with pytest.raises(Unavailable, match="CREATE EXTENSION"):
        migrate.migrate(new_database.replace("postgres:@", "plain:@"))
    with psycopg.connect(new_database, autocommit=True) as conn:
        conn.execute("DROP ROLE plain")


def scoped_tables(conn: psycopg.Connection) -> set[str]:
    """Return all tables except those of the installation and of the queue."""
    rows = conn.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'procrastinate%'"
        " AND tablename <> 'schema_migrations'"
    ).fetchall()
    return {name for (name,) in rows} - NOT_SCOPED


def test_scoped_tables_refer_to_their_project_by_both_ids(owner_conn: psycopg.Connection):
    rows = owner_conn.execute(
        "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f'"
        " AND confrelid = 'projects'::regclass AND cardinality(conkey) = 2"
    ).fetchall()
    assert scoped_tables(owner_conn) <= {name for (name,) in rows}


def test_keys_of_scoped_tables_begin_with_the_project(owner_conn: psycopg.Connection):
    rows = owner_conn.execute(
        "SELECT c.relname, i.indexrelid::regclass::text, a.attname"
        " FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0] WHERE i.indisunique"
    ).fetchall()
    scoped = scoped_tables(owner_conn)
    assert [row for row in rows if row[0] in scoped and row[2] != "project_id"] == []


def test_every_scoped_table_has_row_security(owner_conn: psycopg.Connection):
    rows = owner_conn.execute("SELECT relname FROM pg_class WHERE relrowsecurity").fetchall()
    assert scoped_tables(owner_conn) <= {name for (name,) in rows}


def test_row_with_mismatched_account_scope_is_refused(owner_conn: psycopg.Connection):
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        owner_conn.execute(
            "INSERT INTO sync_watermarks (project_id, account_scope_id, source)"
            " VALUES (gen_random_uuid(), gen_random_uuid(), 'x')"
        )
