"""Chunks on their way to be found by meaning: claimed, embedded by a service that speaks OpenAI's protocol, stored.

Measured is `vectors.embed_pending`, after which a search sees every chunk; the project's own index, which makes it
quick, comes after that. The floors are the service alone, asked for the same batches, and the same vectors copied.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

import psycopg

from bench import database, desk, upstream
from bench.figures import Curve, Figure, Measurements
from proofdesk.audit.events import system_actor
from proofdesk.database.pool import Database, open_database
from proofdesk.indexing import vector_index, vectors
from proofdesk.indexing.embeddings.openai import OpenAIModel
from proofdesk.jobs import new_projects
from proofdesk.projects import scope
from proofdesk.settings import Settings

CHUNKS = 10_000
GROWTH = (500, 5_000, 50_000)  # the first has no index of its own
_OPTIONS = vectors.EmbeddingOptions.from_settings(Settings())


@dataclass(frozen=True)
class Embedded:
    """Seconds until every chunk was stored, and until the project had its index."""

    chunks: int
    seconds: float
    indexed: float


async def measure(quick: bool) -> Measurements:
    """The row of the table about embeddings, and how they grow."""
    chunks = 1_000 if quick else CHUNKS
    with database.fresh() as url, upstream.running() as there:
        async with open_database(url, 8) as db:
            embedded, project_id = await _embedded(db, url, there, chunks)
            alone, copied = await _alone(there, chunks), _copy(url, project_id)
            grown = [] if quick else [(await _embedded(db, url, there, size))[0] for size in GROWTH]
    return Measurements([_figure(embedded, alone, copied)], _curves(grown) if grown else [])


def _curves(grown: Sequence[Embedded]) -> list[Curve]:
    stored = [(one.chunks, one.seconds) for one in grown]
    indexes = [(one.chunks, one.indexed - one.seconds) for one in grown if one.chunks >= vector_index.BUILD_FROM]
    return [
        Curve("embedding", "Time until chunks are found by meaning", "chunks", "s", stored),
        Curve("vector-index", "Time of the index over their vectors", "chunks", "s", indexes),
    ]


def _figure(embedded: Embedded, alone: float, copied: float) -> Figure:
    rate = embedded.chunks / embedded.seconds
    return Figure(
        work=f"{embedded.chunks:,} chunks embedded, {upstream.DIMENSION:,} dimensions",
        goal="≥ 1,200 chunks/s stored and searchable",
        measured=f"{rate:,.0f} chunks/s; {embedded.chunks / embedded.indexed:,.0f} with the project's own index",
        floor=f"the service alone {embedded.chunks / alone:,.0f}/s, copied {embedded.chunks / copied:,.0f}/s",
        times=embedded.seconds / (alone + copied),
        met=rate >= 1_200,
        at_most=60,
    )


async def _embedded(db: Database, url: str, there: str, chunks: int) -> tuple[Embedded, UUID]:
    made = await new_projects.create(db, system_actor(), f"{chunks:,} chunks")
    inside = await scope.enter(db, system_actor(), made.id)
    with psycopg.connect(url, autocommit=True) as conn:
        await asyncio.to_thread(desk.fill, conn, made.id, chunks, upstream.DIMENSION, embedded=False)
    provider = OpenAIModel(
        name="openai:text-embedding-3-small",
        model="text-embedding-3-small",
        dimension=upstream.DIMENSION,
        key="none",
        base_url=there,
        timeout=20,
    )
    began = time.perf_counter()
    done = await vectors.embed_pending(db, inside, provider, _OPTIONS)
    stored = time.perf_counter()
    assert done.processed == chunks, "every chunk has a vector"
    await vector_index.maintain_index(db, url, inside)
    indexed = time.perf_counter()
    await provider.aclose()
    return Embedded(chunks, stored - began, indexed - began), made.id


async def _alone(there: str, chunks: int) -> float:
    """Seconds for the service to answer for as many texts, as many requests at a time; nothing is read of it."""
    address = urlsplit(there)
    body = json.dumps({"input": ["x" * 200] * _OPTIONS.batch_size})
    waiting = iter(range(chunks // _OPTIONS.batch_size))
    head = f"POST /embeddings HTTP/1.1\r\nhost: bench\r\ncontent-length: {len(body)}\r\n\r\n"

    async def ask() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for _ in waiting:
            writer.write((head + body).encode())
            told = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(told.rpartition(b"content-length:")[2]))
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(_OPTIONS.concurrency)))
    return time.perf_counter() - began


def _copy(url: str, project_id: UUID) -> float:
    """Seconds for the stored vectors to be copied into a table with the same key."""
    with psycopg.connect(url, autocommit=True) as conn:
        stored = f"COPY (SELECT * FROM rag_vectors WHERE project_id = '{project_id}') TO STDOUT (FORMAT binary)"
        with conn.cursor().copy(stored.encode()) as copy:
            rows = [bytes(block) for block in copy]
        conn.execute("CREATE TABLE copied AS SELECT * FROM rag_vectors LIMIT 0")
        conn.execute("ALTER TABLE copied ADD PRIMARY KEY (project_id, account_id, message_id, chunk_index, model)")
        began = time.perf_counter()
        with conn.cursor().copy("COPY copied FROM STDIN (FORMAT binary)") as copy:
            for block in rows:
                copy.write(block)
        return time.perf_counter() - began
