"""Strong hits are evidence; weak ones are only the nearest, and nonsense has none."""

import pytest

from proofdesk.indexing.embeddings import factory
from proofdesk.search import relevance
from proofdesk.search.keyword import QueryTerms
from proofdesk.search.queries import WeightedTerm
from proofdesk.search.relevance import CALIBRATIONS, HitSignals
from tests.support.embedding import settings
from tests.support.search_desk import Desk

KNOWN = QueryTerms([WeightedTerm(1, "lamp", 2.0, 3)], 1.0, ("english",), 2.0)
UNKNOWN = QueryTerms([], 1.0, ("english",), 2.0)
ADDRESS = QueryTerms([WeightedTerm(1, "anna@example.com", 2.0, 2)], 1.0, ("english",), 2.0)


def test_the_default_model_is_calibrated():
    assert factory.model_name(settings(embedding_provider="local")) in CALIBRATIONS


@pytest.mark.parametrize(
    ("model", "terms", "signals", "expected"),
    [
        ("local:e5-small", KNOWN, HitSignals(0.86, 0.0, None), "strong"),
        ("local:e5-small", KNOWN, HitSignals(0.82, 0.5, 1), "strong"),
        ("local:e5-small", KNOWN, HitSignals(0.80, 0.3, 1), "weak"),
        ("local:e5-small", UNKNOWN, HitSignals(0.86, 0.0, None), "weak"),
        ("local:e5-small", UNKNOWN, HitSignals(0.88, 0.0, None), "strong"),
        ("local:e5-small", KNOWN, HitSignals(0.70, 1.0, 1), "strong"),
        ("local:e5-small", ADDRESS, HitSignals(0.70, 0.0, 2), "strong"),
        ("local:e5-small", ADDRESS, HitSignals(0.70, 0.0, 3), "weak"),
        ("text-embedding-3-small", KNOWN, HitSignals(0.30, 0.0, None), "strong"),
        (None, KNOWN, HitSignals(None, 0.5, 1), "strong"),
        (None, KNOWN, HitSignals(None, 0.2, 1), "weak"),
    ],
)
def test_relevance_follows_meaning_and_words(model: str, terms: QueryTerms, signals: HitSignals, expected: str):
    assert relevance.judge(model, terms, signals) == expected


async def test_strong_hits_come_first_and_the_others_are_flagged(shop: Desk):
    answer = await shop.ask("money back for the broken lamp")
    kinds = [hit.relevance for hit in answer.results]
    assert answer.results[0].conversation_id == 5 and kinds[0] == "strong"
    assert kinds == sorted(kinds) and answer.diagnosis is None
    scores = [hit.score for hit in answer.results]
    assert scores == sorted(scores, reverse=True)


async def test_query_without_an_answer_has_only_weak_hits(shop: Desk):
    answer = await shop.ask("Which glaciers melted in Patagonia during the Pleistocene?")
    assert answer.results and {hit.relevance for hit in answer.results} == {"weak"}
    assert answer.diagnosis and answer.diagnosis.code == "no_match" and "No strong match" in answer.diagnosis.message


@pytest.mark.parametrize("mode", ["text", "hybrid"])
async def test_nonsense_has_no_hits(shop: Desk, mode: str):
    answer = await shop.ask("zzzzqqqq", mode)
    assert answer.results == [] and answer.diagnosis and answer.diagnosis.code == "no_match"


@pytest.mark.parametrize("query", ["bart@quigley.example", "Quigley", "INV-2026-0417"])
async def test_names_and_numbers_are_strong(shop: Desk, query: str):
    assert (await shop.ask(query)).results[0].relevance == "strong"


@pytest.mark.parametrize(("total", "share"), [(2.0, 1.0), (8.0, 0.25), (0.0, 1.0)])
def test_known_share_is_that_of_the_words_in_the_project(total: float, share: float):
    assert QueryTerms(KNOWN.terms, 1.0, (), total).known_share == share


async def test_keywords_weigh_less_when_the_project_lacks_the_words(shop: Desk):
    assert (await shop.first("Моя посылка всё ещё не пришла, please")).conversation_id == 1
