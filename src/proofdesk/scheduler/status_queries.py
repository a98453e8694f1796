"""SQL of how a project stands."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from proofdesk.db.rows import Conn, many, one
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class Entities:
    """What the project holds."""

    contacts: int
    conversations: int
    messages: int
    rag_chunks: int


@dataclass(frozen=True)
class Storage:
    """Bytes of the whole database and of its tables, and an estimate of the project's rows."""

    database_bytes: int
    scoped_logical_bytes: int
    table_bytes: dict[str, int]


@dataclass(frozen=True)
class Watermark:
    """How far a source has been read."""

    source: str
    cursor_ts: datetime | None
    cursor_id: int | None
    updated_at: datetime
    meta: dict[str, Any]


@dataclass(frozen=True)
class Workers:
    """Whether anybody works."""

    alive: bool
    last_heartbeat_at: datetime | None
    workers: int


@dataclass(frozen=True)
class Backlog:
    """What is due."""

    sync_due: int


@dataclass(frozen=True)
class _Migration:
    name: str


async def entities(conn: Conn, scope: Scope) -> Entities:
    """Counts of the project's rows."""
    return await one(
        conn,
        Entities,
        """
        SELECT (SELECT count(*) FROM cw_contacts WHERE project_id = %(project)s) AS contacts,
               (SELECT count(*) FROM cw_conversations WHERE project_id = %(project)s) AS conversations,
               (SELECT count(*) FROM cw_messages WHERE project_id = %(project)s) AS messages,
               (SELECT count(*) FROM rag_chunks WHERE project_id = %(project)s) AS rag_chunks""",
        project=scope.project_id,
    )


async def storage(conn: Conn, scope: Scope) -> Storage:
    """Sizes. A row's size is the mean over a thousand rows of the project, so that this stays cheap when it grows."""
    return await one(
        conn,
        Storage,
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
            (coalesce((SELECT avg(size) FROM messages), 0)
                 * (SELECT count(*) FROM cw_messages WHERE project_id = %(project)s)
             + coalesce((SELECT avg(size) FROM chunks), 0)
                 * (SELECT count(*) FROM rag_chunks WHERE project_id = %(project)s)
             + coalesce((SELECT avg(size) FROM vectors), 0)
                 * (SELECT count(*) FROM rag_vectors WHERE project_id = %(project)s)
             + coalesce((SELECT avg(size) FROM conversations), 0)
                 * (SELECT count(*) FROM cw_conversations WHERE project_id = %(project)s)
             + coalesce((SELECT avg(size) FROM contacts), 0)
                 * (SELECT count(*) FROM cw_contacts WHERE project_id = %(project)s))::bigint AS scoped_logical_bytes,
            (SELECT json_object_agg(relname, pg_total_relation_size(oid)) FROM pg_class
             WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
               AND (relname LIKE 'cw\\_%%' OR relname LIKE 'rag\\_%%' OR relname IN
                    ('worker_runs', 'sync_quarantine', 'sync_watermarks'))) AS table_bytes""",
        project=scope.project_id,
    )


async def watermarks(conn: Conn, scope: Scope) -> list[Watermark]:
    """How far each source has been read."""
    return await many(
        conn,
        Watermark,
        """
        SELECT source, cursor_ts, cursor_id, updated_at, meta FROM sync_watermarks
        WHERE project_id = %(project)s ORDER BY source""",
        project=scope.project_id,
    )


async def workers(conn: Conn, silence: float) -> Workers:
    """Workers that were heard of within `silence` seconds."""
    return await one(
        conn,
        Workers,
        """
        SELECT count(*) FILTER (WHERE last_heartbeat_at > now() - make_interval(secs => %(silence)s)) > 0 AS alive,
               max(last_heartbeat_at) AS last_heartbeat_at,
               count(*) FILTER (WHERE last_heartbeat_at > now() - make_interval(secs => %(silence)s)) AS workers
        FROM workers""",
        silence=silence,
    )


async def backlog(conn: Conn, scope: Scope) -> Backlog:
    """What is due and does not run yet."""
    return await one(
        conn,
        Backlog,
        """
        SELECT count(*) AS sync_due FROM scheduled_jobs
        WHERE project_id = %(project)s AND job_type = 'chatwoot_sync' AND status = 'active' AND next_run_at <= now()""",
        project=scope.project_id,
    )


async def applied_migrations(conn: Conn) -> list[str]:
    """Names of the migrations that the database has."""
    return [m.name for m in await many(conn, _Migration, "SELECT name FROM schema_migrations")]
