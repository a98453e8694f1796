"""What changes the timestamps, counters and status of a conversation."""

from collections.abc import Callable

import httpx2
import pytest

from proofdesk_simulators.chatwoot import ChatwootSimulator


@pytest.fixture
def marks(client: httpx2.Client, simulator: ChatwootSimulator) -> Callable[[int], tuple[int, float]]:
    def read(conversation_id: int) -> tuple[int, float]:
        row = client.get(f"/conversations/{conversation_id}").json()
        assert row["timestamp"] == row["last_activity_at"]
        return row["last_activity_at"], row["updated_at"]

    return read


def test_a_new_message_changes_both_timestamps(marks: Callable[[int], tuple[int, float]], simulator: ChatwootSimulator):
    before = marks(101)
    message = simulator.append_message(101, "new")
    assert marks(101) == (int(message.created_at), simulator.clock.now()) > before


def test_deletions_and_delivery_states_change_no_timestamp(
    marks: Callable[[int], tuple[int, float]], simulator: ChatwootSimulator
):
    message = simulator.append_message(101, "new", message_type="outgoing")
    before = marks(101)
    simulator.clock.advance(30)
    simulator.set_message_status(message.id, "failed", "550 mailbox full")
    simulator.delete_message(message.id)
    simulator.rename_contact(simulator.conversation(101).contact.id, "Oliver Grand")
    assert marks(101) == before


def test_before_4_12_saving_a_message_changed_updated_at(
    marks: Callable[[int], tuple[int, float]], simulator: ChatwootSimulator
):
    simulator.switches.touch_on_message_save = True
    message = simulator.append_message(101, "new")
    activity, updated = marks(101)
    simulator.clock.advance(30)
    simulator.delete_message(message.id)
    assert marks(101) == (activity, updated + 30)


def test_a_deletion_changes_the_embedded_updated_at(client: httpx2.Client, simulator: ChatwootSimulator):
    message = simulator.append_message(101, "new")
    before = client.get("/conversations/101").json()["messages"][0]["updated_at"]
    simulator.clock.advance(30)
    simulator.delete_message(message.id)
    assert client.get("/conversations/101").json()["messages"][0]["updated_at"] > before


def test_the_unread_count_stops_at_ten(client: httpx2.Client, simulator: ChatwootSimulator):
    for count in range(1, 13):
        simulator.clock.advance(1)
        simulator.append_message(101, "ping")
        assert client.get("/conversations/101").json()["unread_count"] == min(count, 10)
    client.post("/conversations/101/update_last_seen")
    assert client.get("/conversations/101").json()["unread_count"] == 0


def test_waiting_and_first_reply_follow_the_first_public_reply(client: httpx2.Client, simulator: ChatwootSimulator):
    row = simulator.create_conversation(1, content="anybody there?")
    first = client.get(f"/conversations/{row.id}").json()
    assert first["waiting_since"] == first["created_at"]
    assert first["first_reply_created_at"] == 0
    simulator.clock.advance(10)
    client.post(f"/conversations/{row.id}/messages", json={"content": "note", "private": True})
    assert client.get(f"/conversations/{row.id}").json()["waiting_since"] == first["created_at"]
    answer = client.post(f"/conversations/{row.id}/messages", json={"content": "yes"}).json()
    replied = client.get(f"/conversations/{row.id}").json()
    assert (replied["waiting_since"], replied["first_reply_created_at"]) == (0, answer["created_at"])
    simulator.clock.advance(10)
    asked_again = simulator.append_message(row.id, "and now?")
    assert client.get(f"/conversations/{row.id}").json()["waiting_since"] == int(asked_again.created_at)
    simulator.set_status(row.id, "resolved")
    assert client.get(f"/conversations/{row.id}").json()["waiting_since"] == 0


def test_an_incoming_message_reopens_a_resolved_conversation(client: httpx2.Client, simulator: ChatwootSimulator):
    assert client.get("/conversations/101").json()["status"] == "resolved"
    simulator.append_message(101, "one more thing")
    assert client.get("/conversations/101").json()["status"] == "open"
    simulator.set_status(101, "snoozed", snoozed_until=simulator.clock.now() + 3600)
    assert client.get("/conversations/101").json()["snoozed_until"] == "2026-11-20T19:40:00.000Z"
    simulator.conversation(101).inbox.bot = simulator.installation.bots[1]
    simulator.append_message(101, "hello?")
    row = client.get("/conversations/101").json()
    assert (row["status"], row["snoozed_until"]) == ("pending", None)


def test_changes_by_a_user_write_activity_lines(client: httpx2.Client):
    client.post("/conversations/101/toggle_status", json={"status": "pending"})
    client.post("/conversations/101/assignments", json={"assignee_id": 3})
    client.post("/conversations/101/labels", json={"labels": ["quote", "logo"]})
    client.post("/conversations/101/assignments", json={"team_id": 2})
    client.patch("/conversations/101", json={"priority": "high"})
    rows = client.get("/conversations/101/messages").json()["payload"][-5:]
    assert {row["message_type"] for row in rows} == {2}
    assert all("Nora Lindqvist" in row["content"] for row in rows)
    row = client.get("/conversations/101").json()
    assert (row["status"], row["labels"], row["priority"]) == ("pending", ["quote", "logo"], "high")
    assert (row["meta"]["assignee"]["name"], row["meta"]["team"]["name"]) == ("Ines Albrecht", "web")


def test_labels_set_without_a_user_change_only_updated_at(
    marks: Callable[[int], tuple[int, float]], simulator: ChatwootSimulator
):
    activity, updated = marks(101)
    simulator.set_labels(101, ["refund"])
    assert marks(101)[0] == activity
    assert marks(101)[1] > updated


def test_a_deleted_conversation_is_not_found(client: httpx2.Client, simulator: ChatwootSimulator):
    simulator.delete_conversation(101)
    assert client.get("/conversations/101").status_code == 404
    assert client.get("/conversations/101/messages").json() == {"error": "Resource could not be found"}
    assert client.delete("/conversations/102").content == b""
    assert client.get("/conversations/102").status_code == 404


def test_merging_contacts_moves_conversations_and_senders(client: httpx2.Client, simulator: ChatwootSimulator):
    loser = simulator.conversation(101).contact
    base = simulator.conversation(102).contact
    updated = client.get("/conversations/101").json()["updated_at"]
    body = {"base_contact_id": base.id, "mergee_contact_id": loser.id}
    assert client.post("/actions/contact_merge", json=body).json()["id"] == base.id
    assert client.get(f"/contacts/{loser.id}").status_code == 404
    row = client.get("/conversations/101").json()
    assert row["meta"]["sender"]["id"] == base.id
    assert row["updated_at"] > updated
    senders = {
        m["sender"]["id"] for m in client.get("/conversations/101/messages").json()["payload"] if m["message_type"] == 0
    }
    assert senders == {base.id}
