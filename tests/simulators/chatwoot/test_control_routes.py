"""The controls over HTTP."""

from typing import Any

import httpx2
import pytest

from proofdesk_simulators.chatwoot import ChatwootSimulator

CONTROL = "http://chatwoot/_simulator"


def act(client: httpx2.Client, action: str, **arguments: Any) -> Any:
    answer = client.post(f"{CONTROL}/actions/{action}", json=arguments)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_export_equals_what_the_api_returns(client: httpx2.Client, simulator: ChatwootSimulator):
    truth = client.get(f"{CONTROL}/truth").json()
    shown = client.get("/conversations/101").json()
    assert truth["counts"]["conversations"] == 62
    assert next(row for row in truth["conversations"] if row["id"] == 101) | {"meta": 0} == shown | {"meta": 0}
    mine = [row for row in truth["messages"] if row["conversation_id"] == 101]
    listed = client.get("/conversations/101/messages?after=0").json()["payload"]
    assert [row["id"] for row in mine] == [row["id"] for row in listed]
    assert mine[0]["content_attributes"] == listed[0]["content_attributes"]
    mail = truth["by_inbox"][1]
    assert mail["highest_message_id"] == max(
        row.messages[-1].id for row in simulator.account().conversations.values() if row.inbox.id == 2
    )


def test_the_export_can_omit_rows(client: httpx2.Client):
    assert set(client.get(f"{CONTROL}/truth?rows=false").json()) == {"account_id", "counts", "by_inbox"}


def test_faults_throttles_and_shifts_are_set_listed_and_cleared(client: httpx2.Client):
    client.post(f"{CONTROL}/faults", json={"kind": "502", "every": 2, "path": "*/labels"})
    assert [client.get("/labels").status_code for _ in range(2)] == [200, 502]
    client.post(f"{CONTROL}/throttles", json={"scope": "ip", "limit": 1})
    shift = {"action": "append_message", "arguments": {"conversation_id": 101, "content": "moved"}, "times": 1}
    client.post(f"{CONTROL}/shifts", json=shift)
    state = client.get(f"{CONTROL}/state").json()
    assert (len(state["faults"]), len(state["throttles"]), len(state["shifts"])) == (1, 1, 1)
    client.get("/conversations")
    assert client.get("/agents").status_code == 429
    assert client.post(f"{CONTROL}/reset").json() == {}
    assert client.get("/conversations/101").json()["messages"][0]["content"] == "moved"
    assert client.get(f"{CONTROL}/state").json()["faults"] == []


def test_control_requests_are_not_logged(client: httpx2.Client):
    client.get("/conversations?page=3")
    log = client.get(f"{CONTROL}/requests", params={"path": "*/conversations"}).json()
    assert log["count"] == 1
    assert (log["requests"][0]["query"], log["requests"][0]["status"]) == ("page=3", 200)
    client.delete(f"{CONTROL}/requests")
    assert client.get(f"{CONTROL}/requests").json()["count"] == 0


def test_messages_are_appended_held_released_and_deleted(client: httpx2.Client):
    held = act(client, "append_message", conversation_id=101, content="slow", held=True)
    quick = act(client, "append_message", conversation_id=101, content="quick", message_type="outgoing")
    assert held["id"] < quick["id"]
    assert client.get(f"{CONTROL}/state").json()["held_messages"] == [held["id"]]
    act(client, "release_message", message_id=held["id"])
    pair = act(client, "append_in_one_second", conversation_id=101, contents=["a", "b"])
    assert pair[0]["created_at"] == pair[1]["created_at"]
    assert act(client, "delete_message", message_id=quick["id"])["content_attributes"] == {"deleted": True}
    assert act(client, "set_message_status", message_id=held["id"], status="failed")["status"] == "failed"
    act(client, "remove_message", message_id=pair[0]["id"])
    ids = [row["id"] for row in client.get("/conversations/101/messages").json()["payload"]][-3:]
    assert ids == [held["id"], quick["id"], pair[1]["id"]]


def test_conversations_are_created_changed_and_deleted(client: httpx2.Client):
    made = act(client, "create_conversation", inbox_id=1, content="hello", gap=3)
    assert made["id"] == 176
    assert act(client, "set_status", conversation_id=176, status="pending")["status"] == "pending"
    assert act(client, "assign", conversation_id=176, user_id=2)["meta"]["assignee"]["id"] == 2
    assert act(client, "set_labels", conversation_id=176, titles=["logo"])["labels"] == ["logo"]
    assert act(client, "set_priority", conversation_id=176, priority="low")["priority"] == "low"
    act(client, "delete_conversation", conversation_id=176)
    assert client.get("/conversations/176").status_code == 404


def test_contacts_are_renamed_and_merged(client: httpx2.Client):
    assert act(client, "rename_contact", contact_id=1, name="Olivier")["name"] == "Olivier"
    assert act(client, "update_contact", contact_id=1, values={"blocked": True})["blocked"] is True
    assert act(client, "merge_contacts", base_id=1, mergee_id=2)["id"] == 1
    assert client.get("/contacts/2").status_code == 404


def test_defects_are_added_and_cleared(client: httpx2.Client):
    act(client, "break_conversation", conversation_id=101, values={"created_at": "31 February"}, missing=["id"])
    row = client.get("/conversations/101").json()
    assert (row["created_at"], "id" in row) == ("31 February", False)
    raw = '{"conversation_id": 101, "content": "\\ud83d"}'
    answer = client.post(f"{CONTROL}/actions/append_message", content=raw)
    act(client, "break_message", message_id=answer.json()["id"], values={"created_at": -1})
    assert client.get("/conversations/101/messages").json()["payload"][-1]["created_at"] == -1
    act(client, "clear_defects")
    assert client.get("/conversations/101").json()["id"] == 101


def test_switches_locale_and_clock_are_set(client: httpx2.Client, simulator: ChatwootSimulator):
    answer = client.patch(f"{CONTROL}/switches", json={"page_size": 3, "locale": "ru"}).json()
    assert (answer["page_size"], simulator.account().locale) == (3, "ru")
    client.post(f"{CONTROL}/clock", json={"freeze_at": 1_795_300_000, "advance": 5})
    assert simulator.clock.now() == 1_795_300_005
    client.post(f"{CONTROL}/clock", json={"run": True})
    assert simulator.clock.now() != 1_795_300_005


def test_deliveries_are_listed_and_the_queue_is_configured(client: httpx2.Client, simulator: ChatwootSimulator):
    assert client.patch(f"{CONTROL}/deliveries", json={"paused": True}).json()["paused"] is True
    client.post("/webhooks", json={"url": "https://receiver.example.org"})
    act(client, "append_message", conversation_id=101, content="x", message_type="outgoing")
    act(client, "delete_conversation", conversation_id=101)
    client.post(f"{CONTROL}/deliveries/resume")
    assert simulator.deliveries.drain()
    attempts = client.get(f"{CONTROL}/deliveries").json()["attempts"]
    assert [(attempt["event"], attempt["error"]) for attempt in attempts] == [("message_created", "record is gone")]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/actions/explode", {}),
        ("/actions/delete_message", {"message_id": 1}),
        ("/actions/append_message", {"wrong": 1}),
        ("/faults", {"kind": "418"}),
        ("/shifts", {"action": "explode"}),
    ],
)
def test_an_invalid_control_request_is_rejected(path: str, body: dict[str, Any], client: httpx2.Client):
    answer = client.post(f"{CONTROL}{path}", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]


def test_every_action_is_a_method_of_the_simulator(client: httpx2.Client):
    names = client.get(f"{CONTROL}/state").json()["actions"]
    assert len(names) >= 20
    assert all(callable(getattr(ChatwootSimulator, name)) for name in names)
