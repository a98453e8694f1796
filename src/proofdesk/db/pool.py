"""The pool of connections, and the two ways to open a transaction: with a project and without."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol
from uuid import UUID

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from proofdesk.db.rows import Conn
from proofdesk.errors import Unavailable

APP_ROLE = "proofdesk_app"


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
        try:
            async with self.pool.connection() as conn:
                yield conn
        except (PoolTimeout, psycopg.OperationalError) as error:
            raise Unavailable(
                f"The database cannot be reached: {_first_line(error)}.", code="database_unavailable"
            ) from error

    @asynccontextmanager
    async def scoped(self, scope: InProject) -> AsyncIterator[Conn]:
        """One transaction inside the project of `scope`; row-level security shows its rows only."""
        async with self.transaction() as conn:
            await conn.execute("SELECT set_config('proofdesk.project_id', %s, true)", [str(scope.project_id)])
            yield conn


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
        check=AsyncConnectionPool.check_connection,
    )
    async with pool:
        yield Database(pool)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
