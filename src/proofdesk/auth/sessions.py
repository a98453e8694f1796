"""Sessions: opened at login, read on every request, closed at logout. Only a hash of the token is stored."""

import hashlib
import secrets
from dataclasses import dataclass
from uuid import UUID

from proofdesk.audit.trail import Actor
from proofdesk.auth import csrf, limits, passwords, queries
from proofdesk.auth.queries import Account, Session
from proofdesk.db.pool import Database
from proofdesk.errors import Denied, Invalid
from proofdesk.settings import Settings

LIFETIME_DAYS = 14


class MissingCredentials(Invalid):
    """A username and a password are needed."""

    code = "missing_credentials"


class InvalidCredentials(Denied):
    """There is no such account, or this is not its password."""

    code = "invalid_credentials"


@dataclass(frozen=True)
class Login:
    """What somebody presents. `address` is his network address, `replaces` the token of an earlier session."""

    username: str
    password: str
    address: str
    replaces: str | None = None


@dataclass(frozen=True)
class Opened:
    """A new session. `token` is known here only; it goes into the cookie."""

    token: str
    csrf_token: str
    username: str
    active_project_id: UUID | None


async def open(db: Database, settings: Settings, login: Login) -> Opened:
    """Sign in. A failed try counts; the right password works even when others used up the username's tries.

    Raises `MissingCredentials`, `InvalidCredentials` or `LoginRateLimited`.
    """
    if not login.username.strip() or not login.password:
        raise MissingCredentials("Give a username and a password.")
    who = limits.subjects(login.address, login.username.strip())
    standing = await limits.take(db, settings, who)
    if standing.address:
        raise limits.LoginRateLimited(standing.address)
    account = await _account(db, login.username.strip())
    if not await passwords.matches(account and account.password_hash, login.password) or account is None:
        if standing.username:
            raise limits.LoginRateLimited(standing.username)
        raise InvalidCredentials("The username or the password is wrong.")
    return await _begin(db, account, login, who)


async def read(db: Database, token: str) -> Session | None:
    """The session of a token, when it has not ended. Notes at most once a minute that it was seen."""
    async with db.transaction() as conn:
        return await queries.session(conn, _hash(token))


async def close(db: Database, token: str) -> None:
    """Sign out. Nothing happens when the session has ended already."""
    async with db.transaction() as conn:
        await queries.delete_session(conn, _hash(token))


async def work_in(db: Database, session: Session, project_id: UUID) -> None:
    """Make a project the session's active one; the next login begins there."""
    async with db.transaction() as conn:
        await queries.activate_project(conn, session, project_id)


def actor(session: Session, request_id: str | None) -> Actor:
    """The person behind a session, acting in one request."""
    return Actor(session.username, session.user_id, session.is_owner, request_id)


async def _account(db: Database, username: str) -> Account | None:
    async with db.transaction() as conn:
        return await queries.account(conn, username)


async def _begin(db: Database, account: Account, login: Login, who: limits.Subjects) -> Opened:
    token, csrf_token = secrets.token_urlsafe(32), csrf.token()
    async with db.transaction() as conn:
        await queries.give_back_try(conn, who.address, who.username)
        await queries.clear_ended(conn)
        if login.replaces:
            await queries.delete_session(conn, _hash(login.replaces))
        project_id = await queries.first_project(conn, account)
        await queries.insert_session(conn, _hash(token), account, csrf_token, project_id, LIFETIME_DAYS)
    return Opened(token, csrf_token, account.username, project_id)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
