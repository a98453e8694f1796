"""Search in projects of 1,000, 10,000 and 100,000 chunks in one database, and in a small project beside many others.

    python -m bench.search [--others 1000000]

It measures `results.search`, which the page and the API call, with a provider that responds immediately. The floor is
the bare nearest-neighbour query of pgvector on the same rows. Recall is that of the vector query, against an exact one.
"""

import argparse
import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import psutil
import psycopg
from pgvector import HalfVector

from bench import database, dataset
from bench.figures import Curve, Figure, Measurements, markdown_table, percentile
from proofdesk.audit.events import system_actor
from proofdesk.database.pool import Database, open_database
from proofdesk.database.rows import Conn
from proofdesk.indexing import vector_index
from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.incremental import index_conversations
from proofdesk.jobs import new_projects
from proofdesk.projects import scope
from proofdesk.projects.scope import Scope
from proofdesk.search import fusion, queries, results
from proofdesk.search.results import SearchFilters, SearchQuery
from proofdesk.settings import Settings

DIMENSION = 1536
SIZES = (1_000, 10_000, 100_000)
QUICK = (1_000, 3_000)
QUERIES = 200
WARM_UP = 200  # other queries, run first: connections live long, and a new one maps shared memory page by page
OTHER = 100_000  # chunks of each other project
UNFILTERED = SearchFilters()
_SETTINGS = Settings(embedding_provider="local")
_BARE = (
    "SELECT message_id FROM rag_vectors WHERE project_id = '{project}' AND model = '{model}'"
    " ORDER BY embedding::halfvec({dimension}) <=> %s::halfvec({dimension}) LIMIT {most}"
)


@dataclass
class InstantProvider:
    """A provider that has the vectors of all queries."""

    vectors: dict[str, list[float]]
    name: str = dataset.MODEL
    dimension: int = DIMENSION
    max_batch: int = 1
    learned_max_texts: int | None = None

    async def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        return [self.vectors[text] for text in texts]

    async def embed_query(self, text: str) -> list[float]:
        return self.vectors[text]

    async def aclose(self) -> None: ...


@dataclass(frozen=True)
class SearchTimes:
    """Milliseconds of each search and of each bare query, CPU milliseconds per search, and the recall."""

    searches: list[float]
    bare: list[float]
    processor: float
    recall: float


@dataclass(frozen=True)
class SearchBench:
    """A database with generated projects."""

    url: str
    db: Database

    async def project(self, chunks: int) -> tuple[Scope, dataset.Dataset]:
        """Create a project with this many chunks and all indexes."""
        project_scope, filled = await self.create_filled(chunks)
        await self.index_terms(project_scope)
        await self.index_vectors(project_scope)
        return project_scope, filled

    async def projects(self, number: int, chunks: int) -> None:
        """Create several such projects. The vector index of one is built while the terms of the next are."""
        before: list[Scope] = []
        for _ in range(number):
            project_scope, _ = await self.create_filled(chunks)
            await asyncio.gather(self.index_terms(project_scope), *map(self.index_vectors, before))
            before = [project_scope]
        await asyncio.gather(*map(self.index_vectors, before))

    async def create_filled(self, chunks: int) -> tuple[Scope, dataset.Dataset]:
        """Create a project with this many chunks and their vectors."""
        made = await new_projects.create(self.db, system_actor(), f"{chunks:,} chunks")
        project_scope = await scope.enter(self.db, system_actor(), made.id)
        with psycopg.connect(self.url, autocommit=True) as conn:
            filled = await asyncio.to_thread(dataset.fill, conn, made.id, chunks, DIMENSION)
        return project_scope, filled

    async def index_terms(self, project_scope: Scope) -> None:
        """Build the keyword index of a project."""
        await index_conversations(self.db, project_scope, ChunkLimits.from_settings(Settings()))

    async def index_vectors(self, project_scope: Scope) -> None:
        """Build the vector index of a project, if it is large."""
        await vector_index.maintain_index(self.db, self.url, project_scope)

    async def measure(self, project_scope: Scope, filled: dataset.Dataset) -> SearchTimes:
        """Run the queries through search and through the bare query, after a VACUUM."""
        with psycopg.connect(self.url, autocommit=True) as conn:
            conn.execute("VACUUM ANALYZE")
        all_queries = filled.queries(WARM_UP + QUERIES)
        warm_up, measured = all_queries[:WARM_UP], all_queries[WARM_UP:]
        provider = InstantProvider({text: vector.tolist() for text, vector in all_queries})
        await self._search(project_scope, provider, warm_up)
        async with self._bare() as conn:
            for _, vector in warm_up:
                await _nearest(conn, filled, vector, 10)
            server = psutil.Process(conn.info.backend_pid).parent()
            assert server is not None, "a connection is served by a child of the server"
            bare, nearest = [], []
            used = _processor(server)
            searches = await self._search(project_scope, provider, measured)
            processor = _processor(server) - used
            for _, vector in measured:
                started = time.perf_counter()
                nearest.append(await _nearest(conn, filled, vector, 10))
                bare.append((time.perf_counter() - started) * 1000)
        recall = _recall(filled, [vector for _, vector in measured], nearest)
        return SearchTimes(searches, bare, processor * 1000 / QUERIES, recall)

    async def measure_filtered(
        self, project_scope: Scope, filled: dataset.Dataset, filters: SearchFilters
    ) -> list[float]:
        """Return the milliseconds of each search with filters."""
        search_queries = filled.queries(QUERIES // 2)
        provider = InstantProvider({text: vector.tolist() for text, vector in search_queries})
        await self._search(project_scope, provider, search_queries[:10], filters)
        return await self._search(project_scope, provider, search_queries, filters)

    async def _search(
        self,
        project_scope: Scope,
        provider: InstantProvider,
        search_queries: Sequence[tuple[str, np.ndarray]],
        filters: SearchFilters = UNFILTERED,
    ) -> list[float]:
        milliseconds = []
        for text, _ in search_queries:
            started = time.perf_counter()
            await results.search(self.db, project_scope, provider, _SETTINGS, SearchQuery(text, filters=filters))
            milliseconds.append((time.perf_counter() - started) * 1000)
        return milliseconds

    @asynccontextmanager
    async def _bare(self) -> AsyncIterator[Conn]:
        async with await psycopg.AsyncConnection.connect(self.url) as conn:
            for name, value in queries.transaction_settings(
                max(_SETTINGS.search_hnsw_ef_search, fusion.NEAREST_CHUNKS), False
            ).items():
                await conn.execute("SELECT set_config(%s, %s, false)", [name, str(value)])
            yield conn


async def measure(quick: bool, others: int = 1_000_000) -> Measurements:
    """Measure search by project size, with filters, and beside other projects."""
    sizes = QUICK if quick else SIZES
    with database.fresh() as url:
        async with open_database(url, 4) as db:
            return await _measure(SearchBench(url, db), sizes, 0 if quick else others)


async def _measure(bench: SearchBench, sizes: Sequence[int], others: int) -> Measurements:
    rows: list[Figure] = []
    projects: list[tuple[Scope, dataset.Dataset]] = []
    medians: list[tuple[int, float]] = []
    for chunks in sizes:
        projects.append(await bench.project(chunks))
        times = await bench.measure(*projects[-1])
        medians.append((chunks, percentile(times.searches, 50)))
        rows.append(_figure(f"hybrid search in {chunks:,} chunks", times, 6, 12, 0.99))
    since = SearchFilters(from_=dataset.message_time(sizes[-1] * 99 // 100))
    for description, filters in (
        ("messages of the last percent of the time", since),
        ("messages of contacts", SearchFilters(sender="contact")),
    ):
        rows.append(await _filtered_figure(bench, *projects[-1], *medians[-1], description, filters))
    more = max(0, math.ceil((others - sum(sizes[1:])) / OTHER))
    await bench.projects(more, OTHER)
    other_chunks = sum(sizes[1:]) + more * OTHER
    beside = f"hybrid search in {sizes[0]:,} chunks beside {other_chunks:,} of other projects"
    rows.append(_figure(beside, await bench.measure(*projects[0]), None, 12, 1.0))
    return Measurements(rows, [Curve("search", "Median time of a search", "chunks", "ms", medians)])


async def _filtered_figure(
    bench: SearchBench,
    project_scope: Scope,
    filled: dataset.Dataset,
    chunks: int,
    median: float,
    description: str,
    filters: SearchFilters,
) -> Figure:
    milliseconds = await bench.measure_filtered(project_scope, filled, filters)
    return Figure(
        work=f"hybrid search in {chunks:,} chunks, only {description}",
        goal="",
        measured=f"p50 {percentile(milliseconds, 50):.1f} ms, p95 {percentile(milliseconds, 95):.1f} ms",
        floor=f"without a filter: p50 {median:.1f} ms",
        times=percentile(milliseconds, 50) / median,
    )


def _figure(work: str, times: SearchTimes, p50: float | None, p95: float, recall: float) -> Figure:
    milliseconds = percentile(times.searches, 50), percentile(times.searches, 95)
    floor = percentile(times.bare, 50), percentile(times.bare, 95)
    goal = f"p50 ≤ {p50} ms, p95 ≤ {p95} ms" if p50 else f"p95 ≤ {p95} ms"
    return Figure(
        work=work,
        goal=f"{goal}, recall@10 ≥ {recall}",
        measured=f"p50 {milliseconds[0]:.1f} ms, p95 {milliseconds[1]:.1f} ms, recall {times.recall:.3f},"
        f" {times.processor:.1f} ms of CPU time",
        floor=f"bare pgvector query: p50 {floor[0]:.1f} ms, p95 {floor[1]:.1f} ms",
        times=milliseconds[0] / floor[0],
        limit=60,
        met=(p50 is None or milliseconds[0] <= p50) and milliseconds[1] <= p95 and times.recall >= recall,
    )


async def _nearest(conn: Conn, filled: dataset.Dataset, vector: np.ndarray, most: int) -> list[int]:
    statement = _BARE.format(project=filled.project_id, model=dataset.MODEL, dimension=DIMENSION, most=most)
    rows = await conn.execute(statement.encode(), [HalfVector(vector.tolist())])
    return [number for (number,) in await rows.fetchall()]


def _recall(filled: dataset.Dataset, vectors: Sequence[np.ndarray], nearest: Sequence[Sequence[int]]) -> float:
    """Return the share of the ten nearest that were found. A chunk as near as the tenth counts as found."""
    query_vectors = np.stack(vectors)
    query_vectors /= np.linalg.norm(query_vectors, axis=1, keepdims=True)
    near = np.concatenate([query_vectors @ _unit(part).T for _, part in filled.vectors()], axis=1)
    tenth = np.sort(near, axis=1)[:, -10]
    hits = [sum(near[n, number] >= tenth[n] - 1e-6 for number in numbers) for n, numbers in enumerate(nearest)]
    return sum(hits) / (10 * len(nearest))


def _unit(vectors: np.ndarray) -> np.ndarray:
    plain = vectors.astype(np.float32)
    return plain / np.linalg.norm(plain, axis=1, keepdims=True)


def _processor(server: psutil.Process) -> float:
    """Return the CPU seconds that this process and those of the database server have used."""
    total = time.process_time()
    for process in server.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            used = process.cpu_times()
            total += used.user + used.system
    return total


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure search.")
    parser.add_argument("--others", type=int, default=1_000_000, help="chunks of other projects beside the small one")
    print(markdown_table(asyncio.run(measure(False, parser.parse_args().others)).figures))


if __name__ == "__main__":
    main()
