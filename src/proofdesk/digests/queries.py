"""SQL of the subscriptions to digests, and of the digests that were due."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_optional
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class DigestSubscription:
    """How a user gets the digest of a project."""

    daily: bool
    weekly: bool
    email: str | None
    telegram: bool


@dataclass(frozen=True)
class DueDigest:
    """A digest that this process sends to a user."""

    id: UUID
    user_id: UUID
    username: str
    cadence: str
    channel: str
    email: str | None
    ends_at: datetime
    attempts: int


async def fetch_subscription(conn: Conn, scope: Scope, user_id: UUID) -> DigestSubscription | None:
    """Return the subscription of a user."""
    return await fetch_optional(
        conn,
        DigestSubscription,
        """
        SELECT daily, weekly, email, telegram FROM digest_subscriptions
        WHERE project_id = %(project)s AND user_id = %(user)s""",
        project=scope.project_id,
        user=user_id,
    )


async def store_subscription(conn: Conn, scope: Scope, user_id: UUID, subscription: DigestSubscription) -> None:
    """Insert or replace the subscription of a user. Their first digest is the next one that is due."""
    await execute(
        conn,
        """
        INSERT INTO digest_subscriptions (project_id, account_scope_id, user_id, daily, weekly, email, telegram)
        VALUES (%(project)s, %(account_scope)s, %(user)s, %(daily)s, %(weekly)s, %(email)s, %(telegram)s)
        ON CONFLICT (project_id, user_id) DO UPDATE
        SET daily = excluded.daily, weekly = excluded.weekly, email = excluded.email, telegram = excluded.telegram,
            subscribed_at = now()""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        user=user_id,
        daily=subscription.daily,
        weekly=subscription.weekly,
        email=subscription.email,
        telegram=subscription.telegram,
    )


async def delete_subscription(conn: Conn, scope: Scope, user_id: UUID) -> int:
    """Delete the subscription of a user; return 0 when there was none."""
    return await execute(
        conn,
        "DELETE FROM digest_subscriptions WHERE project_id = %(project)s AND user_id = %(user)s",
        project=scope.project_id,
        user=user_id,
    )


async def insert_due(conn: Conn, scope: Scope, cadence: str, ends_at: datetime) -> None:
    """Write the digests that are due at a time: for each user who had subscribed before it, by each channel."""
    await execute(
        conn,
        """
        INSERT INTO digest_deliveries (project_id, account_scope_id, user_id, cadence, channel, ends_at, status)
        SELECT s.project_id, s.account_scope_id, s.user_id, %(cadence)s, c.channel, %(ends_at)s, 'pending'
        FROM digest_subscriptions s CROSS JOIN (VALUES ('email'), ('telegram')) AS c (channel)
        WHERE s.project_id = %(project)s AND s.subscribed_at < %(ends_at)s
          AND CASE %(cadence)s WHEN 'daily' THEN s.daily ELSE s.weekly END
          AND CASE c.channel WHEN 'email' THEN s.email IS NOT NULL ELSE s.telegram END
        ON CONFLICT DO NOTHING""",
        project=scope.project_id,
        cadence=cadence,
        ends_at=ends_at,
    )


async def claim_due(conn: Conn, scope: Scope, lease: float, limit: int) -> list[DueDigest]:
    """Take digests to send. One that a process took more than `lease` seconds ago is free."""
    return await fetch_all(
        conn,
        DueDigest,
        """
        WITH free AS (
            SELECT id FROM digest_deliveries
            WHERE project_id = %(project)s
              AND (status = 'pending'
                   OR (status = 'sending' AND claimed_at < now() - make_interval(secs => %(lease)s)))
            ORDER BY ends_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
        UPDATE digest_deliveries d SET status = 'sending', attempts = attempts + 1, claimed_at = now()
        FROM free, app_users u
        WHERE d.project_id = %(project)s AND d.id = free.id AND u.id = d.user_id
        RETURNING d.id, d.user_id, u.username, d.cadence, d.channel,
                  (SELECT s.email FROM digest_subscriptions s
                   WHERE s.project_id = %(project)s AND s.user_id = d.user_id) AS email, d.ends_at, d.attempts""",
        project=scope.project_id,
        lease=lease,
        limit=limit,
    )


async def settle_due(
    conn: Conn, scope: Scope, delivery_id: UUID, attempt: int, delivery_status: str, error: str | None
) -> None:
    """Store how an attempt to send a digest ended."""
    await execute(
        conn,
        """
        UPDATE digest_deliveries
        SET status = %(status)s, error = %(error)s, sent_at = CASE WHEN %(status)s = 'sent' THEN now() END
        WHERE project_id = %(project)s AND id = %(id)s AND status = 'sending' AND attempts = %(attempt)s""",
        project=scope.project_id,
        id=delivery_id,
        attempt=attempt,
        status=delivery_status,
        error=error,
    )
