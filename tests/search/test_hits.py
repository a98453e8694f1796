"""Hits: their fields, their order, filters, and search without a provider."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from proofdesk.core import ids
from proofdesk.core.embedding_models import E5_SMALL
from proofdesk.errors import Unavailable
from proofdesk.indexing.embeddings.local import DIMENSIONS
from proofdesk.indexing.embeddings.provider import ProviderFailed
from proofdesk.search import fusion
from proofdesk.search import results as search_results
from proofdesk.search.results import SearchQuery
from tests.support.search_desk import SETTINGS, START, Desk


class Broken:
    """A provider that is never available."""

    name, dimension, max_batch = E5_SMALL, DIMENSIONS[E5_SMALL], 10
    learned_max_texts: int | None = None

    async def embed_query(self, text: str) -> Sequence[float]:
        raise ProviderFailed("The key was refused.", details={"upstream": {"status": 401}})

    async def embed_documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        raise ProviderFailed("The key was refused.")

    async def aclose(self) -> None: ...


async def test_hit_has_every_field_of_the_contract(shop: Desk):
    answer = await shop.ask("refund of euros on card")
    hit = answer.results[0]
    project = shop.scope.project_id
    assert hit.id == f"cwmsg:{project}:1:501#0"
    assert hit.conversation_global_id == f"cw:{project}:1:5"
    assert hit.message_global_id == f"cwmsg:{project}:1:501"
    assert (hit.sender_type, hit.sender_name, hit.inbox_id, hit.inbox_name) == ("agent", "Ben", 2, "Inbox 2")
    assert hit.contact == {"id": f"cwc:{project}:1:2", "name": "Bartholomew Quigley"}
    assert hit.source_url == "https://desk.example.com/app/accounts/1/conversations/5?messageId=501"
    assert hit.evidence_ref["source"] == "rag_chunks"
    assert hit.evidence_ref["ref"] == hit.id
    assert "[[" not in hit.evidence_ref["snippet"]
    assert hit.ranks["text"] == 1
    assert hit.distance is not None
    assert (hit.created_at, hit.conversation_status) == (START + timedelta(days=5, minutes=1), "resolved")
    assert set(answer.took_ms) == {"embed", "query", "total"}
    assert (answer.embedding_model, answer.degraded, answer.diagnosis) == (E5_SMALL, None, None)


async def test_vector_search_finds_text_without_shared_words(shop: Desk):
    hit = await shop.first("shipment delayed", "vector")
    assert hit.conversation_id == 1
    assert hit.ranks == {"vector": 1, "text": None}
    assert "[[" not in hit.snippet


async def test_keyword_candidates_are_compared_by_vector_too(shop: Desk, monkeypatch):
    monkeypatch.setattr(fusion, "NEAREST_CHUNKS", 1)
    monkeypatch.setattr(fusion, "CANDIDATES_PER_HIT", 0)
    brought_up = [hit for hit in (await shop.ask("refund of euros for the lamp")).results if hit.ranks["text"]]
    assert len({hit.conversation_id for hit in brought_up}) > 1
    assert all(hit.ranks["vector"] for hit in brought_up)


async def test_text_search_has_no_distances(shop: Desk):
    hit = await shop.first("lamp", "text")
    assert (hit.distance, hit.ranks) == (None, {"vector": None, "text": 1})


async def test_hits_alternate_between_conversations_with_falling_scores(desk: Desk):
    await desk.talk(*[f"The printer prints page number {n} of the document twice" for n in range(6)])
    await desk.talk("My printer is offline and does not print anything at all")
    await desk.ready()
    results = (await desk.ask("printer prints twice", top_k=5)).results
    assert {hit.conversation_id for hit in results[:2]} == {1, 2}
    assert [hit.conversation_id for hit in results[2:]] == [1, 1, 1]
    scores = [hit.score for hit in results]
    assert scores == sorted(scores, reverse=True)
    assert len({hit.id for hit in results}) == 5


async def test_top_k_limits_the_hits(shop: Desk):
    assert [len((await shop.ask("please", top_k=k)).results) for k in (1, 3)] == [1, 3]


async def test_chunks_of_one_conversation_are_ranked(shop: Desk):
    conversation = ids.parse(ids.conversation(shop.scope.project_id, 1, 5), "conversation")
    results = (await shop.ask("five days", conversation=conversation)).results
    assert [hit.message_global_id.rpartition(":")[2] for hit in results] == ["501", "500"]


@pytest.mark.parametrize("mode", ["text", "vector", "hybrid"])
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"inbox_ids": [2]}, {5}),
        ({"labels": ["vip", "none"]}, {5}),
        ({"status": "resolved"}, {5}),
        ({"from_": START + timedelta(days=5, hours=-1), "to": START + timedelta(days=5, hours=1)}, {5}),
        ({"inbox_ids": [1], "status": "resolved"}, set()),
        ({"labels": ["no such label"]}, set()),
    ],
)
async def test_filters_keep_matching_hits_only(shop: Desk, mode: str, filters: dict[str, Any], expected: set[int]):
    assert set(await shop.found("money back for the lamp please", mode, **filters)) == expected


@pytest.mark.parametrize("sender", ["contact", "agent"])
@pytest.mark.parametrize("mode", ["text", "vector", "hybrid"])
async def test_sender_filter_shows_messages_of_that_sender(shop: Desk, sender: str, mode: str):
    results = (await shop.ask("the app version size card", mode, sender=sender)).results
    assert {hit.sender_type for hit in results} == {sender}


async def test_text_search_hit_within_filters_holds_a_query_word(shop: Desk):
    assert await shop.found("lamp", sender="agent") == []
    assert await shop.found("euros", sender="agent") == [5]


async def test_contact_filter_finds_that_contact_only(shop: Desk):
    contact = ids.parse(f"cwc:{shop.scope.project_id}:1:2", "contact")
    assert set(await shop.found("size of the invoice", "hybrid", contact=contact)) == {5}


async def test_narrow_filter_still_fills_the_list(desk: Desk, monkeypatch):
    monkeypatch.setattr(fusion, "KEYWORD_CANDIDATES", 5)
    monkeypatch.setattr(fusion, "NEAREST_CHUNKS", 5)
    monkeypatch.setattr(fusion, "MAX_COMPARED_CHUNKS", 0)  # uses the vector index, as in a large project
    for number in range(40):
        await desk.talk("Where is my parcel with the blue vase?", inbox=2 if number % 10 == 0 else 1)
    await desk.ready()
    for mode in ("text", "vector", "hybrid"):
        assert len(await desk.found("where is my parcel", mode, inbox_ids=[2], top_k=4)) == 4


async def test_text_without_embedding_is_found_by_keywords(shop: Desk):
    number = await shop.talk("The ceiling projector hums a strange tune at night")
    await shop.ready(embed=False)
    hit = await shop.first("projector hums")
    assert (hit.conversation_id, hit.distance) == (number, None)


async def test_hybrid_without_provider_uses_keywords_and_is_degraded(shop: Desk):
    await shop.change("DELETE FROM rag_models")
    answer = await search_results.search(shop.db, shop.scope, None, SETTINGS, SearchQuery("broken lamp"))
    assert [hit.conversation_id for hit in answer.results] == [5]
    assert (answer.degraded, answer.embedding_model) == ("embedding_unavailable", None)


async def test_hybrid_uses_keywords_when_the_provider_fails(shop: Desk):
    answer = await search_results.search(shop.db, shop.scope, Broken(), SETTINGS, SearchQuery("broken lamp"))
    assert [hit.conversation_id for hit in answer.results] == [5]
    assert answer.degraded == "embedding_unavailable"


async def test_vector_search_reports_why_the_provider_failed(shop: Desk):
    with pytest.raises(Unavailable) as caught:
        await search_results.search(shop.db, shop.scope, Broken(), SETTINGS, SearchQuery("broken lamp", mode="vector"))
    assert (caught.value.code, caught.value.configured) == ("embedding_unavailable", True)


async def test_text_search_needs_no_provider(shop: Desk):
    answer = await search_results.search(
        shop.db, shop.scope, Broken(), SETTINGS, SearchQuery("broken lamp", mode="text")
    )
    assert (answer.degraded, answer.results[0].conversation_id) == (None, 5)


async def test_previous_model_serves_while_a_new_one_is_built(shop: Desk):
    class New(Broken):
        name = "openai:new@256"

    answer = await search_results.search(
        shop.db, shop.scope, New(), SETTINGS, SearchQuery("shipment delayed", mode="vector")
    )
    assert (answer.embedding_model, answer.results[0].conversation_id) == (E5_SMALL, 1)
