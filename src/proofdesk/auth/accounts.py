"""Accounts: the owner's, which the environment defines, and those of other people."""

import re

from proofdesk.auth import passwords, queries
from proofdesk.auth.queries import Account
from proofdesk.db.pool import Database
from proofdesk.errors import Conflict, Invalid, NotFound
from proofdesk.settings import Settings

USERNAME = re.compile(r"[a-z0-9._-]{3,32}", re.ASCII)


class UsernameTaken(Conflict):
    """Another account has the name."""

    code = "username_taken"


class UserNotFound(NotFound):
    """There is no account of that name."""

    code = "user_not_found"


async def ensure_owner(db: Database, settings: Settings) -> str | None:
    """Make the owner's account what AUTH_USERNAME and AUTH_PASSWORD say. Safe when several processes start at once.

    Without AUTH_PASSWORD a new account gets a random password: it is returned, once, so that it can be shown.
    A changed password ends the owner's sessions. Raises `UsernameTaken`.
    """
    given = settings.auth_password.get_secret_value() if settings.auth_password else None
    username = settings.auth_username.strip()
    async with db.transaction() as conn:
        await queries.lock_owner(conn)
        owner = await queries.owner(conn)
        if owner is None:
            password = given or passwords.invented()
            _free(await queries.insert_account(conn, username, await passwords.hashed(password), is_owner=True))
            return None if given else password
        if owner.username != username:
            _free(await queries.rename_account(conn, owner, username))
        if given and not await passwords.matches(owner.password_hash, given):
            await queries.change_password(conn, owner.id, await passwords.hashed(given))
    return None


async def create(db: Database, username: str, password: str) -> Account:
    """A new account. Raises `Invalid` (`invalid_username`, `invalid_password`) or `UsernameTaken`."""
    username = username.strip().lower()
    if not USERNAME.fullmatch(username):
        raise Invalid("A username has 3 to 32 of: a-z 0-9 . _ -", code="invalid_username")
    stored = await passwords.hashed(_fit(password))
    async with db.transaction() as conn:
        account = await queries.insert_account(conn, username, stored, is_owner=False)
    if account is None:
        raise UsernameTaken(f"The username {username} is taken.")
    return account


async def listed(db: Database) -> list[Account]:
    """All accounts, the owner's first."""
    async with db.transaction() as conn:
        return await queries.accounts(conn)


async def set_password(db: Database, username: str, password: str) -> None:
    """Change a password and end the sessions of its account. Raises `Invalid` or `UserNotFound`."""
    stored = await passwords.hashed(_fit(password))
    async with db.transaction() as conn:
        account = await queries.account(conn, username.strip())
        if account is None:
            raise UserNotFound(f"There is no account {username!r}.")
        await queries.change_password(conn, account.id, stored)


def _fit(password: str) -> str:
    if not 8 <= len(password) <= 128:
        raise Invalid("A password has 8 to 128 characters.", code="invalid_password")
    return password


def _free(done: Account | bool | None) -> None:
    if not done:
        raise UsernameTaken("AUTH_USERNAME is the name of an account that is not the owner's. Choose another one.")
