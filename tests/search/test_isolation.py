"""A search never returns anything of another project."""

from typing import Any

import pytest
from pgvector import HalfVector

from proofdesk.core import ids
from proofdesk.search import fusion, ranking_queries, semantic_queries
from proofdesk.search.queries import FilterParams, QueryVector, WeightedTerm
from proofdesk.search.ranking_queries import RankingParams
from tests.support.near import fetch_nearest, store_nearest
from tests.support.projects import new_project
from tests.support.search_desk import Desk

TEXT = "The violet submarine does not surface any more, please help"


@pytest.fixture
async def two(desk: Desk) -> tuple[Desk, Desk]:
    """Two projects with the same texts and ids."""
    other = Desk(desk.db, await new_project(desk.db, "Other"))
    for one in (desk, other):
        await one.talk(TEXT)
        await one.ready()
    await other.talk("A pelican of the other project ate the anchor yesterday", contact=("Waldemar", None, None))
    await other.ready()
    return desk, other


@pytest.mark.parametrize("mode", ["text", "vector", "hybrid"])
@pytest.mark.parametrize("compared", [0, 8000])
async def test_the_same_text_is_a_separate_hit_in_each_project(
    two: tuple[Desk, Desk], mode: str, compared: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fusion, "MAX_COMPARED_CHUNKS", compared)
    for one in two:
        results = (await one.ask("violet submarine pelican waldemar", mode)).results
        assert results
        assert {hit.id.split(":")[1] for hit in results} == {str(one.scope.project_id)}


async def test_terms_of_another_project_do_not_match(two: tuple[Desk, Desk]):
    assert [await two[0].found(word) for word in ("pelican", "Waldemar", "waldemarr")] == [[], [], []]


@pytest.mark.parametrize("kind", ["conversation", "contact"])
@pytest.mark.parametrize("mode", ["text", "hybrid"])
async def test_filter_by_an_id_of_another_project_has_no_hits(two: tuple[Desk, Desk], kind: Any, mode: str):
    desk, other = two
    prefix = ids.PREFIXES[kind]
    for foreign in (f"{prefix}:{other.scope.project_id}:1:1", f"{prefix}:{desk.scope.project_id}:9:1"):
        filters: dict[str, Any] = {kind: ids.parse(foreign, kind)}
        answer = await desk.ask("violet submarine", mode, **filters)
        assert answer.results == []
        assert answer.diagnosis is not None
        assert answer.diagnosis.code == "no_match"


async def test_row_level_security_alone_isolates_search(two: tuple[Desk, Desk]):
    """A statement with the other project, or with none, sees no rows of it."""
    desk, other = two
    for table in ("search_postings", "search_terms", "rag_vectors", "rag_chunks"):
        seen = await desk.rows(f"SELECT DISTINCT project_id FROM {table}")
        assert seen == [(desk.scope.project_id,)]
    async with desk.db.scoped(desk.scope) as conn:
        model = QueryVector("local:e5-small", 384, HalfVector([0.05] * 384))
        for store in (semantic_queries.store_nearest, semantic_queries.store_nearest_exact):
            await store(conn, other.scope, model, FilterParams(), 10)
            assert await fetch_nearest(conn) == []
        ranking = RankingParams([WeightedTerm(1, "lamp", 1.0, 1)], [], 9.0, 9, 9, model, 9)
        await store_nearest(conn, [(1, 1, 0.1)])
        found = await ranking_queries.select_best_chunks(conn, other.scope, ranking, FilterParams())
        assert await found.fetchall() == []
