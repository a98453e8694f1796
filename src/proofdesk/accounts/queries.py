"""SQL of accounts and of the counters of failed logins."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_optional


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
    may_bind_sources: bool
    sessions: int
    last_seen_at: datetime | None


@dataclass(frozen=True)
class AttemptCounter:
    """Attempts of one subject in its window."""

    purpose: str
    hits: int
    seconds_left: int


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
        SELECT username, is_owner, disabled_at, u.created_at, is_owner OR may_bind_sources AS may_bind_sources,
               count(s.user_id) AS sessions, max(s.last_seen_at) AS last_seen_at
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


async def set_may_bind_sources(conn: Conn, user_id: UUID, *, allowed: bool) -> bool:
    """Allow a user to bind sources, or no longer; return False if nothing changes."""
    return bool(
        await execute(
            conn,
            """
            UPDATE app_users SET may_bind_sources = %(allowed)s
            WHERE id = %(user)s AND may_bind_sources <> %(allowed)s""",
            user=user_id,
            allowed=allowed,
        )
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
