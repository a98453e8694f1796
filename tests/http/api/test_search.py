"""Search, over HTTP: what the JSON looks like. How well it finds is tested with the room."""

import psycopg
import pytest

from proofdesk.database.pool import Database
from tests.support import stories
from tests.support.server import Cast


@pytest.fixture
async def told(cast: Cast, db: Database, owner_conn: psycopg.Connection) -> Cast:
    assert cast.member.project_id is not None
    stories.tell(owner_conn, cast.member.project_id)
    await stories.make_searchable(db, cast.member.project_id)
    return cast


async def test_a_search_answer_has_every_field(told: Cast):
    answer = await told.member.client.post("/search", json={"query": "refund", "mode": "text", "topK": 3})
    found, project = answer.json(), told.member.project_id
    assert answer.status_code == 200 and "diagnosis" not in found and "degraded" not in found
    assert (found["query"], found["topK"], found["mode"]) == ("refund", 3, "text")
    assert found["project_id"] == str(project) and found["account_scope_id"] and "embedding_model" in found
    assert found["search_config"] and found["took_ms"].keys() == {"embed", "query", "total"}
    first = found["results"][0]
    assert first.keys() >= {
        "id", "conversation_global_id", "message_global_id", "chunk_index", "text", "snippet", "created_at", "distance",
        "score", "ranks", "sender_type", "contact", "inbox_id", "source_url", "evidence_ref",
    }  # fmt: skip
    assert first["conversation_global_id"] == f"cw:{project}:7:101"
    assert "[[refund]]" in first["snippet"] and first["created_at"].endswith("Z")
    assert first["contact"] == {"id": f"cwc:{project}:7:11", "name": "Amina Okafor"}


async def test_filters_narrow_the_search(told: Cast):
    async def found(**filters: object) -> set[str]:
        body = {"query": "delivery refund password", "mode": "text", "topK": 50, "filters": filters}
        answer = await told.member.client.post("/search", json=body)
        assert answer.status_code == 200, answer.text
        return {hit["conversation_global_id"].rsplit(":")[-1] for hit in answer.json()["results"]}

    assert await found() == {"101", "102"}
    assert await found(inbox_ids=[2]) == await found(status="resolved") == await found(labels=["login"]) == {"102"}
    assert await found(conversation_global_id=f"cw:{told.member.project_id}:7:101") == {"101"}
    assert await found(to="2026-03-03") == {"101"} and await found(**{"from": "2026-03-05"}) == set()
    assert await found(conversation_global_id=f"cw:{told.stranger.project_id}:7:101") == set()


async def test_a_query_has_1_to_4000_characters(cast: Cast):
    for query in (None, "", "  ", "x" * 4001):
        answer = await cast.member.client.post("/search", json={"query": query})
        assert (answer.status_code, answer.json()["error"]) == (400, "query_required")
    assert (await cast.member.client.post("/search", json={"query": "x" * 4000, "mode": "text"})).status_code == 200


async def test_unknown_modes_and_limits_out_of_range_are_refused(cast: Cast):
    filters = ({"sender": "bot"}, {"contact_global_id": "cw:1"})
    for wrong in ({"topK": 51}, {"mode": "magic"}, *({"filters": one} for one in filters)):
        answer = await cast.member.client.post("/search", json={"query": "x"} | wrong)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), wrong


async def test_an_empty_answer_has_a_diagnosis(told: Cast):
    empty = (await told.stranger.client.post("/search", json={"query": "refund", "mode": "text"})).json()
    assert (empty["results"], empty["diagnosis"]["code"]) == ([], "no_project_data")
    assert empty["diagnosis"].keys() == {"code", "message", "runbook", "counts"}
    missed = (await told.member.client.post("/search", json={"query": "xylophone", "mode": "text"})).json()
    assert missed["diagnosis"]["code"] == "no_match"
