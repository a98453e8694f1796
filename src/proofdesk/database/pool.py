"""The pool of connections, and the two ways to open a transaction: with a project and without.

Each asks as little of the network as it can: what opens a transaction is sent at once, and a connection is tried before
it is used only when it looks as if the server had hung up.
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

__all__ = ["APP_ROLE", "GENERIC_PLAN", "NO_SETTINGS", "Database", "ScopeLike", "open_database"]
NO_SETTINGS: Mapping[str, object] = {}
GENERIC_PLAN: Mapping[str, object] = {"plan_cache_mode": "force_generic_plan"}
"""For statements whose plan is right for whatever they ask: planning takes longer than reading a page."""
_AFTER_REFUSAL = 2.0  # seconds; a new connection is tried meanwhile, since somebody may have mended the pooler
_BEGINNING = sql.SQL("BEGIN; SET LOCAL proofdesk.project_id = {}")


class ScopeLike(Protocol):
    """Anything that is inside one project."""

    @property
    def project_id(self) -> UUID: ...


class Database:
    """A pool whose connections act as the application role, which row-level security binds."""

    def __init__(self, pool: AsyncConnectionPool[DatabaseSession], refusals: ConnectionRefusals | None = None):
        self.pool = pool
        self._refusals = refusals or ConnectionRefusals()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[DatabaseSession]:
        """One transaction without a project: rows of projects cannot be seen in it.

        Raises `Unavailable` when no connection can be had.
        """
        async with self._opened(sql.SQL("BEGIN")) as conn:
            yield conn

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[DatabaseSession]:
        """The same for one single statement, which is a transaction by itself: nothing is sent before or after it."""
        async with self._opened() as conn:
            yield conn

    @asynccontextmanager
    async def scoped(self, scope: ScopeLike, settings: Mapping[str, object] = NO_SETTINGS) -> AsyncIterator[Conn]:
        """One transaction inside the project of `scope`; row-level security shows its rows only.

        `settings` are those of the database that are to hold in it besides.
        """
        project = sql.Literal(str(scope.project_id))
        async with self._opened(_BEGINNING.format(project) + _local(*settings.items())) as conn:
            yield conn

    @asynccontextmanager
    async def pipelined(self, scope: ScopeLike, settings: Mapping[str, object]) -> AsyncIterator[Conn]:
        """The same for reading, as a pipeline: what opens it is sent with the first statement, and a statement whose
        rows are not fetched at once is sent only, with what is executed next right behind it.
        """
        async with self._opened() as conn, conn.pipeline():  # which is a transaction by itself
            await conn.execute(_set_for_transaction(*settings.items()), [str(scope.project_id)])
            yield conn

    @asynccontextmanager
    async def _opened(self, beginning: sql.Composable | None = None) -> AsyncIterator[DatabaseSession]:
        refused = self._refusals.newest
        try:
            async with self.pool.connection(timeout=_AFTER_REFUSAL if refused else None) as conn:
                if beginning:
                    await conn.execute(beginning.as_bytes(conn), prepare=False)
                yield conn  # the pool commits, or rolls back what failed
        except psycopg.Error as error:
            if isinstance(error, PoolTimeout) and self._refusals.newest:
                raise self._refusals.newest from error
            if (unavailable := errors.classify(error)) is None:
                raise
            raise unavailable from error


@asynccontextmanager
async def open_database(url: str, size: int, *, timeout: float = 10) -> AsyncIterator[Database]:
    """Open a pool of at most `size` connections to a migrated database; `patience` is in seconds.

    Raises `WrongSession` when its connections cannot act as they have to. A database that is away is waited for later.
    """
    refusals = ConnectionRefusals()
    pool: AsyncConnectionPool[DatabaseSession] = AsyncConnectionPool(
        url,
        connection_class=DatabaseSession,
        kwargs={"application_name": "proofdesk", "refusals": refusals},
        min_size=1,
        max_size=size,
        timeout=timeout,
        open=False,
        check=_check_if_needed,
    )
    async with pool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(refusals.first_attempt.wait(), timeout)
        if refusals.newest:
            raise refusals.newest
        yield Database(pool, refusals)


async def _check_if_needed(conn: DatabaseSession) -> None:
    """Raise when a connection that was not in use cannot be used any more.

    A server sends something unasked only to close the connection. One that vanished silently is not found by asking,
    either, before the network gives up. Behind a pooler, what is verified is the session itself.
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
    """The same as one statement, since several cannot be sent at once in a pipeline. Its parameter is the project."""
    each = [sql.SQL("set_config({}, {}, true)").format(name, str(value)) for name, value in settings]
    project = sql.SQL("set_config('proofdesk.project_id', %s, true)")
    return flatten(sql.SQL("SELECT {}").format(sql.SQL(", ").join([project, *each])))
