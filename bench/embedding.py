"""Embedding of chunks: claimed, embedded by a server with OpenAI's protocol, stored.

It measures `vectors.embed_pending`, after which search finds every chunk, and then the build of the project's vector
index. The floors are the server alone with the same batches, and copying the same vectors.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

import psycopg

from bench import database, dataset, upstream
from bench.figures import Curve, Figure, Measurements
from proofdesk.audit.events import system_actor
from proofdesk.database.pool import Database, open_database
from proofdesk.indexing import vector_index, vectors
from proofdesk.indexing.embeddings.openai import OpenAIModel
from proofdesk.jobs import new_projects
from proofdesk.projects import scope
from proofdesk.settings import Settings

CHUNKS = 10_000
GROWTH = (500, 5_000, 50_000)  # the smallest project needs no vector index
_OPTIONS = vectors.EmbeddingOptions.from_settings(Settings())


@dataclass(frozen=True)
class EmbeddingTimes:
    """Seconds until every chunk is stored, and until the project has its vector index."""

    chunks: int
    seconds: float
    indexed: float


async def measure(quick: bool) -> Measurements:
    """Measure embedding and the vector index, and their growth."""
    chunks = 1_000 if quick else CHUNKS
    with database.fresh() as url, upstream.running() as upstream_url:
        async with open_database(url, 8) as db:
            embedded, project_id = await _embed(db, url, upstream_url, chunks)
            alone, copied = await _server_alone(upstream_url, chunks), _copy(url, project_id)
            grown = [] if quick else [(await _embed(db, url, upstream_url, size))[0] for size in GROWTH]
    return Measurements([_figure(embedded, alone, copied)], _curves(grown) if grown else [])


def _curves(grown: Sequence[EmbeddingTimes]) -> list[Curve]:
    stored = [(times.chunks, times.seconds) for times in grown]
    indexes = [
        (times.chunks, times.indexed - times.seconds) for times in grown if times.chunks >= vector_index.BUILD_FROM
    ]
    return [
        Curve("embedding", "Time to embed chunks", "chunks", "s", stored),
        Curve("vector-index", "Time to build the vector index", "chunks", "s", indexes),
    ]


def _figure(embedded: EmbeddingTimes, alone: float, copied: float) -> Figure:
    rate = embedded.chunks / embedded.seconds
    return Figure(
        work=f"{embedded.chunks:,} chunks embedded, {upstream.DIMENSION:,} dimensions",
        goal="≥ 1,200 chunks/s stored and searchable",
        measured=f"{rate:,.0f} chunks/s; {embedded.chunks / embedded.indexed:,.0f} with the vector index",
        floor=f"the server alone {embedded.chunks / alone:,.0f}/s, copied {embedded.chunks / copied:,.0f}/s",
        times=embedded.seconds / (alone + copied),
        met=rate >= 1_200,
        limit=60,
    )


async def _embed(db: Database, url: str, upstream_url: str, chunks: int) -> tuple[EmbeddingTimes, UUID]:
    project = await new_projects.create(db, system_actor(), f"{chunks:,} chunks")
    project_scope = await scope.enter(db, system_actor(), project.id)
    with psycopg.connect(url, autocommit=True) as conn:
        await asyncio.to_thread(dataset.fill, conn, project.id, chunks, upstream.DIMENSION, embedded=False)
    provider = OpenAIModel(
        name="openai:text-embedding-3-small",
        model="text-embedding-3-small",
        dimension=upstream.DIMENSION,
        key="none",
        base_url=upstream_url,
        timeout=20,
    )
    began = time.perf_counter()
    totals = await vectors.embed_pending(db, project_scope, provider, _OPTIONS)
    stored = time.perf_counter()
    assert totals.processed == chunks, "every chunk has a vector"
    await vector_index.maintain_index(db, url, project_scope)
    indexed = time.perf_counter()
    await provider.aclose()
    return EmbeddingTimes(chunks, stored - began, indexed - began), project.id


async def _server_alone(upstream_url: str, chunks: int) -> float:
    """Return the seconds of the server for as many texts with the same concurrency, without parsing."""
    address = urlsplit(upstream_url)
    body = json.dumps({"input": ["x" * 200] * _OPTIONS.batch_size})
    waiting = iter(range(chunks // _OPTIONS.batch_size))
    head = f"POST /embeddings HTTP/1.1\r\nhost: bench\r\ncontent-length: {len(body)}\r\n\r\n"

    async def request() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for _ in waiting:
            writer.write((head + body).encode())
            head_bytes = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head_bytes.rpartition(b"content-length:")[2]))
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(request() for _ in range(_OPTIONS.concurrency)))
    return time.perf_counter() - began


def _copy(url: str, project_id: UUID) -> float:
    """Return the seconds to copy the stored vectors into a table with the same key."""
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
