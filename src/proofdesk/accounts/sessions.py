"""Sessions: created at login, loaded on every request, ended at logout. Only a hash of the token is stored."""

import hashlib
import secrets
from dataclasses import dataclass
from uuid import UUID

from proofdesk.accounts import csrf, limits, passwords, queries, session_queries
from proofdesk.accounts.queries import UserAccount
from proofdesk.accounts.session_queries import ActiveSession, UserSession
from proofdesk.audit import events
from proofdesk.audit.events import Actor, EventScope
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Denied, Invalid
from proofdesk.settings import Settings

LIFETIME_DAYS = 14
PROBE_SUFFIX = "_probe"
"""Suffix of a cookie that the login page sets like the session cookie, to find out whether the browser returns it."""


class MissingCredentials(Invalid):
    """The username or the password is missing."""

    code = "missing_credentials"


class InvalidCredentials(Denied):
    """The account does not exist, or the password is wrong."""

    code = "invalid_credentials"


@dataclass(frozen=True)
class LoginAttempt:
    """The credentials of a login, the client's network address, and the token of a session that it replaces."""

    username: str
    password: str
    address: str
    replaces: str | None = None
    request_id: str | None = None


@dataclass(frozen=True)
class NewSession:
    """A new session. `token` goes into the cookie and is not stored."""

    token: str
    csrf_token: str
    username: str
    active_project_id: UUID | None


async def sign_in(db: Database, settings: Settings, login: LoginAttempt) -> NewSession:
    """Sign in. A failed attempt counts; the right password works even if others used up the attempts of the username.

    Raises `MissingCredentials`, `InvalidCredentials` or `LoginRateLimited`.
    """
    if not login.username.strip() or not login.password:
        raise MissingCredentials("Enter a username and a password.")
    subjects = limits.rate_limit_subjects(login.address, login.username.strip())
    wait_times = await limits.count_attempt(db, settings, subjects)
    if wait_times.address:
        raise limits.LoginRateLimited(wait_times.address)
    account = await _fetch_account(db, login.username.strip())
    if not await passwords.verify_password(account and account.password_hash, login.password) or account is None:
        if wait_times.username:
            raise limits.LoginRateLimited(wait_times.username)
        await _record_failure(db, account, login, subjects)
        raise InvalidCredentials("The username or the password is wrong.")
    return await _complete_sign_in(db, account, login, subjects)


async def load_session(db: Database, token: str, *, mark_seen: bool = True) -> ActiveSession | None:
    """Return the session of a token if it has not ended; with `mark_seen`, update its last use.

    Background requests of an open page do not mark the session as seen, so that it still ends.
    """
    async with db.statement() as conn:
        return await session_queries.fetch_session(conn, _hash(token), mark_seen=mark_seen)


async def session_state(db: Database, token: str) -> str:
    """Return `active`, `ended`, or `unknown` if the session does not exist."""
    async with db.transaction() as conn:
        ended = await session_queries.session_has_ended(conn, _hash(token))
    return "unknown" if ended is None else "ended" if ended else "active"


async def sign_out(db: Database, token: str, request_id: str | None = None) -> None:
    """Sign out. An ended session is not an error."""
    async with db.transaction() as conn:
        ended = await session_queries.end_session(conn, _hash(token))
        if ended is not None:
            await events.record(conn, actor_of_session(ended, request_id), "auth.logout", "user", ended.user_id)


async def select_project(db: Database, session: UserSession, scope: EventScope, request_id: str | None = None) -> None:
    """Make a project the active one of the session and of the next login."""
    async with db.scoped(scope) as conn:
        await session_queries.activate_project(conn, session, scope.project_id)
        if session.active_project_id != scope.project_id:
            session_actor = actor_of_session(session, request_id)
            await events.record(conn, session_actor, "project.selected", "project", scope.project_id, scope=scope)


async def list_sessions(db: Database, session: UserSession) -> list[UserSession]:
    """Return all active sessions of the account, the most recently used first."""
    async with db.transaction() as conn:
        return await session_queries.list_sessions(conn, session.user_id)


async def end_other_sessions(db: Database, session: UserSession, request_id: str | None = None) -> int:
    """End the account's other sessions; return how many."""
    async with db.transaction() as conn:
        ended = await session_queries.end_sessions(conn, session.user_id, kept_session=session.id_hash)
        if ended:
            payload = {"sessions": ended, "but_this": True}
            session_actor = actor_of_session(session, request_id)
            await events.record(conn, session_actor, "auth.sessions_ended", "user", session.user_id, payload=payload)
    return ended


def actor_of_session(session: UserSession, request_id: str | None) -> Actor:
    """Return the session's user as the actor of one request."""
    return Actor(session.username, session.user_id, session.is_owner, request_id)


async def _fetch_account(db: Database, username: str) -> UserAccount | None:
    async with db.transaction() as conn:
        return await queries.fetch_account(conn, username)


async def _complete_sign_in(
    db: Database, account: UserAccount, login: LoginAttempt, subjects: limits.RateLimitSubjects
) -> NewSession:
    async with db.transaction() as conn:
        await queries.refund_attempt(conn, subjects.address, subjects.username)
        new_session = await create_session(conn, account, login.replaces)
        actor = Actor(account.username, account.id, account.is_owner, login.request_id)
        await events.record(conn, actor, "auth.login", "user", account.id, payload={"address": subjects.address})
    return new_session


async def _record_failure(
    db: Database, account: UserAccount | None, login: LoginAttempt, subjects: limits.RateLimitSubjects
) -> None:
    # The rate limit bounds these events. An unknown username is not stored, since people type passwords there.
    payload = {"address": subjects.address, "username": account and account.username}
    async with db.transaction() as conn:
        stranger = events.anonymous_actor(login.request_id)
        await events.record(
            conn, stranger, "auth.login_failed", "user", account and account.id, status="failed", payload=payload
        )


async def create_session(conn: Conn, account: UserAccount, replaces: str | None) -> NewSession:
    """Create a session for an authenticated account; `replaces` is the token of an earlier session, which ends.

    Raises `InvalidCredentials` if the account was disabled or its password changed meanwhile.
    """
    token, csrf_token = secrets.token_urlsafe(32), csrf.create_token()
    await session_queries.delete_ended_sessions(conn)
    if replaces:
        await session_queries.delete_session(conn, _hash(replaces))
    project_id = await session_queries.find_initial_project(conn, account)
    if not await session_queries.insert_session(conn, _hash(token), account, csrf_token, project_id, LIFETIME_DAYS):
        raise InvalidCredentials("The username or the password is wrong.")
    return NewSession(token, csrf_token, account.username, project_id)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
