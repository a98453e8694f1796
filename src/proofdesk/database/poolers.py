"""Check that a connection pooler, such as PgBouncer, gives each client a session of its own.

Proofdesk needs one for its role, for advisory locks and for LISTEN. With `pool_mode = session` it gets one; with
`transaction` or `statement`, another client may get the session after each transaction.
"""

import asyncio
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from proofdesk.errors import Unavailable

TIMEOUT = 3.0
"""Seconds. In session mode two connections take milliseconds. In transaction mode with one server connection, the
second waits for the first."""
_ROUNDS = 3
REFUSES_TRANSACTIONS = "statement pooling mode"
"""Part of PgBouncer's error for BEGIN with pool_mode = statement."""
_verified_urls: set[str] = set()
_Conn = psycopg.AsyncConnection[Any]

SHARED_SESSION = (
    "The connection pooler in front of the database shares sessions among clients (PgBouncer with pool_mode ="
    " transaction or statement). Proofdesk needs its own session for its role, its locks and LISTEN. Set"
    " pool_mode = session for this database, or connect to PostgreSQL directly."
)
_NO_SECOND = (
    "The connection pooler in front of the database did not open a second session within {:.0f} seconds."
    " Set pool_mode = session, and pool_size to at least the number of connections of Proofdesk (see docs/scaling.md)."
)


class WrongSession(Unavailable):
    """A session is not as Proofdesk requires, so no statement is executed in it."""

    code = "database_unavailable"


async def require_session_mode(url: str) -> None:
    """Check, once per process, that the pooler of `url` gives each client its own session.

    Raises `WrongSession` when it does not, and `psycopg.Error` when it cannot be reached.
    """
    if url in _verified_urls:
        return
    try:
        async with await _connect(url) as first, await _connect(url) as second:
            comparison = asyncio.create_task(_compare(first, second))
            done, _ = await asyncio.wait([comparison], timeout=TIMEOUT)
            if not done:
                _close_sockets(first, second)
                await asyncio.gather(comparison, return_exceptions=True)
                raise WrongSession(_NO_SECOND.format(TIMEOUT))
            comparison.result()
    except psycopg.Error as error:
        if REFUSES_TRANSACTIONS in str(error):
            raise WrongSession(SHARED_SESSION) from error
        raise
    _verified_urls.add(url)


def forget(url: str) -> None:
    """Check the pooler again at the next connection, since its mode may have changed."""
    _verified_urls.discard(url)


def require_session_mode_sync(url: str) -> None:
    """Call `require_session_mode` from synchronous code."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(require_session_mode(url))).result()


async def _compare(first: _Conn, second: _Conn) -> None:
    """Check that the first client keeps its session, and that the second client never gets it."""
    for _ in range(_ROUNDS):
        before, again = await _backend(first), await _backend(first)  # a pooler may rotate its sessions
        await second.execute("BEGIN")
        other, after = await _backend(second), await _backend(first)
        await second.execute("ROLLBACK")
        if other == before or not before == again == after:
            raise WrongSession(SHARED_SESSION)


def _close_sockets(*conns: _Conn) -> None:
    """Close connections that wait for a pooler. A cancel request would need another connection."""
    for conn in conns:
        with socket.socket(fileno=os.dup(conn.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


async def _connect(url: str) -> _Conn:
    return await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=None)


async def _backend(conn: _Conn) -> int:
    row = await (await conn.execute("SELECT pg_backend_pid()")).fetchone()
    assert row is not None, "the statement returns a row"
    return row[0]
