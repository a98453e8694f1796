"""The JSON of search. The quality of its results is tested in tests/search."""

from typing import Any

import psycopg
import pytest

from proofdesk.database.pool import Database
from tests.support import stories
from tests.support.server import Cast


@pytest.fixture
async def searchable(cast: Cast, db: Database, owner_conn: psycopg.Connection) -> Cast:
    assert cast.member.project_id is not None
    stories.insert_conversations(owner_conn, cast.member.project_id)
    await stories.make_searchable(db, cast.member.project_id)
    return cast


async def test_a_search_answer_has_every_field(searchable: Cast):
    answer = await searchable.member.client.post("/search", json={"query": "refund", "mode": "text", "topK": 3})
    content, project = answer.json(), searchable.member.project_id
    assert answer.status_code == 200 and "diagnosis" not in content and "degraded" not in content
    assert (content["query"], content["topK"], content["mode"]) == ("refund", 3, "text")
    assert content["project_id"] == str(project) and content["account_scope_id"] and "embedding_model" in content
    assert content["search_config"] and content["took_ms"].keys() == {"embed", "query", "total"}
    first = content["results"][0]
    assert first.keys() >= {
        "id", "conversation_global_id", "message_global_id", "chunk_index", "text", "snippet", "created_at", "distance",
        "score", "relevance", "ranks", "sender_type", "contact", "inbox_id", "source_url", "evidence_ref",
    }  # fmt: skip
    assert first["conversation_global_id"] == f"cw:{project}:7:101"
    assert "[[refund]]" in first["snippet"] and first["created_at"].endswith("Z")
    assert first["contact"] == {"id": f"cwc:{project}:7:11", "name": "Amina Okafor"}


async def test_filters_narrow_the_search(searchable: Cast):
    async def matches(**filters: object) -> set[str]:
        body = {"query": "delivery refund password", "mode": "text", "topK": 50, "filters": filters}
        answer = await searchable.member.client.post("/search", json=body)
        assert answer.status_code == 200, answer.text
        return {hit["conversation_global_id"].rsplit(":")[-1] for hit in answer.json()["results"]}

    assert await matches() == {"101", "102"}
    assert (
        await matches(inbox_ids=[2]) == await matches(status="resolved") == await matches(labels=["login"]) == {"102"}
    )
    assert await matches(conversation_global_id=f"cw:{searchable.member.project_id}:7:101") == {"101"}
    assert await matches(to="2026-03-03") == {"101"} and await matches(**{"from": "2026-03-05"}) == set()
    assert await matches(conversation_global_id=f"cw:{searchable.stranger.project_id}:7:101") == set()


async def test_a_query_has_1_to_4000_characters(cast: Cast):
    for query in (None, "", "  ", "x" * 4001):
        answer = await cast.member.client.post("/search", json={"query": query})
        assert (answer.status_code, answer.json()["error"]) == (400, "query_required")
    assert (await cast.member.client.post("/search", json={"query": "x" * 4000, "mode": "text"})).status_code == 200


async def test_unknown_modes_and_limits_out_of_range_are_refused(cast: Cast):
    filters = ({"sender": "bot"}, {"contact_global_id": "cw:1"})
    for wrong in ({"topK": 51}, {"mode": "magic"}, *({"filters": value} for value in filters)):
        answer = await cast.member.client.post("/search", json={"query": "x"} | wrong)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), wrong


async def test_an_empty_answer_has_a_diagnosis(searchable: Cast):
    empty = (await searchable.stranger.client.post("/search", json={"query": "refund", "mode": "text"})).json()
    assert (empty["results"], empty["diagnosis"]["code"]) == ([], "no_project_data")
    assert empty["diagnosis"].keys() == {"code", "message", "runbook", "counts"}
    missed = (await searchable.member.client.post("/search", json={"query": "xylophone", "mode": "text"})).json()
    assert missed["diagnosis"]["code"] == "no_match"


async def test_filters_in_the_query_and_hints_about_others(searchable: Cast):
    async def ask(query: str) -> dict[str, Any]:
        body = {"query": query, "mode": "text", "topK": 50}
        return (await searchable.member.client.post("/search", json=body)).json()

    answer = await ask("delivery refund password label:login")
    assert {hit["conversation_id"] for hit in answer["results"]} == {102} and "hints" not in answer
    answer = await ask("refund colour:green")
    assert answer["results"] and "`colour:` is not a filter" in answer["hints"][0]
