"""Connection poolers, such as PgBouncer: whether a client keeps its server session for as long as it is connected.

Proofdesk needs that: for the role, for advisory locks and for LISTEN. With `pool_mode = session` it does; with
`transaction` or `statement` another client may get the server session after each transaction.
"""

import asyncio
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from proofdesk.errors import Unavailable

TIMEOUT = 3.0
"""Seconds. In session mode two connections take milliseconds; in transaction mode with one server connection the
second waits for the first."""
_ROUNDS = 3
REFUSES_TRANSACTIONS = "statement pooling mode"
"""What PgBouncer says to BEGIN with pool_mode = statement."""
_verified_urls: set[str] = set()
_Conn = psycopg.AsyncConnection[Any]

SHARED_SESSION = (
    "The database is behind a connection pooler that shares sessions among clients (PgBouncer with pool_mode ="
    " transaction or statement). Proofdesk needs a session of its own for its role, its locks and LISTEN: set"
    " pool_mode = session for this database, or connect to PostgreSQL directly."
)
_NO_SECOND = (
    "The connection pooler in front of the database gave no second session within {:.0f} seconds. Set pool_mode ="
    " session and a pool_size of at least the connections that Proofdesk opens (see docs/scaling.md)."
)


class WrongSession(Unavailable):
    """A connection does not act as Proofdesk needs it to, so nothing is run on it."""

    code = "database_unavailable"


async def require_session_mode(url: str) -> None:
    """Find out, once in a process, whether the pooler of `url` gives each client a session of its own.

    Raises `WrongSession` when it does not, `psycopg.Error` when it cannot be reached.
    """
    if url in _verified_urls:
        return
    try:
        async with await _connect(url) as one, await _connect(url) as other:
            comparing = asyncio.create_task(_compare(one, other))
            done, _ = await asyncio.wait([comparing], timeout=TIMEOUT)
            if not done:
                _hang_up(one, other)
                await asyncio.gather(comparing, return_exceptions=True)
                raise WrongSession(_NO_SECOND.format(TIMEOUT))
            comparing.result()
    except psycopg.Error as error:
        if REFUSES_TRANSACTIONS in str(error):
            raise WrongSession(SHARED_SESSION) from error
        raise
    _verified_urls.add(url)


def forget(url: str) -> None:
    """Look again at the next connection: the pooler was set to another mode while it ran."""
    _verified_urls.discard(url)


def require_session_mode_sync(url: str) -> None:
    """The same for callers without an event loop, or inside one that they hold up."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(require_session_mode(url))).result()


async def _compare(one: _Conn, other: _Conn) -> None:
    """While one client stays connected, no other may get its server session, and it never gets another one."""
    for _ in range(_ROUNDS):
        before, again = await _backend(one), await _backend(one)  # a pooler may take its sessions in turn
        await other.execute("BEGIN")
        taken, after = await _backend(other), await _backend(one)
        await other.execute("ROLLBACK")
        if taken == before or not before == again == after:
            raise WrongSession(SHARED_SESSION)


def _hang_up(*conns: _Conn) -> None:
    """End what waits for a pooler. To cancel it would take another connection, and its time."""
    for conn in conns:
        with socket.socket(fileno=os.dup(conn.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


async def _connect(url: str) -> _Conn:
    return await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=None)


async def _backend(conn: _Conn) -> int:
    row = await (await conn.execute("SELECT pg_backend_pid()")).fetchone()
    assert row is not None, "the statement gives a row"
    return row[0]
