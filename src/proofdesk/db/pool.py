"""The pool of connections, and the two ways to open a transaction: with a project and without.

Each asks as little of the network as it can: what opens a transaction is sent at once, and a connection is tried before
it is used only when it looks as if the server had hung up.
"""

import select
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Protocol
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from proofdesk.db.rows import Conn, written
from proofdesk.errors import Unavailable

APP_ROLE = "proofdesk_app"
NOTHING: Mapping[str, object] = {}
PLANNED_ONCE: Mapping[str, object] = {"plan_cache_mode": "force_generic_plan"}
"""For statements whose plan is right for whatever they ask: planning takes longer than reading a page."""
_BEGINNING = sql.SQL("BEGIN; SET LOCAL proofdesk.project_id = {}")


class InProject(Protocol):
    """Anything that is inside one project."""

    @property
    def project_id(self) -> UUID: ...


class Database:
    """A pool whose connections act as the application role, which row-level security binds."""

    def __init__(self, pool: AsyncConnectionPool[Conn]):
        self.pool = pool

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Conn]:
        """One transaction without a project: rows of projects cannot be seen in it.

        Raises `Unavailable` when no connection can be had.
        """
        async with self._opened(sql.SQL("BEGIN")) as conn:
            yield conn

    @asynccontextmanager
    async def statement(self) -> AsyncIterator[Conn]:
        """The same for one single statement, which is a transaction by itself: nothing is sent before or after it."""
        async with self._opened() as conn:
            yield conn

    @asynccontextmanager
    async def scoped(self, scope: InProject, settings: Mapping[str, object] = NOTHING) -> AsyncIterator[Conn]:
        """One transaction inside the project of `scope`; row-level security shows its rows only.

        `settings` are those of the database that are to hold in it besides.
        """
        project = sql.Literal(str(scope.project_id))
        async with self._opened(_BEGINNING.format(project) + _local(*settings.items())) as conn:
            yield conn

    @asynccontextmanager
    async def pipelined(self, scope: InProject, settings: Mapping[str, object]) -> AsyncIterator[Conn]:
        """The same for reading, as a pipeline: what opens it is sent with the first statement, and a statement whose
        rows are not fetched at once is sent only, with what is executed next right behind it.
        """
        async with self._opened() as conn, conn.pipeline():  # which is a transaction by itself
            await conn.execute(_set_for_transaction(*settings.items()), [str(scope.project_id)])
            yield conn

    @asynccontextmanager
    async def _opened(self, beginning: sql.Composable | None = None) -> AsyncIterator[Conn]:
        try:
            async with self.pool.connection() as conn:
                if beginning:
                    await conn.execute(beginning.as_bytes(conn), prepare=False)
                yield conn  # the pool commits, or rolls back what failed
        except (PoolTimeout, psycopg.OperationalError) as error:
            raise Unavailable(
                f"The database cannot be reached: {_first_line(error)}.", code="database_unavailable"
            ) from error


@asynccontextmanager
async def connected(url: str, size: int, *, patience: float = 10) -> AsyncIterator[Database]:
    """Open a pool of at most `size` connections to a migrated database; `patience` is in seconds.

    The role is set in the start-up packet, so that no RESET within a session gives up the restriction.
    """
    pool: AsyncConnectionPool[Conn] = AsyncConnectionPool(
        url,
        kwargs={"options": f"-c role={APP_ROLE} -c timezone=UTC", "application_name": "proofdesk"},
        min_size=1,
        max_size=size,
        timeout=patience,
        open=False,
        configure=_leave_beginning_to_us,
        check=_tried_if_spoken_to,
    )
    async with pool:
        yield Database(pool)


async def _leave_beginning_to_us(conn: Conn) -> None:
    """The driver would begin each transaction in a round trip of its own."""
    await conn.set_autocommit(True)


async def _tried_if_spoken_to(conn: Conn) -> None:
    """Raises when a connection that was not in use is no connection any more.

    A server says something unasked only to take its leave. One that vanished without a word is not found by asking,
    either, before the network gives up.
    """
    spoken = select.poll()
    spoken.register(conn.fileno(), select.POLLIN)
    if spoken.poll(0):
        await AsyncConnectionPool.check_connection(conn)


@cache
def _local(*settings: tuple[str, object]) -> sql.Composed:
    parts = [sql.SQL("; SET LOCAL {} = {}").format(sql.Identifier(*name.split(".")), value) for name, value in settings]
    return written(sql.Composed(parts))


@cache
def _set_for_transaction(*settings: tuple[str, object]) -> sql.Composed:
    """The same as one statement, since several cannot be sent at once in a pipeline. Its parameter is the project."""
    each = [sql.SQL("set_config({}, {}, true)").format(name, str(value)) for name, value in settings]
    project = sql.SQL("set_config('proofdesk.project_id', %s, true)")
    return written(sql.SQL("SELECT {}").format(sql.SQL(", ").join([project, *each])))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
