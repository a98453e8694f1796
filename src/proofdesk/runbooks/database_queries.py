"""SQL that describes the database itself, for the owner of the tables. It commits nothing."""

from dataclasses import dataclass
from datetime import datetime

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_one, fetch_optional, fetch_value


@dataclass(frozen=True)
class DatabaseFacts:
    """The server, its connections, and what Proofdesk needs in it. `folder` is None if it is hidden from the user."""

    version: str
    name: str
    is_standby: bool
    read_only_by_default: bool
    bytes: int
    connections: int
    max_connections: int
    has_schema: bool
    has_tables: bool
    has_vector: bool
    has_role: bool
    is_local: bool
    folder: str | None


@dataclass(frozen=True)
class Blocker:
    """A session that others wait for, the number of those, and the seconds for which the longest of them waits."""

    pid: int
    program: str
    state: str
    waiting: int
    seconds: float


@dataclass(frozen=True)
class BackupAge:
    """The last backup, the error if it failed, and the days since the last one that succeeded."""

    error: str | None
    finished_at: datetime
    good_days: float | None


async def fetch_backup_age(conn: Conn) -> BackupAge | None:
    """Return how the last backup ended, None when there was none."""
    return await fetch_optional(
        conn,
        BackupAge,
        """
        SELECT error, finished_at,
               (SELECT extract(epoch FROM now() - max(finished_at))::float / 86400 FROM backups WHERE error IS NULL)
                   AS good_days
        FROM backups ORDER BY finished_at DESC LIMIT 1""",
    )


async def fetch_facts(conn: Conn, role: str) -> DatabaseFacts:
    """Return facts about the database. `role` is the application role."""
    return await fetch_one(
        conn,
        DatabaseFacts,
        """
        SELECT current_setting('server_version') AS version, current_database()::text AS name,
               pg_is_in_recovery() AS is_standby,
               current_setting('default_transaction_read_only')::bool AS read_only_by_default,
               pg_database_size(current_database()) AS bytes,
               (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
               current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
                   AS max_connections,
               to_regclass('public.schema_migrations') IS NOT NULL AS has_schema,
               EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public') AS has_tables,
               EXISTS (SELECT FROM pg_extension WHERE extname = 'vector') AS has_vector,
               EXISTS (SELECT FROM pg_roles WHERE rolname = %(role)s) AS has_role,
               coalesce(inet_server_addr() = inet_client_addr(), true) AS is_local,
               (SELECT setting FROM pg_settings WHERE name = 'data_directory') AS folder""",
        role=role,
    )


async def list_blockers(conn: Conn) -> list[Blocker]:
    """Return the sessions that make others of this database wait for a lock, the longest wait first."""
    return await fetch_all(
        conn,
        Blocker,
        """
        WITH waits AS (
            SELECT unnest(pg_blocking_pids(pid)) AS pid, extract(epoch FROM clock_timestamp() - query_start) AS seconds
            FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
        SELECT a.pid, coalesce(nullif(a.application_name, ''), 'unnamed') AS program, coalesce(a.state, '') AS state,
               count(*) AS waiting, max(w.seconds)::float AS seconds
        FROM waits w JOIN pg_stat_activity a USING (pid)
        WHERE NOT EXISTS (SELECT FROM waits x WHERE x.pid = a.pid AND a.wait_event_type = 'Lock')
        GROUP BY a.pid, a.application_name, a.state ORDER BY seconds DESC""",
    )


async def try_to_write(conn: Conn) -> None:
    """Write a megabyte to a temporary table, which the caller rolls back. Raises `psycopg.Error`."""
    await execute(
        conn,
        """
        CREATE TEMPORARY TABLE proofdesk_probe ON COMMIT DROP AS
        SELECT repeat('x', 1000) || n AS text FROM generate_series(1, 1000) n""",
    )


async def fetch_transaction_id(conn: Conn) -> str:
    """Take a transaction id, which a database that is read-only refuses. Raises `psycopg.Error`."""
    return await fetch_value(conn, "SELECT pg_current_xact_id()::text")


def terminate_command(pid: int | str) -> str:
    """Return the command of an administrator that ends a session."""
    return f'psql "$DATABASE_URL" -c "SELECT pg_terminate_backend({pid})"'
