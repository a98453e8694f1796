"""The database fuses the keyword ranking and the vector ranking."""

from collections.abc import Sequence

import pytest
from pgvector import HalfVector

from proofdesk.search.queries import FilterParams, QueryVector, WeightedTerm
from proofdesk.search.ranking_queries import KEYWORD_SHARE, Candidate, RankingParams, select_best_chunks
from tests.support.near import Near, store_nearest
from tests.support.search_desk import Desk

LAMP = WeightedTerm(1, "lamp", 2.0, 1)
NEAR = [(1, 1, 0.2), (1, 2, 0.4), (1, 3, 0.6)]


async def ranked(
    shop: Desk, terms: list[WeightedTerm], near: list[Near], common: Sequence[WeightedTerm] = (), **given: int
) -> list[Candidate]:
    """Return one chunk of each conversation, best first."""
    most = {"completed": 9, "by_words": 9, "wanted": 9} | given
    ranking = RankingParams(terms, common, 100.0, most["completed"], most["by_words"], None, most["wanted"])
    async with shop.db.scoped(shop.scope) as conn:
        await store_nearest(conn, near)
        found = await (await select_best_chunks(conn, shop.scope, ranking, FilterParams())).fetchall()
    return list({chunk.key: chunk for chunk in reversed(found)}.values())[::-1]


def told(found: list[Candidate]) -> list[tuple[int, float, int | None, int | None]]:
    return [(one.conversation_id, round(one.score, 6), one.by_words, one.by_meaning) for one in found]


async def test_vector_scores_range_from_1_nearest_to_0_farthest(shop: Desk):
    assert told(await ranked(shop, [], NEAR)) == [(1, 1.0, None, 1), (2, 0.5, None, 2), (3, 0.0, None, 3)]


async def test_best_keyword_match_scores_1(shop: Desk):
    assert told(await ranked(shop, [LAMP], [])) == [(5, 1.0, 1, None)]
    both = await ranked(shop, [LAMP, WeightedTerm(2, "pleas", 1.0, 3)], [])
    assert both[0].conversation_id == 5
    assert (both[0].score, both[-1].score) == (1.0, 0.0)


async def test_keywords_count_by_share_and_no_vector_is_farthest(shop: Desk):
    found = told(await ranked(shop, [LAMP], NEAR))
    rest = 1 - KEYWORD_SHARE
    assert found == [
        (5, KEYWORD_SHARE, 1, None),
        (1, round(rest, 6), None, 1),
        (2, round(rest / 2, 6), None, 2),
        (3, 0.0, None, 3),
    ]


async def test_candidate_of_both_rankings_gets_both_scores(shop: Desk):
    found = told(await ranked(shop, [LAMP], [*NEAR, (1, 5, 0.2)]))
    assert found[:2] == [(5, 1.0, 1, 1), (1, round(1 - KEYWORD_SHARE, 6), None, 2)]


@pytest.mark.parametrize("common", [False, True])
async def test_best_of_several_terms_for_a_word_counts(shop: Desk, common: bool):
    parcel = WeightedTerm(1, "parcel", 2.0, 1)
    of_one_word = [WeightedTerm(-2, term, 1.0, 1) for term in ("broken", "lamp", "refund")]
    of_three = [WeightedTerm(number, one.term, 1.0, 1) for number, one in enumerate(of_one_word, start=2)]
    for words, best in (([parcel, *of_one_word], 1), ([parcel, *of_three], 5)):
        near = [(1, 1, 0.3), (1, 5, 0.3)]
        found = await (ranked(shop, [], near, common=words) if common else ranked(shop, words, near))
        assert [one.conversation_id for one in found if one.by_words == 1] == [best]


async def test_candidates_and_hits_are_limited(shop: Desk):
    words = [LAMP, WeightedTerm(2, "invoic", 1.0, 2)]
    assert len(await ranked(shop, words, [])) == 3
    assert len(await ranked(shop, words, [], by_words=2)) == 2
    assert len(await ranked(shop, words, [], completed=1)) == 1
    assert len(await ranked(shop, words, NEAR, wanted=2)) == 2


async def test_keyword_candidates_get_a_vector_distance(shop: Desk):
    vector = (
        await shop.rows(
            "SELECT embedding::text, model FROM rag_vectors v JOIN rag_chunks k USING"
            " (project_id, account_id, message_id, chunk_index) WHERE conversation_id = 5"
        )
    )[0]
    model = QueryVector(vector[1], 256, HalfVector([float(n) for n in vector[0].strip("[]").split(",")]))
    ranking = RankingParams([LAMP], [], 100.0, 9, 9, model, 9)
    async with shop.db.scoped(shop.scope) as conn:
        await store_nearest(conn, NEAR)
        found = await (await select_best_chunks(conn, shop.scope, ranking, FilterParams())).fetchall()
    assert (found[0].conversation_id, found[0].by_words, found[0].by_meaning) == (5, 1, 1)


@pytest.mark.parametrize("terms", [[], [LAMP]])
async def test_no_match_has_no_hits(desk: Desk, terms: list[WeightedTerm]):
    assert await ranked(desk, terms, []) == []
