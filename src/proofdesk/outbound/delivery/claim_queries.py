"""SQL of messages that workers take to send them: held, claimed, delayed or rejected."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_optional, to_plain
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class HeldMessage:
    """A due message that one worker has taken for a short time."""

    id: UUID
    recipient_ref: str


@dataclass(frozen=True)
class MessageUpdate:
    """The new state of a claimed message. Without `next_attempt_at` nothing happens until a person acts."""

    id: UUID
    status: str
    last_error: str | None
    next_attempt_at: datetime | None
    policy_ids: list[UUID]


@dataclass(frozen=True)
class ChannelDelay:
    """How long the due messages of a channel wait, in seconds, and why."""

    channel: str
    reason: str
    seconds: float


@dataclass(frozen=True)
class _Wait:
    seconds: float


@dataclass(frozen=True)
class _Id:
    id: UUID


async def hold_due_messages(
    conn: Conn, scope: Scope, limit: int, excluded_channels: Sequence[str], seconds: float
) -> list[HeldMessage]:
    """Take messages that are due, except those of `excluded_channels`; they are due again after some seconds.

    They are returned in the order in which they became due. Messages that another worker has locked are skipped.
    """
    return await fetch_all(
        conn,
        HeldMessage,
        """
        WITH due AS (
            SELECT id, next_attempt_at AS due_at FROM outbound_messages
            WHERE project_id = %(project)s AND next_attempt_at <= clock_timestamp()
              AND channel <> ALL (%(excluded)s::text[])
            ORDER BY next_attempt_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED),
        held AS (
            UPDATE outbound_messages o SET next_attempt_at = clock_timestamp() + make_interval(secs => %(seconds)s)
            FROM due d WHERE o.project_id = %(project)s AND o.id = d.id
            RETURNING o.id, o.recipient_ref, d.due_at)
        SELECT id, recipient_ref FROM held ORDER BY due_at, id""",
        project=scope.project_id,
        limit=limit,
        excluded=list(excluded_channels),
        seconds=seconds,
    )


async def lock_held_messages(conn: Conn, scope: Scope, message_ids: Sequence[UUID]) -> list[UUID]:
    """Lock messages that this worker holds, until the transaction ends; return those that may still be sent.

    They keep their order. Another worker may lock one for a moment, because the message was due in its snapshot: this
    waits for it, since a skipped message would stay on hold.
    """
    rows = await fetch_all(
        conn,
        _Id,
        """
        SELECT id FROM outbound_messages
        WHERE project_id = %(project)s AND id = ANY(%(ids)s) AND next_attempt_at IS NOT NULL
        ORDER BY array_position(%(ids)s, id) FOR UPDATE""",
        project=scope.project_id,
        ids=list(message_ids),
    )
    return [row.id for row in rows]


async def delay_channels(conn: Conn, scope: Scope, delays: Sequence[ChannelDelay]) -> int:
    """Delay the due messages of some channels, with the reason; return how many messages.

    Messages that another worker has locked are skipped.
    """
    return await execute(
        conn,
        """
        WITH delays AS (
            SELECT * FROM unnest(%(channels)s::text[], %(reasons)s::text[], %(seconds)s::float[])
                AS w (channel, reason, seconds)),
        due AS (
            SELECT o.id, o.channel FROM outbound_messages o
            WHERE o.project_id = %(project)s AND o.next_attempt_at <= clock_timestamp()
              AND o.channel IN (SELECT w.channel FROM delays w)
            FOR UPDATE SKIP LOCKED)
        UPDATE outbound_messages o SET last_error = w.reason,
               next_attempt_at = clock_timestamp() + make_interval(secs => w.seconds)
        FROM due d JOIN delays w ON w.channel = d.channel
        WHERE o.project_id = %(project)s AND o.id = d.id""",
        project=scope.project_id,
        channels=[w.channel for w in delays],
        reasons=[w.reason for w in delays],
        seconds=[w.seconds for w in delays],
    )


async def fetch_seconds_until_retry(conn: Conn, scope: Scope, within: float) -> float | None:
    """Return the seconds until the first requeued message is due, None without one in the next `within` seconds."""
    row = await fetch_optional(
        conn,
        _Wait,
        """
        SELECT extract(epoch FROM next_attempt_at - clock_timestamp())::float AS seconds FROM outbound_messages
        WHERE project_id = %(project)s AND status = 'approved' AND last_error LIKE 'provider_error: %%'
          AND next_attempt_at <= clock_timestamp() + make_interval(secs => %(within)s)
        ORDER BY next_attempt_at LIMIT 1""",
        project=scope.project_id,
        within=within,
    )
    return None if row is None else row.seconds


async def update_claimed_messages(conn: Conn, scope: Scope, updates: Sequence[MessageUpdate]) -> None:
    """Store the new states of claimed messages."""
    await execute(
        conn,
        """
        UPDATE outbound_messages o
        SET status = d.status, last_error = d.last_error, next_attempt_at = d.next_attempt_at,
            policy_ids = d.policy_ids,
            cancelled_by = CASE WHEN d.status = 'cancelled' THEN %(by)s END,
            cancelled_at = CASE WHEN d.status = 'cancelled' THEN clock_timestamp() END
        FROM jsonb_to_recordset(%(rows)s)
            AS d (id uuid, status text, last_error text, next_attempt_at timestamptz, policy_ids uuid[])
        WHERE o.project_id = %(project)s AND o.id = d.id""",
        project=scope.project_id,
        by=scope.actor.username,
        rows=Jsonb([to_plain(row) for row in updates]),
    )


async def resume_unconfigured(conn: Conn, scope: Scope, channels: Sequence[str]) -> None:
    """Make messages due that waited for a channel which is configured now."""
    await execute(
        conn,
        """
        UPDATE outbound_messages SET next_attempt_at = clock_timestamp()
        WHERE project_id = %(project)s AND next_attempt_at > clock_timestamp()
          AND last_error = 'provider_not_configured' AND channel = ANY (%(channels)s)""",
        project=scope.project_id,
        channels=list(channels),
    )
