"""The connection pool, and transactions with or without a project.

Round trips are few: the statements that open a transaction are sent together, and a connection is tested before use
only if the server seems to have closed it.
"""

import asyncio
import contextlib
import select
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Protocol
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from proofdesk.database import errors
from proofdesk.database.poolers import WrongSession
from proofdesk.database.rows import Conn, flatten
from proofdesk.database.sessions import APP_ROLE, ConnectionRefusals, DatabaseSession
from proofdesk.errors import Unavailable

__all__ = ["APP_ROLE", "GENERIC_PLAN", "NO_SETTINGS", "ClosedDatabase", "Database", "ScopeLike", "open_database"]
NO_SETTINGS: Mapping[str, object] = {}
GENERIC_PLAN: Mapping[str, object] = {"plan_cache_mode": "force_generic_plan"}
"""For statements whose generic plan suits all parameters: planning them takes longer than reading a page."""
_TIMEOUT_AFTER_REFUSAL = 2.0  # seconds; meanwhile a new connection is tried, since the pooler may have been repaired
_BEGINNING = sql.SQL("BEGIN; SET LOCAL proofdesk.project_id = {}")


class ScopeLike(Protocol):
    """Anything that names a project."""

    @property
    def project_id(self) -> UUID: ...


class Database:
    """A pool whose connections have the application role, which is bound by row-level security."""

    def __init__(self, pool: AsyncConnectionPool[DatabaseSession], refusals: ConnectionRefusals | None = None):
        self.pool = pool
        self._refusals = refusals or ConnectionRefusals()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[DatabaseSession]:
        """Open a transaction without a project. Rows of projects are not visible in it.

        Raises `Unavailable` when no connection is available.
        """
        async with self._opened(sql.SQL("BEGIN")) as conn:
            yield conn

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[DatabaseSession]:
        """Open a connection without a project for a single statement, which is a transaction by itself."""
        async with self._opened() as conn:
            yield conn

    @asynccontextmanager
    async def scoped(self, scope: ScopeLike, settings: Mapping[str, object] = NO_SETTINGS) -> AsyncIterator[Conn]:
        """Open a transaction in the project of `scope`. Row-level security shows the rows of this project only.

        `settings` are database settings for the transaction.
        """
        project = sql.Literal(str(scope.project_id))
        async with self._opened(_BEGINNING.format(project) + _local(*settings.items())) as conn:
            yield conn

    @asynccontextmanager
    async def pipelined(self, scope: ScopeLike, settings: Mapping[str, object]) -> AsyncIterator[Conn]:
        """Open a read-only transaction in the project of `scope`, as a pipeline.

        Statements are sent without waiting for the results of those before them, unless their rows are fetched.
        """
        async with self._opened() as conn, conn.pipeline():  # a pipeline is a transaction by itself
            await conn.execute(_set_for_transaction(*settings.items()), [str(scope.project_id)])
            yield conn

    @asynccontextmanager
    async def _opened(self, beginning: sql.Composable | None = None) -> AsyncIterator[DatabaseSession]:
        refused = self._refusals.newest
        try:
            async with self.pool.connection(timeout=_TIMEOUT_AFTER_REFUSAL if refused else None) as conn:
                if beginning:
                    await conn.execute(beginning.as_bytes(conn), prepare=False)
                yield conn  # the pool commits, or rolls back on an error
        except psycopg.Error as error:
            if isinstance(error, PoolTimeout) and (cause := self._refusals.cause()):
                raise cause from error
            if (unavailable := errors.classify(error)) is None:
                raise
            raise unavailable from error


class ClosedDatabase(Database):
    """A database that cannot be used: every transaction raises the reason at once."""

    def __init__(self, reason: Unavailable):
        self.reason = reason

    @asynccontextmanager
    async def _opened(self, beginning: sql.Composable | None = None) -> AsyncIterator[DatabaseSession]:
        raise self.reason
        yield


@asynccontextmanager
async def open_database(url: str, size: int, *, connect_timeout: float = 10) -> AsyncIterator[Database]:
    """Open a pool of at most `size` connections to a migrated database. `connect_timeout` is in seconds.

    Raises `WrongSession` when a session is not as required. Does not fail when the database is down: requests will wait
    for it.
    """
    refusals = ConnectionRefusals()
    pool: AsyncConnectionPool[DatabaseSession] = AsyncConnectionPool(
        url,
        connection_class=DatabaseSession,
        kwargs={"application_name": "proofdesk", "refusals": refusals},
        min_size=1,
        max_size=size,
        timeout=connect_timeout,
        open=False,
        check=_check_if_needed,
    )
    async with pool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(refusals.first_attempt.wait(), connect_timeout)
        if refusals.newest:
            raise refusals.newest
        yield Database(pool, refusals)


async def _check_if_needed(conn: DatabaseSession) -> None:
    """Raise when an idle connection cannot be used any more.

    A server sends data to an idle client only to close the connection. If the server vanished without notice, a test
    query would not return before the network times out. Behind a pooler, the session itself is verified.
    """
    if conn.behind_pooler:
        await _verify(conn)
        return
    incoming = select.poll()
    incoming.register(conn.fileno(), select.POLLIN)
    if incoming.poll(0):
        await AsyncConnectionPool.check_connection(conn)


async def _verify(conn: DatabaseSession) -> None:
    try:
        await conn.verify()
    except WrongSession as refusal:
        conn.refusals.record(refusal)
        await conn.close()
        raise


@cache
def _local(*settings: tuple[str, object]) -> sql.Composed:
    parts = [sql.SQL("; SET LOCAL {} = {}").format(sql.Identifier(*name.split(".")), value) for name, value in settings]
    return flatten(sql.Composed(parts))


@cache
def _set_for_transaction(*settings: tuple[str, object]) -> sql.Composed:
    """Return the settings as one statement, since a pipeline sends single statements. Its parameter is the project."""
    each = [sql.SQL("set_config({}, {}, true)").format(name, str(value)) for name, value in settings]
    project = sql.SQL("set_config('proofdesk.project_id', %s, true)")
    return flatten(sql.SQL("SELECT {}").format(sql.SQL(", ").join([project, *each])))
