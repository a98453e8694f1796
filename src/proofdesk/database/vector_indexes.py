"""Builds and drops HNSW indexes over the vectors of one project and model.

Only the owner of a table can create an index, and not concurrently inside a transaction: this needs a connection of its
own. An advisory lock of the session lets one process at a time change indexes.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from psycopg import sql

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_value
from proofdesk.database.sessions import connect_as_owner_async

_LOCK = 0x50726F69  # advisory lock; the migrations use the number before it
EF_CONSTRUCTION = 128
"""Candidates per vector while the graph is built. With 64, pgvector's default, 2 of the 100 nearest were not found."""
_LEAST_MEMORY, _MOST_MEMORY = 64, 1024  # megabytes


@dataclass(frozen=True)
class VectorIndex:
    """An index in the database. An invalid one is being built, or its build failed."""

    name: str
    valid: bool


def index_name(project_id: UUID, model: str) -> str:
    """Return the name of the index over the vectors of a project and model."""
    return f"{_prefix(project_id)}{hashlib.sha256(model.encode()).hexdigest()[:12]}"


async def list_indexes(conn: Conn, project_id: UUID) -> list[VectorIndex]:
    """Return the vector indexes of a project. Every role may read them."""
    return await fetch_all(
        conn,
        VectorIndex,
        """
        SELECT c.relname::text AS name, i.indisvalid AS valid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = 'rag_vectors'::regclass AND starts_with(c.relname, %(prefix)s) ORDER BY 1""",
        prefix=_prefix(project_id),
    )


@asynccontextmanager
async def index_connection(owner_url: str) -> AsyncIterator[Conn]:
    """Open a connection of the owner, outside a transaction, that alone may change indexes.

    The lock is polled: a statement that waited for it would hold a snapshot, which a concurrent build waits for.
    """
    conn = await connect_as_owner_async(owner_url, "proofdesk-indexes")
    async with conn:
        while not await fetch_value(conn, "SELECT pg_try_advisory_lock(%(lock)s)", lock=_LOCK):  # noqa: ASYNC110
            await asyncio.sleep(0.5)  # another process builds
        yield conn


async def build_index(conn: Conn, project_id: UUID, model: str, dimension: int, vectors: int) -> None:
    """Create the index concurrently, without parallel workers: the other cores serve searches meanwhile."""
    memory = vectors * (2 * dimension + 800) // 2**20 + 1  # a graph that does not fit is built much slower
    await execute(
        conn,
        "SELECT set_config('maintenance_work_mem', %(memory)s, false), set_config('lock_timeout', '10min', false),"
        " set_config('max_parallel_maintenance_workers', '0', false)",
        memory=f"{min(max(memory, _LEAST_MEMORY), _MOST_MEMORY)}MB",
    )
    await conn.execute(
        sql.SQL(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON rag_vectors USING hnsw"
            " ((embedding::halfvec({dimension})) halfvec_cosine_ops) WITH (ef_construction = {ef_construction})"
            " WHERE project_id = {project} AND model = {model}"
        ).format(
            ef_construction=sql.Literal(EF_CONSTRUCTION),
            name=sql.Identifier(index_name(project_id, model)),
            dimension=sql.Literal(dimension),
            project=sql.Literal(project_id),
            model=sql.Literal(model),
        )
    )


async def drop_index(conn: Conn, name: str) -> None:
    """Drop an index concurrently."""
    await conn.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(name)))


def _prefix(project_id: UUID) -> str:
    return f"rag_vectors_{project_id.hex}_"
