"""SQL of the status of a project."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from proofdesk.database.rows import Conn, fetch_all, fetch_one
from proofdesk.jobs import catalog
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class StorageSizes:
    """The bytes of the whole database and of its tables, and the mean bytes of the rows of a project."""

    database_bytes: int
    table_bytes: dict[str, int]
    message: float
    chunk: float
    vector: float
    conversation: float
    contact: float


@dataclass(frozen=True)
class Watermark:
    """How far a source has been read."""

    source: str
    cursor_ts: datetime | None
    cursor_id: int | None
    updated_at: datetime
    meta: dict[str, Any]


@dataclass(frozen=True)
class WorkerStatus:
    """The number of workers with a recent heartbeat, and the newest heartbeat."""

    alive: bool
    last_heartbeat_at: datetime | None
    workers: int


@dataclass(frozen=True)
class Backlog:
    """The number of due items that wait."""

    sync_due: int
    outbound_due: int


@dataclass(frozen=True)
class DailyWork:
    """What jobs processed on a day, in UTC."""

    day: date
    messages_read: int
    chunks_embedded: int


@dataclass(frozen=True)
class _Migration:
    name: str


async def storage_sizes(conn: Conn, scope: Scope) -> StorageSizes:
    """Return the bytes on disk, and the mean size of a thousand rows of each kind. Reads the size of every file."""
    return await fetch_one(
        conn,
        StorageSizes,
        """
        WITH messages AS (
            SELECT pg_column_size(content) + pg_column_size(content_attributes)
                   + pg_column_size(attachments) + 180 AS size
            FROM cw_messages WHERE project_id = %(project)s LIMIT 1000),
        chunks AS (
            SELECT pg_column_size(text) + pg_column_size(context) + pg_column_size(covers) + 180 AS size
            FROM rag_chunks WHERE project_id = %(project)s LIMIT 1000),
        vectors AS (
            SELECT pg_column_size(embedding) + 90 AS size FROM rag_vectors WHERE project_id = %(project)s LIMIT 1000),
        conversations AS (
            SELECT pg_column_size(additional_attributes) + pg_column_size(custom_attributes) + 220 AS size
            FROM cw_conversations WHERE project_id = %(project)s LIMIT 1000),
        contacts AS (
            SELECT pg_column_size(additional_attributes) + pg_column_size(custom_attributes) + 180 AS size
            FROM cw_contacts WHERE project_id = %(project)s LIMIT 1000)
        SELECT pg_database_size(current_database()) AS database_bytes,
            coalesce((SELECT avg(size) FROM messages), 0)::float8 AS message,
            coalesce((SELECT avg(size) FROM chunks), 0)::float8 AS chunk,
            coalesce((SELECT avg(size) FROM vectors), 0)::float8 AS vector,
            coalesce((SELECT avg(size) FROM conversations), 0)::float8 AS conversation,
            coalesce((SELECT avg(size) FROM contacts), 0)::float8 AS contact,
            (SELECT json_object_agg(relname, pg_total_relation_size(oid)) FROM pg_class
             WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
               AND (relname LIKE 'cw\\_%%' OR relname LIKE 'rag\\_%%' OR relname IN
                    ('worker_runs', 'sync_quarantine', 'sync_watermarks'))) AS table_bytes""",
        project=scope.project_id,
    )


async def watermarks(conn: Conn, scope: Scope) -> list[Watermark]:
    """Return how far each source has been read."""
    return await fetch_all(
        conn,
        Watermark,
        """
        SELECT source, cursor_ts, cursor_id, updated_at, meta FROM sync_watermarks
        WHERE project_id = %(project)s ORDER BY source""",
        project=scope.project_id,
    )


async def worker_status(conn: Conn, timeout_seconds: float) -> WorkerStatus:
    """Return the number of workers with a heartbeat within so many seconds. Procrastinate writes the heartbeats."""
    return await fetch_one(
        conn,
        WorkerStatus,
        """
        SELECT count(*) FILTER (WHERE last_heartbeat > now() - make_interval(secs => %(timeout_seconds)s)) > 0 AS alive,
               max(last_heartbeat) AS last_heartbeat_at,
               count(*) FILTER (WHERE last_heartbeat > now() - make_interval(secs => %(timeout_seconds)s)) AS workers
        FROM procrastinate_workers""",
        timeout_seconds=timeout_seconds,
    )


async def backlog(conn: Conn, scope: Scope) -> Backlog:
    """Return the number of due syncs and messages."""
    return await fetch_one(
        conn,
        Backlog,
        """
        SELECT (SELECT count(*) FROM scheduled_jobs WHERE project_id = %(project)s AND job_type = %(sync)s
                  AND status = 'active' AND next_run_at <= now()) AS sync_due,
               (SELECT count(*) FROM outbound_messages
                WHERE project_id = %(project)s AND next_attempt_at <= now()) AS outbound_due""",
        project=scope.project_id,
        sync=catalog.SYNC.name,
    )


async def applied_migrations(conn: Conn) -> list[str]:
    """Return the names of the applied migrations."""
    return [m.name for m in await fetch_all(conn, _Migration, "SELECT name FROM schema_migrations")]


async def daily_work(conn: Conn, scope: Scope, days: int) -> list[DailyWork]:
    """Return what was processed on each of the last days, oldest first, including today."""
    return await fetch_all(
        conn,
        DailyWork,
        """
        WITH days AS (
            SELECT (now() AT TIME ZONE 'UTC')::date - n AS day FROM generate_series(0, %(days)s::int - 1) n)
        SELECT day, coalesce(sum(processed_count) FILTER (WHERE job_type <> %(embed)s), 0)::bigint
                    AS messages_read,
               coalesce(sum(processed_count) FILTER (WHERE job_type = %(embed)s), 0)::bigint AS chunks_embedded
        FROM days LEFT JOIN worker_runs r
          ON r.project_id = %(project)s AND job_type IN (%(sync)s, %(reconcile)s, %(embed)s)
         AND created_at >= (now() AT TIME ZONE 'UTC')::date - %(days)s::int
         AND (finished_at AT TIME ZONE 'UTC')::date = day
        GROUP BY day ORDER BY day""",
        project=scope.project_id,
        sync=catalog.SYNC.name,
        reconcile=catalog.RECONCILE.name,
        embed=catalog.EMBED.name,
        days=days,
    )
