"""SQL of what runbooks look at. Nothing here changes a row."""

from dataclasses import dataclass
from datetime import datetime

from proofdesk.database.rows import Conn, fetch_all, fetch_one, fetch_optional, fetch_value
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class FailedChunkGroup:
    """Chunks that were refused for one reason."""

    error: str
    chunks: int


@dataclass(frozen=True)
class ModelCount:
    """Chunks that have a vector of a model."""

    model: str
    chunks: int


@dataclass(frozen=True)
class SampleChunk:
    """A chunk that search should find by its own words."""

    text: str


@dataclass(frozen=True)
class ReadingProgress:
    """Conversations by how far they came: read from Chatwoot, cut into chunks, indexed by their words."""

    conversations: int
    unread: int
    unchunked: int
    unindexed: int


@dataclass(frozen=True)
class ActiveRun:
    """A run that is under way, and for how long nothing was heard of it."""

    job_type: str
    status: str
    silent_seconds: float
    runner: str | None


@dataclass(frozen=True)
class SchedulePause:
    """Who paused a schedule last, and when."""

    job_type: str
    paused_by: str
    paused_at: datetime


@dataclass(frozen=True)
class RateLimitCount:
    """A counter of the rate limits and for how many minutes it runs already."""

    purpose: str
    hits: int
    minutes: float


@dataclass(frozen=True)
class PersonalText:
    """Something of a person that occurs in a text: a name or an address, or (`is_text`) what he wrote begins so."""

    word: str
    is_text: bool


async def fetch_database_time(conn: Conn) -> datetime:
    """The time on the database's clock."""
    return await fetch_value(conn, "SELECT clock_timestamp()")


async def list_rate_limits(conn: Conn, purposes: list[str]) -> list[RateLimitCount]:
    """The fullest counter of each purpose."""
    return await fetch_all(
        conn,
        RateLimitCount,
        """
        SELECT DISTINCT ON (purpose) purpose, hits,
               (extract(epoch FROM now() - window_started_at) / 60)::float AS minutes
        FROM rate_limits WHERE purpose = ANY(%(purposes)s) ORDER BY purpose, hits DESC""",
        purposes=purposes,
    )


async def list_personal_texts(conn: Conn, scope: Scope, text: str) -> list[PersonalText]:
    """People's names, addresses and numbers, and beginnings of messages, that occur in a text."""
    return await fetch_all(
        conn,
        PersonalText,
        """
        WITH people AS (
            SELECT unnest(ARRAY[name, email, phone_number, identifier]) AS word FROM cw_contacts
            WHERE project_id = %(project)s
            UNION SELECT assignee_name FROM cw_conversations WHERE project_id = %(project)s),
        latest AS (
            SELECT left(content, 40) AS word FROM cw_messages
            WHERE project_id = %(project)s AND length(content) >= 8 ORDER BY created_at DESC LIMIT 50000)
        SELECT word, false AS is_text FROM people
        WHERE length(word) >= 3 AND strpos(lower(%(text)s), lower(word)) > 0
        UNION SELECT word, true FROM latest WHERE strpos(%(text)s, word) > 0""",
        project=scope.project_id,
        text=text,
    )


async def fetch_project_name(conn: Conn, scope: Scope) -> str:
    """What the project is called."""
    return await fetch_value(conn, "SELECT name FROM projects WHERE id = %(project)s", project=scope.project_id)


async def fetch_reading_progress(conn: Conn, scope: Scope) -> ReadingProgress:
    """How far the project's conversations came."""
    return await fetch_one(
        conn,
        ReadingProgress,
        """
        SELECT count(*) AS conversations, count(*) FILTER (WHERE read_mark IS NULL) AS unread,
               count(*) FILTER (WHERE content_version <> chunked_version) AS uncut,
               count(*) FILTER (WHERE content_version <> indexed_version) AS unindexed
        FROM cw_conversations WHERE project_id = %(project)s""",
        project=scope.project_id,
    )


async def count_chunks_by_model(conn: Conn, scope: Scope) -> list[ModelCount]:
    """How many chunks are ready by each model, most first."""
    return await fetch_all(
        conn,
        ModelCount,
        """
        SELECT coalesce(embedding_model, '') AS model, count(*) AS chunks FROM rag_chunks
        WHERE project_id = %(project)s AND embedding_status = 'ready' GROUP BY 1 ORDER BY 2 DESC""",
        project=scope.project_id,
    )


async def fetch_sample_chunk(conn: Conn, scope: Scope) -> SampleChunk | None:
    """The newest chunk that is indexed by its words."""
    return await fetch_optional(
        conn,
        SampleChunk,
        """
        SELECT k.text FROM rag_chunks k JOIN cw_conversations c USING (project_id, account_id, conversation_id)
        WHERE k.project_id = %(project)s AND c.content_version = c.indexed_version
        ORDER BY k.created_at DESC LIMIT 1""",
        project=scope.project_id,
    )


async def group_failed_chunks(conn: Conn, scope: Scope, limit: int) -> list[FailedChunkGroup]:
    """Refused chunks by reason, most first; numbers in reasons, which differ from text to text, count as one."""
    return await fetch_all(
        conn,
        FailedChunkGroup,
        """
        SELECT min(coalesce(error, 'no reason given')) AS error, count(*) AS chunks FROM rag_chunks
        WHERE project_id = %(project)s AND embedding_status = 'failed'
        GROUP BY regexp_replace(coalesce(error, ''), '[0-9]+', '#', 'g') ORDER BY 2 DESC, 1 LIMIT %(most)s""",
        project=scope.project_id,
        most=limit,
    )


async def count_stuck_chunks(conn: Conn, scope: Scope, minutes: int) -> int:
    """Chunks that somebody claimed so long ago that he must be lost."""
    return await fetch_value(
        conn,
        """
        SELECT count(*) FROM rag_chunks WHERE project_id = %(project)s AND embedding_status = 'processing'
          AND claimed_at < clock_timestamp() - make_interval(mins => %(minutes)s)""",
        project=scope.project_id,
        minutes=minutes,
    )


async def list_active_runs(conn: Conn, scope: Scope) -> list[ActiveRun]:
    """Runs that are queued or running, the longest silent first."""
    return await fetch_all(
        conn,
        ActiveRun,
        """
        SELECT job_type, status, runner,
               extract(epoch FROM now() - coalesce(heartbeat_at, created_at))::float AS silent_seconds
        FROM worker_runs WHERE project_id = %(project)s AND status IN ('queued', 'running')
        ORDER BY 4 DESC""",
        project=scope.project_id,
    )


async def list_last_pauses(conn: Conn, scope: Scope) -> list[SchedulePause]:
    """The last pause of each schedule by a person."""
    return await fetch_all(
        conn,
        SchedulePause,
        """
        SELECT DISTINCT ON (payload ->> 'job_type') payload ->> 'job_type' AS job_type, actor_username AS by,
               created_at AS at
        FROM audit_events
        WHERE project_id = %(project)s AND action = 'job.schedule_changed' AND payload #>> '{status,to}' = 'paused'
        ORDER BY payload ->> 'job_type', id DESC""",
        project=scope.project_id,
    )
