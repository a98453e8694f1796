"""User accounts: the owner's, which the environment defines, and those of other users."""

import re
from typing import TypeVar

from proofdesk.accounts import limits, passwords, queries, session_queries
from proofdesk.accounts.queries import AccountSummary, UserAccount
from proofdesk.accounts.session_queries import UserSession
from proofdesk.audit import events
from proofdesk.audit.events import Actor
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Conflict, Invalid, NotFound
from proofdesk.settings import Settings

T = TypeVar("T")

# The names of the system and of unknown actors in audit events are reserved.
USERNAME = re.compile(r"(?!(?:system|nobody)$)[a-z0-9._-]{3,32}", re.ASCII)


class UsernameTaken(Conflict):
    """Another account has this username."""

    code = "username_taken"


class AccountNotFound(NotFound):
    """No account has this username."""

    code = "user_not_found"


class OwnerAccountProtected(Conflict):
    """The owner's account cannot be changed this way."""

    code = "owner_account"


class WrongPassword(Invalid):
    """The current password is wrong."""

    code = "wrong_password"


async def ensure_owner(db: Database, settings: Settings) -> str | None:
    """Create or update the owner's account from AUTH_USERNAME and AUTH_PASSWORD. Several processes may call it at once.

    Without AUTH_PASSWORD a new account gets a random password, which is returned once so that it can be shown.
    A changed password ends the owner's sessions. Raises `UsernameTaken`.
    """
    configured_password = settings.auth_password.get_secret_value() if settings.auth_password else None
    username = settings.auth_username.strip()
    async with db.transaction() as conn:
        await queries.lock_owner_setup(conn)
        owner = await queries.lock_owner_account(conn)
        if owner is None:
            password = configured_password or passwords.generate_password()
            created = await queries.insert_account(
                conn, username, await passwords.hash_password(password), is_owner=True
            )
            await _record(conn, None, "auth.user_created", _require_free(created))
            return None if configured_password else password
        if owner.username != username:
            _require_free(await queries.rename_account(conn, owner, username))
            await _record(conn, None, "auth.user_renamed", owner, {"to": username})
        if configured_password and not await passwords.verify_password(owner.password_hash, configured_password):
            await _replace_password(conn, None, owner, await passwords.hash_password(configured_password))
    return None


async def create(db: Database, username: str, password: str, by: Actor | None = None) -> UserAccount:
    """Create an account; the actor is the system unless `by` is given.

    Raises `Invalid` (`invalid_username`, `invalid_password`) or `UsernameTaken`.
    """
    username = validate_username(username)
    stored = await passwords.hash_password(validate_password(password))
    async with db.transaction() as conn:
        account = await queries.insert_account(conn, username, stored, is_owner=False)
        if account is None:
            raise UsernameTaken(f"The username {username} is taken.")
        await _record(conn, by, "auth.user_created", account)
    return account


async def load_actor(db: Database, username: str) -> Actor:
    """Return the actor for a username given at a terminal. Raises `AccountNotFound`, also for a disabled account."""
    async with db.transaction() as conn:
        account = await queries.fetch_account(conn, username.strip())
    if account is None:
        raise AccountNotFound(f"No enabled account has the username {username[:80]!r}.")
    return Actor(account.username, account.id, account.is_owner)


async def list_accounts(db: Database) -> list[AccountSummary]:
    """Return all accounts, the owner's first."""
    async with db.transaction() as conn:
        return await queries.list_accounts(conn)


async def set_password(db: Database, username: str, password: str, by: Actor | None = None) -> None:
    """Change a password and end the sessions of its account. Raises `Invalid` or `AccountNotFound`."""
    stored = await passwords.hash_password(validate_password(password))
    async with db.transaction() as conn:
        await _replace_password(conn, by, await _lock_account(conn, username), stored)


async def change_own_password(
    db: Database, settings: Settings, session: UserSession, current: str, new: str, by: Actor, address: str
) -> None:
    """Change the password of the session's user and end their other sessions. Wrong attempts count as failed logins.

    Raises `Invalid` (`invalid_password`), `WrongPassword`, `OwnerAccountProtected` or `LoginRateLimited`.
    """
    if session.is_owner and settings.auth_password is not None:
        raise OwnerAccountProtected("AUTH_PASSWORD sets the owner's password. Change it there.")
    new = validate_password(new)
    subjects = limits.rate_limit_subjects(address, session.username)
    wait_times = await limits.count_attempt(db, settings, subjects)
    if wait := wait_times.address or wait_times.username:
        raise limits.LoginRateLimited(wait)
    async with db.transaction() as conn:
        account = await queries.fetch_account(conn, session.username)
    if account is None or not await passwords.verify_password(account.password_hash, current):
        raise WrongPassword("The current password is wrong.")
    stored = await passwords.hash_password(new)
    async with db.transaction() as conn:
        await queries.refund_attempt(conn, subjects.address, subjects.username)
        await _replace_password(
            conn, by, await _lock_account(conn, session.username), stored, kept_session=session.id_hash
        )


async def disable(db: Database, username: str, by: Actor | None = None) -> None:
    """Disable an account and end its sessions. Raises `AccountNotFound` or `OwnerAccountProtected`."""
    async with db.transaction() as conn:
        account = await _lock_account(conn, username)
        if account.is_owner:
            raise OwnerAccountProtected("The owner's account cannot be disabled.")
        if await queries.set_disabled(conn, account.id, disabled=True):
            ended = await session_queries.end_sessions(conn, account.id)
            await _record(conn, by, "auth.user_disabled", account, {"sessions": ended})


async def enable(db: Database, username: str, by: Actor | None = None) -> None:
    """Enable a disabled account; its password is unchanged. Raises `AccountNotFound`."""
    async with db.transaction() as conn:
        account = await _lock_account(conn, username)
        if await queries.set_disabled(conn, account.id, disabled=False):
            await _record(conn, by, "auth.user_enabled", account)


async def allow_sources(db: Database, username: str, by: Actor | None = None, *, allowed: bool = True) -> None:
    """Allow a user to bind sources to the projects that they manage, or no longer. What is bound stays.

    Raises `AccountNotFound` or `OwnerAccountProtected`.
    """
    async with db.transaction() as conn:
        account = await _lock_account(conn, username)
        if account.is_owner:
            raise OwnerAccountProtected("The owner may always bind sources.")
        if await queries.set_may_bind_sources(conn, account.id, allowed=allowed):
            await _record(conn, by, "auth.sources_allowed" if allowed else "auth.sources_forbidden", account)


async def end_sessions(db: Database, username: str, by: Actor | None = None) -> int:
    """End all sessions of an account; return how many. Raises `AccountNotFound`."""
    async with db.transaction() as conn:
        account = await _lock_account(conn, username)
        ended = await session_queries.end_sessions(conn, account.id)
        if ended:
            await _record(conn, by, "auth.sessions_ended", account, {"sessions": ended})
    return ended


def validate_username(username: str) -> str:
    """Return the username as it is stored. Raises `Invalid` (`invalid_username`)."""
    username = username.strip().lower()
    if not USERNAME.fullmatch(username):
        raise Invalid("A username has 3 to 32 characters of: a-z 0-9 . _ -", code="invalid_username")
    return username


def validate_password(password: str) -> str:
    """Return the password if its length is allowed. Raises `Invalid` (`invalid_password`)."""
    if not 8 <= len(password) <= 128:
        raise Invalid("A password has 8 to 128 characters.", code="invalid_password")
    return password


async def _lock_account(conn: Conn, username: str) -> UserAccount:
    account = await queries.lock_account(conn, username.strip())
    if account is None:
        raise AccountNotFound(f"No account has the username {username[:80]!r}.")
    return account


async def _replace_password(
    conn: Conn, by: Actor | None, account: UserAccount, stored: str, kept_session: bytes | None = None
) -> None:
    await queries.change_password(conn, account.id, stored)
    ended = await session_queries.end_sessions(conn, account.id, kept_session)
    await _record(conn, by, "auth.password_changed", account, {"sessions": ended})


async def _record(
    conn: Conn, by: Actor | None, action: str, account: UserAccount, payload: dict[str, object] | None = None
) -> None:
    details = {"username": account.username} | (payload or {})
    await events.record(conn, by or events.system_actor(), action, "user", account.id, payload=details)


def _require_free(result: T | None) -> T:
    if not result:
        raise UsernameTaken("AUTH_USERNAME is the username of another user. Choose another one.")
    return result
