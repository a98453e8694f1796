"""SQL of signups, of the owner's Telegram account, and of their quotas."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_one, fetch_optional, fetch_value


@dataclass(frozen=True)
class SignupRequest:
    """A signup that waits for its PIN. `attempts` includes the current one."""

    id: UUID
    username: str
    password_hash: str
    pin_hash: bytes
    attempts: int
    key_fingerprint: str | None
    expired: bool


@dataclass(frozen=True)
class TelegramBinding:
    """The Telegram account of the owner. `name` is its display name."""

    user_id: int
    chat_id: int
    name: str
    bound_at: datetime


@dataclass(frozen=True)
class QuotaCount:
    """Hits of one purpose in its window."""

    purpose: str
    hits: int
    seconds_left: int


@dataclass(frozen=True)
class BindCode:
    """The expiry of a bind code."""

    expires_at: datetime


# Signups ----------------------------------------------------------------------------------------------------------


async def insert_request(conn: Conn, request: SignupRequest, address: str, minutes: int) -> datetime | None:
    """Insert a request and return its expiry; None if an account has the username in upper or lower case."""
    return await fetch_value(
        conn,
        """
        INSERT INTO signup_requests (id, username, password_hash, pin_hash, address, expires_at, key_fingerprint)
        SELECT %(id)s, %(name)s, %(password)s, %(pin)s, %(address)s, now() + make_interval(mins => %(minutes)s), %(key)s
        WHERE NOT EXISTS (SELECT FROM app_users WHERE lower(username) = %(name)s)
        RETURNING expires_at""",
        id=request.id,
        name=request.username,
        password=request.password_hash,
        pin=request.pin_hash,
        key=request.key_fingerprint,
        address=address,
        minutes=minutes,
    )


async def fetch_request(conn: Conn, request_id: UUID) -> SignupRequest | None:
    """Return a request, expired or not."""
    return await fetch_optional(
        conn,
        SignupRequest,
        """
        SELECT id, username, password_hash, pin_hash, attempts, key_fingerprint, expires_at <= now() AS expired
        FROM signup_requests WHERE id = %(id)s""",
        id=request_id,
    )


async def count_attempt(conn: Conn, request_id: UUID, max_attempts: int) -> SignupRequest | None:
    """Count an attempt before it is checked; return None if the request accepts no more."""
    return await fetch_optional(
        conn,
        SignupRequest,
        """
        UPDATE signup_requests SET attempts = attempts + 1
        WHERE id = %(id)s AND expires_at > now() AND attempts < %(most)s
        RETURNING id, username, password_hash, pin_hash, attempts, key_fingerprint, false AS expired""",
        id=request_id,
        most=max_attempts,
    )


async def delete_request(conn: Conn, request_id: UUID) -> bool:
    """Delete a request; return False if it was already deleted."""
    return bool(await execute(conn, "DELETE FROM signup_requests WHERE id = %(id)s", id=request_id))


async def delete_requests(conn: Conn) -> None:
    """Delete all requests."""
    await execute(conn, "DELETE FROM signup_requests")


async def delete_expired(conn: Conn) -> None:
    """Delete requests that expired an hour ago, and updates that Telegram no longer repeats."""
    await execute(
        conn,
        """
        WITH old_updates AS (
            DELETE FROM telegram_updates WHERE update_id IN (
                SELECT update_id FROM telegram_updates WHERE received_at < now() - interval '7 days'
                FOR UPDATE SKIP LOCKED))
        DELETE FROM signup_requests WHERE id IN (
            SELECT id FROM signup_requests WHERE expires_at < now() - interval '1 hour' FOR UPDATE SKIP LOCKED)""",
    )


async def username_exists(conn: Conn, username: str) -> bool:
    """Return whether an account has the username, in upper or lower case."""
    return await fetch_value(
        conn, "SELECT EXISTS (SELECT FROM app_users WHERE lower(username) = lower(%(name)s))", name=username
    )


# The owner's Telegram account -------------------------------------------------------------------------------------


async def fetch_binding(conn: Conn) -> TelegramBinding | None:
    """Return the bound account."""
    return await fetch_optional(conn, TelegramBinding, "SELECT user_id, chat_id, name, bound_at FROM telegram_owner")


async def lock_binding(conn: Conn) -> TelegramBinding | None:
    """Return the bound account, locked until the transaction ends."""
    return await fetch_optional(
        conn, TelegramBinding, "SELECT user_id, chat_id, name, bound_at FROM telegram_owner FOR SHARE"
    )


async def bind(conn: Conn, user_id: int, chat_id: int, name: str) -> None:
    """Bind an account, replacing any other."""
    await execute(
        conn,
        """
        INSERT INTO telegram_owner (user_id, chat_id, name) VALUES (%(user)s, %(chat)s, %(name)s)
        ON CONFLICT (only_one) DO UPDATE SET
            user_id = excluded.user_id, chat_id = excluded.chat_id, name = excluded.name, bound_at = now()""",
        user=user_id,
        chat=chat_id,
        name=name,
    )


async def unbind(conn: Conn) -> bool:
    """Delete the binding; return False if there was none."""
    return bool(await execute(conn, "DELETE FROM telegram_owner"))


async def delete_code(conn: Conn) -> None:
    """Delete the bind code."""
    await execute(conn, "DELETE FROM telegram_bind_codes")


async def replace_code(conn: Conn, code_hash: bytes, minutes: int) -> BindCode:
    """Store a bind code, replacing the previous one."""
    return await fetch_one(
        conn,
        BindCode,
        """
        INSERT INTO telegram_bind_codes (code_hash, expires_at)
        VALUES (%(hash)s, now() + make_interval(mins => %(minutes)s))
        ON CONFLICT (only_one) DO UPDATE SET code_hash = excluded.code_hash, expires_at = excluded.expires_at
        RETURNING expires_at""",
        hash=code_hash,
        minutes=minutes,
    )


async def use_code(conn: Conn, code_hash: bytes) -> bool:
    """Delete a valid bind code; return False if it is wrong, expired or used."""
    return bool(
        await execute(
            conn, "DELETE FROM telegram_bind_codes WHERE code_hash = %(hash)s AND expires_at > now()", hash=code_hash
        )
    )


async def record_update(conn: Conn, update_id: int) -> bool:
    """Store the id of an update; return False if it was already stored."""
    return bool(
        await execute(
            conn,
            "INSERT INTO telegram_updates (update_id) VALUES (%(id)s) ON CONFLICT DO NOTHING",
            id=update_id,
        )
    )


# Counters ---------------------------------------------------------------------------------------------------------


async def count_hits(conn: Conn, purposes: list[str], subjects: list[str], minutes: list[int]) -> list[QuotaCount]:
    """Count one hit for each purpose and subject; an expired window restarts.

    The three lists have the same length. Rows are locked in one order, so that no deadlock is possible.
    """
    return await fetch_all(
        conn,
        QuotaCount,
        """
        WITH requested AS (
            SELECT * FROM unnest(%(purposes)s::text[], %(subjects)s::text[], %(minutes)s::int[])
                AS a (purpose, subject, minutes)),
        counted AS (
            INSERT INTO rate_limits AS r (purpose, subject, hits)
            SELECT purpose, subject, 1 FROM requested ORDER BY purpose, subject
            ON CONFLICT (purpose, subject) DO UPDATE SET (hits, window_started_at) = (
                SELECT CASE WHEN ended THEN 1 ELSE least(r.hits + 1, 1000000) END,
                       CASE WHEN ended THEN now() ELSE r.window_started_at END
                FROM (SELECT r.window_started_at <= now() - make_interval(mins => a.minutes) AS ended
                      FROM requested a WHERE a.purpose = r.purpose AND a.subject = r.subject) AS w)
            RETURNING purpose, subject, hits, window_started_at)
        SELECT c.purpose, c.hits,
               ceil(extract(epoch FROM c.window_started_at + make_interval(mins => a.minutes) - now()))::int
               AS seconds_left
        FROM counted c JOIN requested a USING (purpose, subject)""",
        purposes=purposes,
        subjects=subjects,
        minutes=minutes,
    )
