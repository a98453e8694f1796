"""Sessions: opened at login, read on every request, closed at logout. Only a hash of the token is stored."""

import hashlib
import secrets
from dataclasses import dataclass
from uuid import UUID

from proofdesk.accounts import csrf, limits, passwords, queries
from proofdesk.accounts.queries import Account, Session, Visit
from proofdesk.audit import events
from proofdesk.audit.events import Actor, EventScope
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Denied, Invalid
from proofdesk.settings import Settings

LIFETIME_DAYS = 14
PROBE = "_probe"
"""Ends the name of a cookie like the session's that the login page sets: whether it comes back tells if that would."""


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
    request_id: str | None = None


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
        await _note_failure(db, account, login, who)
        raise InvalidCredentials("The username or the password is wrong.")
    return await _begin(db, account, login, who)


async def read(db: Database, token: str, *, seen: bool = True) -> Visit | None:
    """The session of a token, when it has not ended. Notes at most once a minute that it was seen.

    A page that was left open asks without being `seen`, so that it does not keep its session from ending.
    """
    async with db.statement() as conn:
        return await queries.session(conn, _hash(token), seen=seen)


async def state(db: Database, token: str) -> str:
    """`active`, `ended`, or `unknown` when there is no such session any more."""
    async with db.transaction() as conn:
        ended = await queries.session_has_ended(conn, _hash(token))
    return "unknown" if ended is None else "ended" if ended else "active"


async def close(db: Database, token: str, request_id: str | None = None) -> None:
    """Sign out. Nothing happens when the session has ended already."""
    async with db.transaction() as conn:
        ended = await queries.end_session(conn, _hash(token))
        if ended is not None:
            await events.record(conn, actor(ended, request_id), "auth.logout", "user", ended.user_id)


async def work_in(db: Database, session: Session, inside: EventScope, request_id: str | None = None) -> None:
    """Make a project the session's active one; the next login begins there."""
    async with db.scoped(inside) as conn:
        await queries.activate_project(conn, session, inside.project_id)
        if session.active_project_id != inside.project_id:
            who = actor(session, request_id)
            await events.record(conn, who, "project.selected", "project", inside.project_id, scope=inside)


async def of_account(db: Database, session: Session) -> list[Session]:
    """All sessions of the account, the one seen last first."""
    async with db.transaction() as conn:
        return await queries.sessions_of(conn, session.user_id)


async def end_others(db: Database, session: Session, request_id: str | None = None) -> int:
    """End the account's other sessions; how many there were."""
    async with db.transaction() as conn:
        ended = await queries.end_sessions(conn, session.user_id, but=session.id_hash)
        if ended:
            payload = {"sessions": ended, "but_this": True}
            who = actor(session, request_id)
            await events.record(conn, who, "auth.sessions_ended", "user", session.user_id, payload=payload)
    return ended


def actor(session: Session, request_id: str | None) -> Actor:
    """The person behind a session, acting in one request."""
    return Actor(session.username, session.user_id, session.is_owner, request_id)


async def _account(db: Database, username: str) -> Account | None:
    async with db.transaction() as conn:
        return await queries.account(conn, username)


async def _begin(db: Database, account: Account, login: Login, who: limits.Subjects) -> Opened:
    async with db.transaction() as conn:
        await queries.give_back_try(conn, who.address, who.username)
        opened = await begin(conn, account, login.replaces)
        person = Actor(account.username, account.id, account.is_owner, login.request_id)
        await events.record(conn, person, "auth.login", "user", account.id, payload={"address": who.address})
    return opened


async def _note_failure(db: Database, account: Account | None, login: Login, who: limits.Subjects) -> None:
    # At most as often as tries may fail. Of a name that nobody has nothing is kept: people type passwords there.
    payload = {"address": who.address, "username": account and account.username}
    async with db.transaction() as conn:
        stranger = events.anonymous_actor(login.request_id)
        await events.record(
            conn, stranger, "auth.login_failed", "user", account and account.id, status="failed", payload=payload
        )


async def begin(conn: Conn, account: Account, replaces: str | None) -> Opened:
    """A session for somebody who has proved who he is; `replaces` is the token of an earlier one, which ends.

    Raises `InvalidCredentials` when the account was disabled or given another password in the meantime.
    """
    token, csrf_token = secrets.token_urlsafe(32), csrf.token()
    await queries.clear_ended(conn)
    if replaces:
        await queries.delete_session(conn, _hash(replaces))
    project_id = await queries.first_project(conn, account)
    if not await queries.insert_session(conn, _hash(token), account, csrf_token, project_id, LIFETIME_DAYS):
        raise InvalidCredentials("The username or the password is wrong.")
    return Opened(token, csrf_token, account.username, project_id)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
