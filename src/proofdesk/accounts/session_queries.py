"""SQL of sessions."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from proofdesk.accounts.queries import UserAccount
from proofdesk.database.rows import Conn, execute, fetch_all, fetch_optional, fetch_value


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
    """A session of a request. `account_scope_id` and the user's `role` belong to the active project.

    They are None if the user may not enter it.
    """

    account_scope_id: UUID | None
    role: str | None


async def fetch_session(conn: Conn, id_hash: bytes, *, mark_seen: bool) -> ActiveSession | None:
    """Return a session that has not ended; with `mark_seen`, update its last use at most once a minute."""
    return await fetch_optional(
        conn,
        ActiveSession,
        """
        WITH found AS (
            SELECT s.id_hash, s.user_id, u.username, u.is_owner, s.csrf_token, s.active_project_id,
                   s.created_at, s.last_seen_at, p.account_scope_id,
                   CASE WHEN u.is_owner THEN 'manager' ELSE member_role(p.id, u.id) END AS role
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
