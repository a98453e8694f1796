"""The indexes over vectors: one for each project and model that holds many.

Only the owner of the tables can make an index, and none can be made concurrently inside a transaction: this is done on
a connection of its own. One process at a time does it, under a lock of the session, which ends with the session.
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

_LOCK = 0x50726F69  # the number after that of the migrations
EF_CONSTRUCTION = 128
"""Candidates looked at for a vector as the graph is built. With pgvector's 64, 2 of 100 nearest were out of reach."""
_LEAST_MEMORY, _MOST_MEMORY = 64, 1024  # megabytes


@dataclass(frozen=True)
class VectorIndex:
    """An index as the database has it. One that is not `valid` is being built, or was given up."""

    name: str
    valid: bool


def index_name(project_id: UUID, model: str) -> str:
    """The name of the index over the vectors that a project has by a model."""
    return f"{_prefix(project_id)}{hashlib.sha256(model.encode()).hexdigest()[:12]}"


async def list_indexes(conn: Conn, project_id: UUID) -> list[VectorIndex]:
    """The indexes of a project. Anybody may ask."""
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
    """A connection of the owner outside of transactions; nobody else changes indexes while it is open.

    Nothing waits for the lock inside the database: a statement that waits there would hold up whoever builds.
    """
    conn = await connect_as_owner_async(owner_url, "proofdesk-indexes")
    async with conn:
        while not await fetch_value(conn, "SELECT pg_try_advisory_lock(%(lock)s)", lock=_LOCK):  # noqa: ASYNC110
            await asyncio.sleep(0.5)  # for another process
        yield conn


async def build_index(conn: Conn, project_id: UUID, model: str, dimension: int, vectors: int) -> None:
    """Make the index while others read and write. In one process: the other core is for those who search meanwhile."""
    memory = vectors * (2 * dimension + 800) // 2**20 + 1  # a graph that does not fit is built many times slower
    await execute(
        conn,
        "SELECT set_config('maintenance_work_mem', %(memory)s, false), set_config('lock_timeout', '10min', false),"
        " set_config('max_parallel_maintenance_workers', '0', false)",
        memory=f"{min(max(memory, _LEAST_MEMORY), _MOST_MEMORY)}MB",
    )
    await conn.execute(
        sql.SQL(
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON rag_vectors USING hnsw"
            " ((embedding::halfvec({dimension})) halfvec_cosine_ops) WITH (ef_construction = {breadth})"
            " WHERE project_id = {project} AND model = {model}"
        ).format(
            breadth=sql.Literal(EF_CONSTRUCTION),
            name=sql.Identifier(index_name(project_id, model)),
            dimension=sql.Literal(dimension),
            project=sql.Literal(project_id),
            model=sql.Literal(model),
        )
    )


async def drop_index(conn: Conn, name: str) -> None:
    """Remove an index while others read and write."""
    await conn.execute(sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(sql.Identifier(name)))


def _prefix(project_id: UUID) -> str:
    return f"rag_vectors_{project_id.hex}_"
