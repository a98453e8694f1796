"""SQL of attempts that start, finish or are lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, fetch_all, fetch_one, to_plain
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class DeliveryAttempt:
    """One call of a channel. Without an outcome it is running, or its worker was lost."""

    number: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    provider_message_id: str | None
    error: str | None
    duration_ms: int | None


@dataclass(frozen=True)
class StartedAttempt:
    """An attempt that is stored and may be sent."""

    outbound_id: UUID
    number: int
    started_at: datetime


@dataclass(frozen=True)
class AttemptOutcome:
    """How an attempt ended, and what that changes about its message.

    `duration`: seconds; None: until now. `retry_wait`: seconds until the retry; None: there is none. `uses_retry`:
    whether that retry counts. `requeued`: the message is approved as before, because its channel accepts nothing now.
    `suppression`: why the recipient cannot be reached at all.
    """

    outbound_id: UUID
    number: int
    outcome: str
    provider_message_id: str | None
    error: str | None
    duration: float | None
    retry_wait: float | None
    uses_retry: bool = True
    requeued: bool = False
    suppression: str | None = None


@dataclass(frozen=True)
class SettledAttempt:
    """An attempt whose outcome was stored, with the channel and the recipient of its message."""

    outbound_id: UUID
    channel: str
    recipient_ref: str
    outcome: str
    started_at: datetime
    policy_ids: list[UUID]
    requeued: bool


@dataclass(frozen=True)
class _Clock:
    now: datetime


async def fetch_current_time(conn: Conn) -> datetime:
    """Return the time of the database, which all workers use."""
    return (await fetch_one(conn, _Clock, "SELECT clock_timestamp() AS now")).now


async def insert_attempts(
    conn: Conn, scope: Scope, outbound_ids: Sequence[UUID], started_at: datetime, lease: float
) -> list[StartedAttempt]:
    """Store the next attempt of each message. It counts as lost after `lease` seconds."""
    return await fetch_all(
        conn,
        StartedAttempt,
        """
        INSERT INTO outbound_attempts (project_id, account_scope_id, outbound_id, number, started_at, lease_until)
        SELECT o.project_id, o.account_scope_id, o.id,
               1 + coalesce((SELECT max(a.number) FROM outbound_attempts a
                             WHERE a.project_id = o.project_id AND a.outbound_id = o.id), 0),
               %(started)s, %(started)s + make_interval(secs => %(lease)s)
        FROM outbound_messages o
        WHERE o.project_id = %(project)s AND o.id = ANY (%(ids)s) AND o.status = 'sending'
        RETURNING outbound_id, number, started_at""",
        project=scope.project_id,
        ids=list(outbound_ids),
        started=started_at,
        lease=lease,
    )


async def finish_attempts(conn: Conn, scope: Scope, outcomes: Sequence[AttemptOutcome]) -> list[SettledAttempt]:
    """Store outcomes and update their messages. Attempts that have an outcome already keep it."""
    return await fetch_all(
        conn,
        SettledAttempt,
        """
        WITH new_outcomes AS MATERIALIZED (
            SELECT * FROM jsonb_to_recordset(%(rows)s) AS t (outbound_id uuid, number integer, outcome text,
                provider_message_id text, error text, duration float, retry_wait float, uses_retry boolean,
                requeued boolean)),
        ended AS (
            UPDATE outbound_attempts a
            SET outcome = t.outcome, provider_message_id = t.provider_message_id, error = t.error,
                finished_at = coalesce(a.started_at + make_interval(secs => t.duration), clock_timestamp())
            FROM new_outcomes t
            WHERE a.project_id = %(project)s AND a.outbound_id = t.outbound_id AND a.number = t.number
              AND a.outcome IS NULL
            RETURNING a.outbound_id, a.started_at, a.finished_at, a.outcome, t.error, t.retry_wait,
                      t.uses_retry, t.requeued)
        UPDATE outbound_messages o
        SET status = CASE WHEN e.outcome = 'sent' THEN 'sent' WHEN e.requeued THEN 'approved' ELSE 'failed' END,
            sent_at = CASE WHEN e.outcome = 'sent' THEN e.finished_at END,
            last_error = e.error,
            retry_count = o.retry_count + CASE WHEN e.retry_wait IS NULL OR NOT e.uses_retry THEN 0 ELSE 1 END,
            next_attempt_at = clock_timestamp() + make_interval(secs => e.retry_wait)
        FROM ended e WHERE o.project_id = %(project)s AND o.id = e.outbound_id
        RETURNING o.id AS outbound_id, o.channel, o.recipient_ref, e.outcome, e.started_at, o.policy_ids, e.requeued""",
        project=scope.project_id,
        rows=Jsonb([to_plain(row) for row in outcomes]),
    )


async def claim_lost_attempts(conn: Conn, scope: Scope, lease: float, limit: int) -> list[StartedAttempt]:
    """Return attempts whose lease has expired, the oldest first, with a new lease for the caller."""
    return await fetch_all(
        conn,
        StartedAttempt,
        """
        UPDATE outbound_attempts SET lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
        WHERE project_id = %(project)s AND (outbound_id, number) IN (
            SELECT outbound_id, number FROM outbound_attempts
            WHERE project_id = %(project)s AND outcome IS NULL AND lease_until < clock_timestamp()
            ORDER BY lease_until LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
        RETURNING outbound_id, number, started_at""",
        project=scope.project_id,
        lease=lease,
        limit=limit,
    )


async def fetch_attempts(conn: Conn, scope: Scope, outbound_id: UUID) -> list[DeliveryAttempt]:
    """Return the attempts of a message, in order."""
    return await fetch_all(
        conn,
        DeliveryAttempt,
        """
        SELECT number, started_at, finished_at, outcome, provider_message_id, error, duration_ms
        FROM outbound_attempts WHERE project_id = %(project)s AND outbound_id = %(id)s ORDER BY number""",
        project=scope.project_id,
        id=outbound_id,
    )
