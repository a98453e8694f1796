"""SQL of accounts, sessions and the counters of failed logins."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_optional, fetch_value


@dataclass(frozen=True)
class UserAccount:
    """A user's account."""

    id: UUID
    username: str
    password_hash: str
    is_owner: bool
    last_project_id: UUID | None
    created_at: datetime


@dataclass(frozen=True)
class AccountSummary:
    """An account in the list of accounts. `sessions` counts the active ones."""

    username: str
    is_owner: bool
    disabled_at: datetime | None
    created_at: datetime
    sessions: int
    last_seen_at: datetime | None


@dataclass(frozen=True)
class UserSession:
    """A session that has not ended, with its user."""

    id_hash: bytes
    user_id: UUID
    username: str
    is_owner: bool
    csrf_token: str
    active_project_id: UUID | None
    created_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True)
class ActiveSession(UserSession):
    """A session of a request. `account_scope_id` belongs to the active project; None if the user may not enter it."""

    account_scope_id: UUID | None


@dataclass(frozen=True)
class AttemptCounter:
    """Attempts of one subject in its window."""

    purpose: str
    hits: int
    seconds_left: int


# Accounts ---------------------------------------------------------------------------------------------------------


async def fetch_account(conn: Conn, username: str) -> UserAccount | None:
    """Return the enabled account with this username, as written or in lower case."""
    return await fetch_optional(
        conn,
        UserAccount,
        """
        SELECT id, username, password_hash, is_owner, last_project_id, created_at FROM app_users
        WHERE username IN (%(name)s, lower(%(name)s)) AND disabled_at IS NULL
        ORDER BY username = %(name)s DESC LIMIT 1""",
        name=username,
    )


async def lock_account(conn: Conn, username: str) -> UserAccount | None:
    """Return the account with this username, enabled or not, locked until the transaction ends."""
    return await fetch_optional(
        conn,
        UserAccount,
        """
        SELECT id, username, password_hash, is_owner, last_project_id, created_at FROM app_users
        WHERE username IN (%(name)s, lower(%(name)s))
        ORDER BY username = %(name)s DESC LIMIT 1 FOR NO KEY UPDATE""",
        name=username,
    )


async def list_accounts(conn: Conn) -> list[AccountSummary]:
    """Return all accounts, the owner's first."""
    return await fetch_all(
        conn,
        AccountSummary,
        """
        SELECT username, is_owner, disabled_at, u.created_at, count(s.user_id) AS sessions,
               max(s.last_seen_at) AS last_seen_at
        FROM app_users u LEFT JOIN sessions s
          ON s.user_id = u.id AND s.expires_at > now() AND s.last_seen_at > now() - interval '3 days'
        GROUP BY u.id ORDER BY is_owner DESC, username""",
    )


async def lock_owner_account(conn: Conn) -> UserAccount | None:
    """Return the owner's account, locked until the transaction ends."""
    return await fetch_optional(
        conn,
        UserAccount,
        """
        SELECT id, username, password_hash, is_owner, last_project_id, created_at FROM app_users WHERE is_owner
        FOR NO KEY UPDATE""",
    )


async def lock_owner_setup(conn: Conn) -> None:
    """Let only one process at a time set up the owner's account, until the transaction ends."""
    await execute(conn, "SELECT pg_advisory_xact_lock(hashtextextended('owner_account', 0))")


async def insert_account(conn: Conn, username: str, password_hash: str, *, is_owner: bool) -> UserAccount | None:
    """Insert an account; return None if the username is taken."""
    return await fetch_optional(
        conn,
        UserAccount,
        """
        INSERT INTO app_users (username, password_hash, is_owner) VALUES (%(name)s, %(hash)s, %(owner)s)
        ON CONFLICT (username) DO NOTHING
        RETURNING id, username, password_hash, is_owner, last_project_id, created_at""",
        name=username,
        hash=password_hash,
        owner=is_owner,
    )


async def rename_account(conn: Conn, account: UserAccount, username: str) -> bool:
    """Change the username of an account; return False if it is taken."""
    return bool(
        await execute(
            conn,
            """
            UPDATE app_users SET username = %(name)s
            WHERE id = %(user)s AND NOT EXISTS (SELECT FROM app_users WHERE username = %(name)s)""",
            user=account.id,
            name=username,
        )
    )


async def change_password(conn: Conn, user_id: UUID, password_hash: str) -> None:
    """Store another password hash."""
    await execute(
        conn, "UPDATE app_users SET password_hash = %(hash)s WHERE id = %(user)s", user=user_id, hash=password_hash
    )


async def set_disabled(conn: Conn, user_id: UUID, *, disabled: bool) -> bool:
    """Disable or enable an account; return False if it already was."""
    return bool(
        await execute(
            conn,
            """
            UPDATE app_users SET disabled_at = CASE WHEN %(disabled)s THEN now() END
            WHERE id = %(user)s AND (disabled_at IS NULL) = %(disabled)s""",
            user=user_id,
            disabled=disabled,
        )
    )


# Sessions ---------------------------------------------------------------------------------------------------------


async def fetch_session(conn: Conn, id_hash: bytes, *, mark_seen: bool) -> ActiveSession | None:
    """Return a session that has not ended; with `mark_seen`, update its last use at most once a minute."""
    return await fetch_optional(
        conn,
        ActiveSession,
        """
        WITH found AS (
            SELECT s.id_hash, s.user_id, u.username, u.is_owner, s.csrf_token, s.active_project_id,
                   s.created_at, s.last_seen_at, p.account_scope_id
            FROM sessions s JOIN app_users u ON u.id = s.user_id AND u.disabled_at IS NULL
            LEFT JOIN projects p ON p.id = s.active_project_id AND p.archived_at IS NULL
              AND (u.is_owner OR p.id IN (SELECT memberships(u.id)))
            WHERE s.id_hash = %(id)s AND s.expires_at > now() AND s.last_seen_at > now() - interval '3 days'),
        seen AS (
            UPDATE sessions SET last_seen_at = now()
            WHERE %(seen)s AND id_hash IN (
                SELECT id_hash FROM found WHERE last_seen_at < now() - interval '1 minute'))
        SELECT * FROM found""",
        id=id_hash,
        seen=mark_seen,
    )


async def session_has_ended(conn: Conn, id_hash: bytes) -> bool | None:
    """Return whether a session has ended; None if it does not exist. Changes nothing."""
    return await fetch_value(
        conn,
        """
        SELECT s.expires_at <= now() OR s.last_seen_at <= now() - interval '3 days' OR u.disabled_at IS NOT NULL
        FROM sessions s JOIN app_users u ON u.id = s.user_id WHERE s.id_hash = %(id)s""",
        id=id_hash,
    )


async def insert_session(
    conn: Conn, id_hash: bytes, account: UserAccount, csrf_token: str, project_id: UUID | None, days: int
) -> bool:
    """Insert a session; return False if the account was disabled or its password changed since it was read."""
    return bool(
        await execute(
            conn,
            """
            INSERT INTO sessions (id_hash, user_id, csrf_token, active_project_id, expires_at)
            SELECT %(id)s, id, %(csrf)s, %(project)s, now() + make_interval(days => %(days)s)
            FROM app_users WHERE id = %(user)s AND password_hash = %(hash)s AND disabled_at IS NULL FOR SHARE""",
            id=id_hash,
            user=account.id,
            hash=account.password_hash,
            csrf=csrf_token,
            project=project_id,
            days=days,
        )
    )


async def list_sessions(conn: Conn, user_id: UUID) -> list[UserSession]:
    """Return the account's active sessions, the most recently used first."""
    return await fetch_all(
        conn,
        UserSession,
        """
        SELECT s.id_hash, s.user_id, u.username, u.is_owner, s.csrf_token, s.active_project_id, s.created_at,
               s.last_seen_at
        FROM sessions s JOIN app_users u ON u.id = s.user_id
        WHERE s.user_id = %(user)s AND s.expires_at > now() AND s.last_seen_at > now() - interval '3 days'
        ORDER BY s.last_seen_at DESC, s.created_at DESC""",
        user=user_id,
    )


async def end_sessions(conn: Conn, user_id: UUID, kept_session: bytes | None = None) -> int:
    """End the account's sessions, except `kept_session`; return how many."""
    return await execute(
        conn,
        "DELETE FROM sessions WHERE user_id = %(user)s AND (%(but)s::bytea IS NULL OR id_hash <> %(but)s)",
        user=user_id,
        but=kept_session,
    )


async def end_session(conn: Conn, id_hash: bytes) -> UserSession | None:
    """End a session and return it; None if it had ended."""
    return await fetch_optional(
        conn,
        UserSession,
        """
        DELETE FROM sessions s USING app_users u WHERE u.id = s.user_id AND s.id_hash = %(id)s
        RETURNING s.id_hash, s.user_id, u.username, u.is_owner, s.csrf_token, s.active_project_id, s.created_at,
                  s.last_seen_at""",
        id=id_hash,
    )


async def delete_session(conn: Conn, id_hash: bytes) -> None:
    """End a session."""
    await execute(conn, "DELETE FROM sessions WHERE id_hash = %(id)s", id=id_hash)


async def delete_ended_sessions(conn: Conn) -> None:
    """Delete ended sessions, and counters older than any window can be (a day)."""
    await execute(
        conn,
        """
        WITH old_counters AS (
            DELETE FROM rate_limits WHERE (purpose, subject) IN (
                SELECT purpose, subject FROM rate_limits WHERE window_started_at < now() - interval '1 day'
                FOR UPDATE SKIP LOCKED))
        DELETE FROM sessions WHERE id_hash IN (
            SELECT id_hash FROM sessions
            WHERE expires_at <= now() OR last_seen_at <= now() - interval '3 days'
            FOR UPDATE SKIP LOCKED)""",
    )


async def find_initial_project(conn: Conn, account: UserAccount) -> UUID | None:
    """Return the project in which a session starts: the last one used, or the only one; None if there is none."""
    return await fetch_value(
        conn,
        """
        WITH mine AS (
            SELECT id FROM projects
            WHERE archived_at IS NULL AND (%(owner)s OR id IN (SELECT memberships(%(user)s))))
        SELECT id FROM mine WHERE id = %(last)s OR (SELECT count(*) FROM mine) = 1""",
        owner=account.is_owner,
        user=account.id,
        last=account.last_project_id,
    )


async def activate_project(conn: Conn, session: UserSession, project_id: UUID) -> None:
    """Store the active project of this session and of the next login."""
    await execute(
        conn,
        """
        WITH remembered AS (UPDATE app_users SET last_project_id = %(project)s WHERE id = %(user)s)
        UPDATE sessions SET active_project_id = %(project)s WHERE id_hash = %(id)s""",
        project=project_id,
        user=session.user_id,
        id=session.id_hash,
    )


# Failed logins ----------------------------------------------------------------------------------------------------


async def count_attempt(conn: Conn, address: str, username: str, minutes: int) -> list[AttemptCounter]:
    """Count one attempt for both subjects; an expired window restarts."""
    return await fetch_all(
        conn,
        AttemptCounter,
        """
        INSERT INTO rate_limits AS r (purpose, subject, hits)
        VALUES ('login.address', %(address)s, 1), ('login.username', %(username)s, 1)
        ON CONFLICT (purpose, subject) DO UPDATE SET
            hits = CASE WHEN r.window_started_at <= now() - make_interval(mins => %(minutes)s) THEN 1
                        ELSE least(r.hits + 1, 1000000) END,
            window_started_at = CASE WHEN r.window_started_at <= now() - make_interval(mins => %(minutes)s)
                                     THEN now() ELSE r.window_started_at END
        RETURNING purpose, hits,
            ceil(extract(epoch FROM window_started_at + make_interval(mins => %(minutes)s) - now()))::int
            AS seconds_left""",
        address=address,
        username=username,
        minutes=minutes,
    )


async def refund_attempt(conn: Conn, address: str, username: str) -> None:
    """Uncount a successful login. It locks rows in the order of `count_attempt`, so that no deadlock is possible."""
    await execute(
        conn,
        """
        INSERT INTO rate_limits AS r (purpose, subject, hits)
        VALUES ('login.address', %(address)s, 0), ('login.username', %(username)s, 0)
        ON CONFLICT (purpose, subject) DO UPDATE SET hits = greatest(r.hits - 1, 0)""",
        address=address,
        username=username,
    )
