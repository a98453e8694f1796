"""Creating messages and conversations through the API."""

import httpx2
import pytest

from proofdesk_simulators.chatwoot import ChatwootSimulator
from proofdesk_simulators.chatwoot.foundation import add_inbox


def post(client: httpx2.Client, conversation_id: int = 101, **body: object) -> httpx2.Response:
    return client.post(f"/conversations/{conversation_id}/messages", json=body)


@pytest.fixture
def api_conversation(simulator: ChatwootSimulator) -> int:
    inbox = add_inbox(simulator.installation, simulator.account(), "Shop", "Channel::Api")
    return simulator.create_conversation(inbox.id, 1).id


def test_custom_content_attributes_are_returned(client: httpx2.Client):
    answer = post(client, content="hi", content_attributes={"proofdesk_key": "d-17"}).json()
    again = client.get("/conversations/101/messages").json()["payload"][-1]
    assert answer["content_attributes"]["proofdesk_key"] == "d-17"
    assert again["content_attributes"]["proofdesk_key"] == "d-17"
    assert (answer["status"], answer["message_type"]) == ("sent", 1)


def test_the_echo_id_is_returned_once(client: httpx2.Client):
    assert post(client, content="hi", echo_id="e-1").json()["echo_id"] == "e-1"
    assert "echo_id" not in client.get("/conversations/101/messages").json()["payload"][-1]


def test_a_repeated_post_creates_a_second_message(client: httpx2.Client):
    first, second = post(client, content="twice").json(), post(client, content="twice").json()
    assert first["id"] != second["id"]


def test_outgoing_text_is_rendered_as_a_template(client: httpx2.Client):
    sent = "Dear {{contact.name}}, {{ contact.email }}, code `{{contact.name}}`, {{unknown.word}}."
    stored = post(client, content=sent).json()["content"]
    assert stored == "Dear Oliver Grant, oliver@grantjoinery.example.com, code `{{contact.name}}`, ."


def test_two_hundred_messages_per_minute_are_the_limit(client: httpx2.Client, simulator: ChatwootSimulator):
    simulator.switches.messages_per_minute = 3
    for _ in range(3):
        assert post(client, content="x").status_code == 200
    refused = post(client, content="x")
    assert (refused.status_code, refused.json()) == (422, {"error": "Validation failed: Too many messages"})
    simulator.clock.advance(61)
    assert post(client, content="x").status_code == 200


def test_incoming_messages_are_for_api_inboxes(client: httpx2.Client, api_conversation: int):
    refused = post(client, content="x", message_type="incoming")
    assert refused.json() == {"error": "Incoming messages are only allowed in Api inboxes"}
    answer = post(client, api_conversation, content="x", message_type="incoming", source_id="shop-1").json()
    assert (answer["message_type"], answer["source_id"], answer["sender"]["type"]) == (0, "shop-1", "contact")


def test_a_delivery_state_can_be_set_in_api_inboxes_only(client: httpx2.Client, api_conversation: int):
    number = post(client, api_conversation, content="x").json()["id"]
    body = {"status": "failed", "external_error": "401 Unauthorized", "content": "ignored"}
    failed = client.patch(f"/conversations/{api_conversation}/messages/{number}", json=body).json()
    assert (failed["status"], failed["content"]) == ("failed", "x")
    assert failed["content_attributes"] == {"external_error": "401 Unauthorized"}
    elsewhere = post(client, content="x").json()["id"]
    assert client.patch(f"/conversations/101/messages/{elsewhere}", json=body).status_code == 403


def test_read_does_not_go_back_to_delivered(simulator: ChatwootSimulator):
    message = simulator.append_message(101, "x", message_type="outgoing")
    simulator.set_message_status(message.id, "read")
    assert simulator.set_message_status(message.id, "delivered").status == "read"
    assert simulator.set_message_status(message.id, "failed").status == "failed"


def test_mail_has_addressees_and_bodies(client: httpx2.Client):
    answer = post(client, content="Hello\n\nWorld", cc_emails="a@example.org, b@example.org").json()
    attributes = answer["content_attributes"]
    assert attributes["cc_emails"] == ["a@example.org", "b@example.org"]
    assert attributes["bcc_emails"] == attributes["to_emails"] == []
    assert attributes["email"]["html_content"]["full"] == "<p>Hello</p>\n<p>World</p>\n"
    assert post(client, content="x", to_emails="nobody").json() == {"error": "Invalid email address"}


def test_a_text_that_is_too_long_is_rejected(client: httpx2.Client):
    assert post(client, content="x" * 150_000).status_code == 200
    refused = post(client, content="x" * 150_001)
    assert refused.json()["error"].startswith("Validation failed: Content is too long")


def test_an_empty_message_is_stored(client: httpx2.Client):
    assert post(client).json()["content"] is None


def test_invalid_json_is_a_bad_request(client: httpx2.Client):
    answer = client.post("/conversations/101/messages", content="{", headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()) == (400, {"status": 400, "error": "Bad Request"})


def test_a_conversation_needs_contact_and_inbox_or_a_source_id(client: httpx2.Client):
    made = client.post("/conversations", json={"inbox_id": 2, "contact_id": 3, "message": {"content": "Hello"}}).json()
    assert made["id"] == 173
    assert made["messages"][0]["content"] == "Hello"
    by_source = client.post("/conversations", json={"source_id": "marta@ziarno.example.org"}).json()
    assert by_source["meta"]["sender"]["name"] == "Marta Kowalczyk"
    assert client.post("/conversations", json={"source_id": "nowhere"}).status_code == 404
    assert client.post("/conversations", json={"inbox_id": 2, "contact_id": 999}).status_code == 404


def test_a_locked_inbox_returns_the_last_conversation(client: httpx2.Client, simulator: ChatwootSimulator):
    simulator.account().inboxes[2].lock_to_single_conversation = True
    last = max(row.id for row in simulator.contact(1).conversations if row.inbox.id == 2)
    assert client.post("/conversations", json={"inbox_id": 2, "contact_id": 1}).json()["id"] == last


def test_new_conversation_is_pending_with_a_bot_and_resolved_if_blocked(
    client: httpx2.Client, simulator: ChatwootSimulator
):
    simulator.account().inboxes[2].bot = simulator.installation.bots[1]
    assert client.post("/conversations", json={"inbox_id": 2, "contact_id": 1}).json()["status"] == "pending"
    simulator.contact(1).blocked = True
    blocked = client.post("/conversations", json={"inbox_id": 2, "contact_id": 1}).json()
    assert (blocked["status"], blocked["muted"]) == ("resolved", True)


def test_unknown_assignees_and_statuses_are_rejected(client: httpx2.Client):
    assert client.post("/conversations/101/assignments", json={"assignee_id": 99}).status_code == 404
    assert client.post("/conversations/101/toggle_status", json={"status": "closed"}).status_code == 422


def test_custom_attributes_and_priority_can_be_set(client: httpx2.Client):
    body = {"custom_attributes": {"order": "KS-1"}}
    assert client.post("/conversations/101/custom_attributes", json=body).json() == body
    assert client.post("/conversations/101/toggle_priority", json={"priority": "low"}).content == b""
    row = client.get("/conversations/101").json()
    assert (row["custom_attributes"], row["priority"]) == ({"order": "KS-1"}, "low")
