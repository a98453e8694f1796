"""How long a session lasts, and how its use is stored."""

import asyncio

import psycopg
import pytest

from proofdesk.accounts import accounts, limits, session_queries, sessions
from proofdesk.accounts.sessions import InvalidCredentials, LoginAttempt
from proofdesk.database.pool import Database
from proofdesk.settings import Settings

SETTINGS = Settings(login_rate_limit_max_attempts=3)
LOGIN = LoginAttempt("amina", "long enough pw", "203.0.113.9")


@pytest.fixture
async def token(db: Database) -> str:
    await accounts.create(db, LOGIN.username, LOGIN.password)
    return (await sessions.sign_in(db, SETTINGS, LOGIN)).token


@pytest.mark.parametrize(
    "ended",
    ["expires_at = now()", "last_seen_at = now() - interval '3 days'"],
    ids=["after 14 days", "after 3 idle days"],
)
async def test_session_ends(db: Database, owner_conn: psycopg.Connection, token: str, ended: str):
    owner_conn.execute(f"UPDATE sessions SET {ended}".encode())
    assert await sessions.load_session(db, token) is None
    await sessions.sign_in(db, SETTINGS, LOGIN)
    assert owner_conn.execute("SELECT count(*) FROM sessions").fetchone() == (1,)


async def test_last_use_is_stored_once_a_minute(db: Database, owner_conn: psycopg.Connection, token: str):
    before = owner_conn.execute("SELECT last_seen_at, xmin FROM sessions").fetchone()
    await sessions.load_session(db, token)
    assert owner_conn.execute("SELECT last_seen_at, xmin FROM sessions").fetchone() == before
    owner_conn.execute("UPDATE sessions SET last_seen_at = now() - interval '2 minutes'")
    await sessions.load_session(db, token)
    fresh = owner_conn.execute("SELECT last_seen_at > now() - interval '30 seconds' FROM sessions").fetchone()
    assert fresh == (True,)


async def test_simultaneous_attempts_are_all_counted(db: Database, token: str):
    attempts = [sessions.sign_in(db, SETTINGS, LoginAttempt("amina", f"guess {n}", "203.0.113.7")) for n in range(10)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(error, InvalidCredentials) for error in results) == 3
    assert sum(isinstance(error, limits.LoginRateLimited) for error in results) == 7


async def test_addresses_of_one_ipv6_network_count_together():
    first, second = limits.rate_limit_subjects("2001:db8::1", "a"), limits.rate_limit_subjects("2001:db8::ffff:1", "A")
    assert first == second
    assert limits.rate_limit_subjects("unknown", "a").address == "unknown"


async def test_counters_are_deleted_after_a_day(db: Database, owner_conn: psycopg.Connection, token: str):
    owner_conn.execute("UPDATE rate_limits SET window_started_at = now() - interval '25 hours'")
    async with db.transaction() as conn:
        await session_queries.delete_ended_sessions(conn)
    assert owner_conn.execute("SELECT count(*) FROM rate_limits").fetchone() == (0,)
