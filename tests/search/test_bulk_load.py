"""Search after a bulk load, before autovacuum has gathered statistics, and the statistics that a run gathers."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import psycopg
import pytest
from pgvector import HalfVector

from proofdesk.database import vector_indexes
from proofdesk.database.pool import Database, open_database
from proofdesk.database.rows import Conn
from proofdesk.indexing import incremental, vector_index, vectors
from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.embeddings.local import LocalModel
from proofdesk.projects.scope import Scope
from proofdesk.search import queries, ranking_queries, results, semantic_queries
from proofdesk.search.queries import FilterParams, QueryVector, WeightedTerm
from proofdesk.search.ranking_queries import RankingParams
from proofdesk.search.results import SearchQuery
from tests.support.databases import copy_database
from tests.support.embedding import HOME, local_model
from tests.support.many_vectors import DIMENSION, put
from tests.support.plans import Plans, explained
from tests.support.projects import new_project
from tests.support.search_desk import SETTINGS, Desk

LOADED = 4000  # conversations of one chunk with a vector
MOST = 600  # rows that a search may read of any table
SEARCHED = ("cw_contacts", "cw_conversations", "cw_messages", "rag_chunks", "rag_vectors", "search_postings")
MODEL = QueryVector("one", DIMENSION, HalfVector([1.0] * DIMENSION))
RANKING = RankingParams(
    [WeightedTerm(0, "rare", 1.0, 10)], [WeightedTerm(1, "common", 1.0, 4000)], 9.0, 40, 10, MODEL, 10
)


@pytest.fixture
def loaded_url(server_url: str, worker_id: str) -> Iterator[str]:
    """A database without autovacuum."""
    url = copy_database(server_url, f"bulk_{worker_id}")
    with psycopg.connect(url, autocommit=True) as conn:
        for table in SEARCHED:
            conn.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false)".encode())
    yield url


@pytest.fixture
async def loaded(loaded_url: str) -> Scope:
    """A project after a bulk load, with a vector index but without statistics."""
    async with open_database(loaded_url, 2) as db:
        scope = await new_project(db, "Loaded")
        random = np.random.default_rng(5)
        with psycopg.connect(loaded_url, autocommit=True) as conn:
            put(conn, scope, MODEL.model, random.standard_normal((LOADED, DIMENSION)), analyze=False)
            conn.execute(_POSTINGS, {"p": scope.project_id, "s": scope.account_scope_id, "n": LOADED})
        async with vector_indexes.index_connection(loaded_url) as conn:
            await vector_indexes.build_index(conn, scope.project_id, MODEL.model, DIMENSION, LOADED)
        return scope


@pytest.mark.parametrize(
    "narrowing",
    [
        FilterParams(),
        FilterParams(status="open"),
        FilterParams(sender="contact"),
        FilterParams(excluded=[[["zebra"]]]),
    ],
)
@pytest.mark.fidelity(
    "PostgreSQL",
    "A table has no statistics after a bulk load until autovacuum runs.",
    "tried with PostgreSQL 18",
)
async def test_search_plan_does_not_depend_on_autovacuum(loaded_url: str, loaded: Scope, narrowing: FilterParams):
    async with explained(loaded_url, loaded, queries.transaction_settings(100, narrowing.is_set)) as (conn, plans):
        assert await _analyzed(conn) == set(), "nothing has gathered statistics"
        await semantic_queries.store_nearest_by_index(conn, loaded, MODEL, narrowing, 50)
        read = await _read(plans)
        assert vector_indexes.index_name(loaded.project_id, MODEL.model) in read
        await ranking_queries.select_best_chunks(conn, loaded, RANKING, narrowing)
        read += await _read(plans)
    assert {table: rows for table, rows in read.items() if rows > MOST} == {}


async def test_sorting_is_enabled_after_the_nearest_are_stored(loaded_url: str, loaded: Scope):
    async with explained(loaded_url, loaded, queries.transaction_settings(100, False)) as (conn, _):
        await semantic_queries.store_nearest_by_index(conn, loaded, MODEL, FilterParams(), 50)
        setting = await (await conn.execute("SHOW enable_sort")).fetchone()
        assert setting == ("on",)


async def test_embeddings_run_refreshes_statistics(
    desk: Desk, owner_conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
):
    for number in range(5):
        await desk.talk(f"My parcel number {number} has not arrived, it is two weeks late now")
    await incremental.index_conversations(desk.db, desk.scope, ChunkLimits(1000, 30))
    analyzed: list[int] = []

    class Watched(LocalModel):
        async def embed_documents(self, texts):
            analyzed.append(_times(owner_conn))
            return await super().embed_documents(texts)

    before = _times(owner_conn)
    await vectors.embed_pending(
        desk.db, desk.scope, Watched(HOME), vectors.EmbeddingOptions(batch_size=1, concurrency=1)
    )
    # Each time the number of batches has doubled, and at the end.
    assert [times - before for times in analyzed] == [0, 0, 1, 1, 2]
    assert _times(owner_conn) - before == 3


async def test_small_embeddings_run_does_not_analyze(desk: Desk, owner_conn: psycopg.Connection):
    for number in range(30):
        await desk.talk(f"My parcel number {number} has not arrived, it is two weeks late now")
    await desk.ready()
    await desk.talk("One more parcel of mine has not arrived, it is two weeks late now")
    before = _times(owner_conn)
    await desk.ready()
    assert _times(owner_conn) == before


async def test_keyword_indexing_analyzes_after_the_last_batch(
    desk: Desk, owner_conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(incremental, "BATCH", 1)
    for number in range(3):
        await desk.talk(f"My parcel number {number} has not arrived, it is two weeks late now")
    before = _times(owner_conn, "search_postings")
    await incremental.index_conversations(desk.db, desk.scope, ChunkLimits(1000, 30))
    assert _times(owner_conn, "search_postings") - before == 2, "after two batches and after the third"


async def test_search_uses_the_vector_index_of_the_project(
    desk: Desk, db: Database, database_url: str, owner_conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(vector_index, "BUILD_FROM", 2)
    calls: list[str] = []
    for name in ("store_nearest", "store_nearest_by_index"):
        monkeypatch.setattr(semantic_queries, name, _watched(name, getattr(semantic_queries, name), calls))
    for line in ("My parcel has not arrived, it is two weeks late", "The lamp is broken and I want my money back"):
        await desk.talk(line)
    await desk.ready()
    question = SearchQuery("where is my parcel")
    await results.search(db, desk.scope, local_model(), SETTINGS, question)
    assert calls == ["store_nearest"]
    await vector_index.maintain_index(db, database_url, desk.scope)
    found = await results.search(db, desk.scope, local_model(), SETTINGS, question)
    assert calls[1:] == ["store_nearest_by_index", "store_nearest"], "the first of them calls the second"
    assert found.results[0].conversation_id == 1
    owner_conn.execute(f"DROP INDEX {vector_indexes.index_name(desk.scope.project_id, local_model().name)}".encode())


def _watched(name, query, calls: list[str]):
    async def watched(*arguments) -> None:
        calls.append(name)
        await query(*arguments)

    return watched


def _times(conn: psycopg.Connection, table: str = "rag_vectors") -> int:
    """Return how often a table was analyzed by a statement."""
    row = conn.execute("SELECT analyze_count FROM pg_stat_user_tables WHERE relname = %s", [table]).fetchone()
    assert row is not None
    return row[0]


async def _analyzed(conn: Conn) -> set[str]:
    rows = await conn.execute("SELECT DISTINCT tablename FROM pg_stats WHERE tablename = ANY (%s)", [list(SEARCHED)])
    return {name for (name,) in await rows.fetchall()}


async def _read(plans: Plans) -> Counter[str]:
    """Return the rows read of each table, filtered rows included, and the indexes that were used."""
    read = Counter[str]()
    for node in await plans.nodes():
        left_out = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        rows = round((node["Actual Rows"] + left_out) * node["Actual Loops"])
        for name in {node[kind] for kind in ("Relation Name", "Index Name") if kind in node}:
            read[name] += rows
    return read


_POSTINGS = """
    INSERT INTO search_postings SELECT %(p)s, %(s)s, term, 1, n, 1, 9
    FROM generate_series(1, %(n)s) n, unnest(ARRAY['common', CASE WHEN n <= 10 THEN 'rare' END]) term
    WHERE term IS NOT NULL"""
