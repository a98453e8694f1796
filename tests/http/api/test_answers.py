"""The JSON of answers. The quality of answers is tested in tests/answers."""

from uuid import uuid4

import psycopg
import pytest

from tests.support import stories
from tests.support.server import Cast

FIELDS = {
    "id",
    "question",
    "asked_by",
    "status",
    "sentences",
    "superseded",
    "dropped",
    "mode",
    "model",
    "took_ms",
    "stale",
}


@pytest.fixture
async def answering(cast: Cast, db, owner_conn: psycopg.Connection) -> Cast:
    assert cast.member.project_id is not None
    stories.insert_conversations(owner_conn, cast.member.project_id)
    await stories.make_searchable(db, cast.member.project_id)
    return cast


async def test_answer_is_stored_listed_and_rated(answering: Cast):
    client = answering.member.client
    asked = await client.post("/answers", json={"question": "Has Amina Okafor received her refund?"})
    assert asked.status_code == 200, asked.text
    answer = asked.json()["answer"]
    assert answer.keys() >= FIELDS and answer["mode"] == "extractive" and answer["status"] in ("answered", "abstained")
    assert (answer["status"] == "answered") == bool(answer["sentences"]) == ("diagnosis" not in asked.json())
    for sentence in answer["sentences"]:
        for citation in sentence["citations"]:
            assert citation.keys() >= {
                "message_global_id",
                "quote",
                "sender_type",
                "sender_name",
                "created_at",
                "source_url",
            }
    rated = await client.post(f"/answers/{answer['id']}/feedback", json={"useful": True, "comment": "Good."})
    assert (rated.status_code, rated.json()["answer"]["useful"]) == (200, True)
    listed = (await client.get("/answers")).json()
    assert (listed["total"], listed["answers"][0]["id"]) == (1, answer["id"])
    assert (await client.get(f"/answers/{answer['id']}")).json()["answer"]["comment"] == "Good."


async def test_errors_of_answers_have_codes(cast: Cast):
    client = cast.member.client
    for question in (None, "", " ", 7, "x" * 2001):
        refused = await client.post("/answers", json={"question": question})
        assert (refused.status_code, refused.json()["error"]) == (400, "question_required")
    for path in (f"/answers/{uuid4()}", "/answers/none"):
        assert (await client.get(path)).json()["error"] == "answer_not_found"
        assert (await client.post(f"{path}/feedback", json={"useful": True})).json()["error"] == "answer_not_found"


async def test_other_projects_do_not_see_an_answer(answering: Cast):
    asked = await answering.member.client.post("/answers", json={"question": "Has Amina Okafor received her refund?"})
    answer_id = asked.json()["answer"]["id"]
    assert (await answering.stranger.client.get(f"/answers/{answer_id}")).status_code == 404
    assert (await answering.stranger.client.get("/answers")).json()["total"] == 0
