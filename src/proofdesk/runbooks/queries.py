"""SQL of the checks. Nothing here changes a row."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from proofdesk.database.rows import Conn, fetch_all, fetch_one, fetch_optional, fetch_value
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class FailedChunkGroup:
    """Failed chunks with the same error."""

    error: str
    chunks: int


@dataclass(frozen=True)
class ModelCount:
    """The number of chunks with a vector of one model."""

    model: str
    chunks: int


@dataclass(frozen=True)
class SampleChunk:
    """A chunk that search should find by its own text."""

    text: str


@dataclass(frozen=True)
class ReadingProgress:
    """The number of conversations, and of those not yet read, not chunked, and not in the keyword index."""

    conversations: int
    unread: int
    unchunked: int
    unindexed: int


@dataclass(frozen=True)
class ActiveRun:
    """A queued or running run, and the seconds since its last heartbeat and since its progress last changed."""

    id: UUID
    job_type: str
    status: str
    silent_seconds: float
    idle_seconds: float
    runner: str | None


@dataclass(frozen=True)
class GoodRun:
    """When a job last succeeded, or None; before the first success, the project's creation counts."""

    job_type: str
    finished_at: datetime | None
    age_seconds: float


@dataclass(frozen=True)
class SchedulePause:
    """Who last paused a schedule, and when."""

    job_type: str
    paused_by: str
    paused_at: datetime


@dataclass(frozen=True)
class RateLimitCount:
    """A rate limit counter, and the minutes since its window started."""

    purpose: str
    hits: int
    minutes: float


@dataclass(frozen=True)
class PersonalText:
    """A name or address that occurs in a text, or (`is_text`) the beginning of a message."""

    word: str
    is_text: bool


async def fetch_database_time(conn: Conn) -> datetime:
    """Return the time on the database's clock."""
    return await fetch_value(conn, "SELECT clock_timestamp()")


async def list_rate_limits(conn: Conn, purposes: list[str]) -> list[RateLimitCount]:
    """Return the highest counter of each purpose."""
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
    """Return the names, addresses and numbers of people, and beginnings of messages, that occur in a text."""
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
    """Return the name of the project."""
    return await fetch_value(conn, "SELECT name FROM projects WHERE id = %(project)s", project=scope.project_id)


async def count_conversations(conn: Conn, scope: Scope, account_id: int) -> int:
    """Return the number of stored conversations of an account."""
    return await fetch_value(
        conn,
        "SELECT count(*) FROM cw_conversations WHERE project_id = %(project)s AND account_id = %(account)s",
        project=scope.project_id,
        account=account_id,
    )


async def fetch_reading_progress(conn: Conn, scope: Scope) -> ReadingProgress:
    """Return how many conversations of the project are read, chunked and indexed."""
    return await fetch_one(
        conn,
        ReadingProgress,
        """
        SELECT count(*) AS conversations, count(*) FILTER (WHERE read_mark IS NULL) AS unread,
               count(*) FILTER (WHERE content_version <> chunked_version) AS unchunked,
               count(*) FILTER (WHERE content_version <> indexed_version) AS unindexed
        FROM cw_conversations WHERE project_id = %(project)s""",
        project=scope.project_id,
    )


async def count_chunks_by_model(conn: Conn, scope: Scope) -> list[ModelCount]:
    """Return the number of ready chunks by model, largest first."""
    return await fetch_all(
        conn,
        ModelCount,
        """
        SELECT coalesce(embedding_model, '') AS model, count(*) AS chunks FROM rag_chunks
        WHERE project_id = %(project)s AND embedding_status = 'ready' GROUP BY 1 ORDER BY 2 DESC""",
        project=scope.project_id,
    )


async def fetch_sample_chunk(conn: Conn, scope: Scope) -> SampleChunk | None:
    """Return the newest chunk that is in the keyword index."""
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
    """Return failed chunks by error, largest group first. Errors that differ only in numbers form one group."""
    return await fetch_all(
        conn,
        FailedChunkGroup,
        """
        SELECT min(coalesce(error, 'no error recorded')) AS error, count(*) AS chunks FROM rag_chunks
        WHERE project_id = %(project)s AND embedding_status = 'failed' AND skipped_at IS NULL
        GROUP BY regexp_replace(coalesce(error, ''), '[0-9]+', '#', 'g') ORDER BY 2 DESC, 1 LIMIT %(most)s""",
        project=scope.project_id,
        most=limit,
    )


async def count_pins_of_another_key(conn: Conn, fingerprint: str) -> int:
    """Return the number of signups that wait for a PIN which another key made."""
    return await fetch_value(
        conn,
        """
        SELECT count(*) FROM signup_requests
        WHERE expires_at > now() AND key_fingerprint IS NOT NULL AND key_fingerprint <> %(fingerprint)s""",
        fingerprint=fingerprint,
    )


async def count_stuck_chunks(conn: Conn, scope: Scope, minutes: int) -> int:
    """Return the number of chunks whose claim is older than `minutes`: their worker is lost."""
    return await fetch_value(
        conn,
        """
        SELECT count(*) FROM rag_chunks WHERE project_id = %(project)s AND embedding_status = 'processing'
          AND claimed_at < clock_timestamp() - make_interval(mins => %(minutes)s)""",
        project=scope.project_id,
        minutes=minutes,
    )


async def list_active_runs(conn: Conn, scope: Scope) -> list[ActiveRun]:
    """Return queued and running runs, the longest silent first."""
    return await fetch_all(
        conn,
        ActiveRun,
        """
        SELECT id, job_type, status, runner,
               extract(epoch FROM now() - coalesce(heartbeat_at, created_at))::float AS silent_seconds,
               extract(epoch FROM now() - coalesce(progressed_at, started_at, created_at))::float AS idle_seconds
        FROM worker_runs WHERE project_id = %(project)s AND status IN ('queued', 'running')
        ORDER BY silent_seconds DESC""",
        project=scope.project_id,
    )


async def list_good_runs(conn: Conn, scope: Scope) -> list[GoodRun]:
    """Return when each job of the project last succeeded."""
    return await fetch_all(
        conn,
        GoodRun,
        """
        SELECT j.job_type, r.finished_at,
               extract(epoch FROM now() - coalesce(r.finished_at, p.created_at))::float AS age_seconds
        FROM scheduled_jobs j JOIN projects p ON p.id = j.project_id
        LEFT JOIN LATERAL (
            SELECT finished_at FROM worker_runs w
            WHERE w.project_id = %(project)s AND w.job_type = j.job_type AND w.status = 'ok'
            ORDER BY w.finished_at DESC LIMIT 1) r ON true
        WHERE j.project_id = %(project)s""",
        project=scope.project_id,
    )


async def list_last_pauses(conn: Conn, scope: Scope) -> list[SchedulePause]:
    """Return the last pause of each schedule by a person."""
    return await fetch_all(
        conn,
        SchedulePause,
        """
        SELECT DISTINCT ON (payload ->> 'job_type') payload ->> 'job_type' AS job_type, actor_username AS paused_by,
               created_at AS paused_at
        FROM audit_events
        WHERE project_id = %(project)s AND action = 'job.schedule_changed' AND payload #>> '{status,to}' = 'paused'
        ORDER BY payload ->> 'job_type', id DESC""",
        project=scope.project_id,
    )
