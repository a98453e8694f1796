"""A search without hits says why, and what to do."""

from typing import Any

import pytest

from proofdesk.search import results
from proofdesk.search.diagnosis import SearchDiagnosis
from proofdesk.search.results import SearchQuery
from tests.support.embedding import local_model
from tests.support.search_desk import SETTINGS, Desk


async def diagnosis(desk: Desk, text: str = "nothing", mode: Any = "hybrid", provider: Any = None) -> SearchDiagnosis:
    """Return the diagnosis of a search without hits."""
    answer = await results.search(desk.db, desk.scope, provider, SETTINGS, SearchQuery(text, mode=mode))
    assert answer.results == []
    assert answer.diagnosis is not None
    assert answer.diagnosis.runbook == "search-returns-no-results"
    assert answer.diagnosis.message
    return answer.diagnosis


async def test_empty_project_has_no_data(desk: Desk):
    found = await diagnosis(desk, provider=local_model())
    assert (found.code, found.counts["messages"]) == ("no_project_data", 0)


async def test_running_sync_is_reported_as_pending(desk: Desk):
    await desk.change(
        "INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger, status)"
        " VALUES (%(p)s, %(s)s, 'chatwoot_sync', 'manual', 'running')",
        p=desk.scope.project_id,
        s=desk.scope.account_scope_id,
    )
    assert (await diagnosis(desk, provider=local_model())).code == "sync_pending"


async def test_messages_without_chunks_are_reported_as_pending(desk: Desk):
    await desk.talk("Hello, where is my parcel?")
    assert (await diagnosis(desk, "parcel", provider=local_model())).code == "sync_pending"


@pytest.mark.parametrize(
    ("mode", "provider", "code"),
    [
        ("hybrid", local_model(), "embeddings_missing"),
        ("vector", local_model(), "embeddings_missing"),
        ("hybrid", None, "provider_not_configured"),
        ("vector", None, "provider_not_configured"),
        ("text", None, "no_match"),
    ],
)
async def test_missing_vectors_are_blamed_on_the_provider(desk: Desk, mode: str, provider: Any, code: str):
    await desk.talk("Hello, where is my parcel?")
    await desk.ready(embed=False)
    found = await diagnosis(desk, "wombat", mode, provider)
    assert (found.code, found.counts["chunks"], found.counts["embeddings_ready"]) == (code, 1, 0)


@pytest.mark.parametrize("mode", ["text", "vector", "hybrid"])
@pytest.mark.parametrize("query", ["?!… —", "\0", "\u0301"])
async def test_query_without_words_has_no_match(shop: Desk, mode: str, query: str):
    found = await diagnosis(shop, query, mode, local_model())
    assert found.code == "no_match"
    assert "no word" in found.message


async def test_unknown_words_have_no_match(shop: Desk):
    assert (await diagnosis(shop, "xylophone quux", "text", local_model())).code == "no_match"


async def test_result_with_hits_has_no_diagnosis(shop: Desk):
    assert (await shop.ask("lamp")).diagnosis is None
