"""Search in projects of 1,000, 10,000 and 100,000 chunks that share a database, and in a small one beside very many.

    python -m bench.search [--others 1000000]

Measured is `hits.find`, which the page and the API call, with a provider that answers at once. The floor is the bare
nearest-neighbour query of pgvector on the same rows; recall is that of the vectors alone, against comparing all.
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

from bench import database, desk
from bench.figures import Curve, Figure, Measurements, percentile, markdown_table
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
WARM_UP = 200  # other questions, asked first: connections live long, and a new one maps what it reads page by page
OTHER = 100_000  # chunks of each project beside
UNFILTERED = SearchFilters()
_SETTINGS = Settings(embedding_provider="local")
_BARE = (
    "SELECT message_id FROM rag_vectors WHERE project_id = '{project}' AND model = '{model}'"
    " ORDER BY embedding::halfvec({dimension}) <=> %s::halfvec({dimension}) LIMIT {most}"
)


@dataclass
class InstantProvider:
    """A provider that knows the vectors of its questions."""

    vectors: dict[str, list[float]]
    name: str = desk.MODEL
    dimension: int = DIMENSION
    max_batch: int = 1
    takes: int | None = None

    async def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        return [self.vectors[text] for text in texts]

    async def embed_query(self, text: str) -> list[float]:
        return self.vectors[text]

    async def aclose(self) -> None: ...


@dataclass(frozen=True)
class SearchTimes:
    """Milliseconds of each search and of each bare query, those of the processor for one search, and the recall."""

    searches: list[float]
    bare: list[float]
    processor: float
    recall: float


@dataclass(frozen=True)
class SearchBench:
    """A database to measure in."""

    url: str
    db: Database

    async def project(self, chunks: int) -> tuple[Scope, desk.Dataset]:
        """A project with that many chunks, every stage up to date."""
        inside, filled = await self.create_filled(chunks)
        await self.index_terms(inside)
        await self.index_vectors(inside)
        return inside, filled

    async def projects(self, number: int, chunks: int) -> None:
        """That many such projects. The vectors of one are indexed while the words of the next are."""
        before: list[Scope] = []
        for _ in range(number):
            inside, _ = await self.create_filled(chunks)
            await asyncio.gather(self.index_terms(inside), *map(self.index_vectors, before))
            before = [inside]
        await asyncio.gather(*map(self.index_vectors, before))

    async def create_filled(self, chunks: int) -> tuple[Scope, desk.Dataset]:
        """A project with that many chunks and their vectors."""
        made = await new_projects.create(self.db, system_actor(), f"{chunks:,} chunks")
        inside = await scope.enter(self.db, system_actor(), made.id)
        with psycopg.connect(self.url, autocommit=True) as conn:
            filled = await asyncio.to_thread(desk.fill, conn, made.id, chunks, DIMENSION)
        return inside, filled

    async def index_terms(self, inside: Scope) -> None:
        """Bring the words of a project up to date."""
        await index_conversations(self.db, inside, ChunkLimits.from_settings(Settings()))

    async def index_vectors(self, inside: Scope) -> None:
        """Give a project the index over its vectors, if it is large."""
        await vector_index.maintain_index(self.db, self.url, inside)

    async def measure(self, inside: Scope, filled: desk.Dataset) -> SearchTimes:
        """Ask the project its questions, and the bare query the same. Tables are first as autovacuum leaves them."""
        with psycopg.connect(self.url, autocommit=True) as conn:
            conn.execute("VACUUM ANALYZE")
        all_asked = filled.queries(WARM_UP + QUERIES)
        before, asked = all_asked[:WARM_UP], all_asked[WARM_UP:]
        provider = InstantProvider({text: vector.tolist() for text, vector in all_asked})
        await self._search(inside, provider, before)
        async with self._bare() as conn:
            for _, vector in before:
                await _nearest(conn, filled, vector, 10)
            server = psutil.Process(conn.info.backend_pid).parent()
            assert server is not None, "a connection is served by a child of the server"
            bare, found = [], []
            used = _processor(server)
            searches = await self._search(inside, provider, asked)
            processor = _processor(server) - used
            for _, vector in asked:
                started = time.perf_counter()
                found.append(await _nearest(conn, filled, vector, 10))
                bare.append((time.perf_counter() - started) * 1000)
        recall = _recall(filled, [vector for _, vector in asked], found)
        return SearchTimes(searches, bare, processor * 1000 / QUERIES, recall)

    async def measure_filtered(self, inside: Scope, filled: desk.Dataset, filters: SearchFilters) -> list[float]:
        """Milliseconds of each search with filters, in a project that was measured without."""
        asked = filled.queries(QUERIES // 2)
        provider = InstantProvider({text: vector.tolist() for text, vector in asked})
        await self._search(inside, provider, asked[:10], filters)
        return await self._search(inside, provider, asked, filters)

    async def _search(
        self,
        inside: Scope,
        provider: InstantProvider,
        asked: Sequence[tuple[str, np.ndarray]],
        filters: SearchFilters = UNFILTERED,
    ) -> list[float]:
        took = []
        for text, _ in asked:
            started = time.perf_counter()
            await results.search(self.db, inside, provider, _SETTINGS, SearchQuery(text, filters=filters))
            took.append((time.perf_counter() - started) * 1000)
        return took

    @asynccontextmanager
    async def _bare(self) -> AsyncIterator[Conn]:
        async with await psycopg.AsyncConnection.connect(self.url) as conn:
            for name, value in queries.transaction_settings(
                max(_SETTINGS.search_hnsw_ef_search, fusion.NEAREST_CHUNKS), False
            ).items():
                await conn.execute("SELECT set_config(%s, %s, false)", [name, str(value)])
            yield conn


async def measure(quick: bool, others: int = 1_000_000) -> Measurements:
    """The rows of the table about search."""
    sizes = QUICK if quick else SIZES
    with database.fresh() as url:
        async with open_database(url, 4) as db:
            return await _measure(SearchBench(url, db), sizes, 0 if quick else others)


async def _measure(bench: SearchBench, sizes: Sequence[int], others: int) -> Measurements:
    rows: list[Figure] = []
    made: list[tuple[Scope, desk.Dataset]] = []
    medians: list[tuple[int, float]] = []
    for chunks in sizes:
        made.append(await bench.project(chunks))
        found = await bench.measure(*made[-1])
        medians.append((chunks, percentile(found.searches, 50)))
        rows.append(_figure(f"hybrid search in {chunks:,} chunks", found, 6, 12, 0.99))
    since = SearchFilters(from_=desk.message_time(sizes[-1] * 99 // 100))
    for told, filters in ("of the last hundredth of the time", since), ("by contacts", SearchFilters(sender="contact")):
        rows.append(await _narrowed(bench, *made[-1], *medians[-1], told, filters))
    more = max(0, math.ceil((others - sum(sizes[1:])) / OTHER))
    await bench.projects(more, OTHER)
    held = sum(sizes[1:]) + more * OTHER
    beside = f"hybrid search in {sizes[0]:,} chunks while others hold {held:,}"
    rows.append(_figure(beside, await bench.measure(*made[0]), None, 12, 1.0))
    return Measurements(rows, [Curve("search", "Median time of a search", "chunks", "ms", medians)])


async def _narrowed(
    bench: SearchBench, inside: Scope, filled: desk.Dataset, chunks: int, median: float, told: str, filters: SearchFilters
) -> Figure:
    took = await bench.measure_filtered(inside, filled, filters)
    return Figure(
        work=f"hybrid search in {chunks:,} chunks, among those {told}",
        goal="",
        measured=f"p50 {percentile(took, 50):.1f} ms, p95 {percentile(took, 95):.1f} ms",
        floor=f"without a filter: p50 {median:.1f} ms",
        times=percentile(took, 50) / median,
    )


def _figure(work: str, found: SearchTimes, p50: float | None, p95: float, recall: float) -> Figure:
    took = percentile(found.searches, 50), percentile(found.searches, 95)
    floor = percentile(found.bare, 50), percentile(found.bare, 95)
    goal = f"p50 ≤ {p50} ms, p95 ≤ {p95} ms" if p50 else f"p95 ≤ {p95} ms"
    return Figure(
        work=work,
        goal=f"{goal}, recall@10 ≥ {recall}",
        measured=f"p50 {took[0]:.1f} ms, p95 {took[1]:.1f} ms, recall {found.recall:.3f},"
        f" {found.processor:.1f} ms of processor",
        floor=f"bare pgvector query: p50 {floor[0]:.1f} ms, p95 {floor[1]:.1f} ms",
        times=took[0] / floor[0],
        at_most=60,
        met=(p50 is None or took[0] <= p50) and took[1] <= p95 and found.recall >= recall,
    )


async def _nearest(conn: Conn, filled: desk.Dataset, vector: np.ndarray, most: int) -> list[int]:
    statement = _BARE.format(project=filled.project_id, model=desk.MODEL, dimension=DIMENSION, most=most)
    rows = await conn.execute(statement.encode(), [HalfVector(vector.tolist())])
    return [number for (number,) in await rows.fetchall()]


def _recall(filled: desk.Dataset, vectors: Sequence[np.ndarray], found: Sequence[Sequence[int]]) -> float:
    """The share of the ten nearest that were found; one as near as the tenth counts as well."""
    asked = np.stack(vectors)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    near = np.concatenate([asked @ _unit(part).T for _, part in filled.vectors()], axis=1)
    tenth = np.sort(near, axis=1)[:, -10]
    hit = [sum(near[n, number] >= tenth[n] - 1e-6 for number in numbers) for n, numbers in enumerate(found)]
    return sum(hit) / (10 * len(found))


def _unit(vectors: np.ndarray) -> np.ndarray:
    plain = vectors.astype(np.float32)
    return plain / np.linalg.norm(plain, axis=1, keepdims=True)


def _processor(server: psutil.Process) -> float:
    """Seconds of the processor that this process and those of the database server have used."""
    total = time.process_time()
    for process in server.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            used = process.cpu_times()
            total += used.user + used.system
    return total


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure search.")
    parser.add_argument("--others", type=int, default=1_000_000, help="chunks held beside those of the small project")
    print(markdown_table(asyncio.run(measure(False, parser.parse_args().others)).figures))


if __name__ == "__main__":
    main()
