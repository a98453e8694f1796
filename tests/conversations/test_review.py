"""Imported contacts, conversations and messages over HTTP."""

import psycopg
import pytest

from proofdesk.conversations import messages
from tests.support import stories
from tests.support.server import Cast


@pytest.fixture
def told(cast: Cast, owner_conn: psycopg.Connection) -> Cast:
    assert cast.member.project_id is not None
    stories.insert_conversations(owner_conn, cast.member.project_id)
    return cast


async def test_contacts_are_listed_and_searched(told: Cast):
    get = told.member.client.get
    listed = (await get("/contacts")).json()["contacts"]
    assert {c["name"] for c in listed} == {"Amina Okafor", "Luis Marin"}
    assert listed[0].keys() == {
        "id", "account_id", "contact_id", "name", "email", "phone_number", "identifier", "updated_at",
    }  # fmt: skip
    found = (await get("/contacts", params={"q": "AMINA@"})).json()["contacts"]
    assert [c["id"] for c in found] == [f"cwc:{told.member.project_id}:7:11"]
    for literal in ("%", "_", "\\", "100%"):
        assert (await get("/contacts", params={"q": literal})).json()["contacts"] == []
    assert len((await get("/contacts?limit=1&offset=1")).json()["contacts"]) == 1


async def test_conversations_are_listed_and_filtered(told: Cast):
    get = told.member.client.get
    listed = (await get("/conversations")).json()["conversations"]
    assert [c["conversation_id"] for c in listed] == [102, 101]
    first = listed[1]
    assert first["id"] == f"cw:{told.member.project_id}:7:101"
    assert first["contact_global_id"] == f"cwc:{told.member.project_id}:7:11"
    assert (first["inbox_name"], first["contact_name"]) == ("Website chat", "Amina Okafor")
    assert first["labels"] == ["delivery", "vip"]
    assert [c["conversation_id"] for c in (await get("/conversations?inbox_id=2")).json()["conversations"]] == [102]
    assert [c["conversation_id"] for c in (await get("/conversations?status=open")).json()["conversations"]] == [101]
    assert (await get("/conversations?inbox_id=no")).status_code == 400


async def test_messages_are_listed_newest_first_in_pages(told: Cast):
    get, conversation = told.member.client.get, f"cw:{told.member.project_id}:7:101"
    listed = (await get("/messages", params={"conversation_global_id": conversation})).json()["messages"]
    assert [m["id"].rsplit(":")[-1] for m in listed] == ["10105", "10104", "10103", "10102", "10101", "10100"]
    assert [m["private"] for m in listed].count(True) == 1
    assert listed[0]["conversation_global_id"] == conversation
    for before in (listed[2]["created_at"], listed[2]["id"], listed[2]["created_at"].replace("Z", "+00:00")):
        asked = {"conversation_global_id": conversation, "before": before, "limit": 2}
        page = (await get("/messages", params=asked)).json()
        assert [m["id"] for m in page["messages"]] == [m["id"] for m in listed[3:5]]
    assert len((await get("/messages")).json()["messages"]) == 9
    for wrong in ("yesterday", "cwmsg:x"):
        assert (await get("/messages", params={"before": wrong})).status_code == 400


async def test_thread_is_the_whole_conversation_in_order(told: Cast):
    thread = (await told.member.client.get(f"/conversations/cw:{told.member.project_id}:7:101/thread")).json()
    assert thread["conversation"]["conversation_id"] == 101
    assert [m["content"] for m in thread["messages"]] == [w.text for w in stories.DELIVERY]
    assert thread["messages"][0]["sender_name"] == "Amina Okafor" and thread["messages"][0]["attachments"] == []


async def test_stranger_sees_no_conversations_of_a_project(told: Cast):
    get, project = told.stranger.client.get, told.member.project_id
    thread = await get(f"/conversations/cw:{project}:7:101/thread")
    assert (thread.status_code, thread.json()["error"]) == (404, "conversation_not_found")
    # The same numbers do not exist in the stranger's own project either.
    assert (await get(f"/conversations/cw:{told.stranger.project_id}:7:101/thread")).status_code == 404
    assert (await get("/messages", params={"conversation_global_id": f"cw:{project}:7:101"})).json()["messages"] == []
    assert (await get("/messages", params={"before": f"cwmsg:{project}:7:10103"})).status_code == 404
    for path in ("/contacts", "/conversations", "/messages"):
        assert (await get(path)).json()[path[1:]] == []


def test_snippet_is_one_line_of_limited_length():
    assert messages.snippet(" a\n\n b ") == "a b"
    assert messages.snippet(None) == ""
    assert len(messages.snippet("x" * 1000)) == messages.SNIPPET_LENGTH


async def test_status_counts_imported_entities(told: Cast):
    status = (await told.member.client.get("/jobs/status")).json()
    assert status["entities"] == {"contacts": 2, "conversations": 2, "messages": 9, "rag_chunks": 0}
    assert status["storage"]["scoped_logical_bytes"] > 1000
