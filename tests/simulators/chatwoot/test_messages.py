"""Reading messages: the four selection rules, the order, deletions and unusual content."""

import httpx2
import pytest

from proofdesk_simulators.chatwoot import ChatwootSimulator


def numbers(answer: httpx2.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()["payload"]]


@pytest.fixture
def long_one(simulator: ChatwootSimulator) -> list[int]:
    """Return the message ids of conversation 173: 1,150 messages, a second apart."""
    start = simulator.clock.now() - 100_000
    row = simulator.create_conversation(1, 1, at=start)
    assert row.id == 173
    return [simulator.append_message(173, f"line {n}", at=start + n).id for n in range(1150)]


def test_without_cursors_the_newest_twenty_come_oldest_first(client: httpx2.Client, long_one: list[int]):
    assert numbers(client.get("/conversations/173/messages")) == long_one[-20:]


def test_before_returns_the_previous_twenty(client: httpx2.Client, long_one: list[int]):
    assert numbers(client.get(f"/conversations/173/messages?before={long_one[500]}")) == long_one[480:500]


def test_after_returns_the_next_hundred(client: httpx2.Client, long_one: list[int]):
    assert numbers(client.get("/conversations/173/messages?after=0")) == long_one[:100]
    assert numbers(client.get("/conversations/173/messages?after=nonsense")) == long_one[:100]
    assert numbers(client.get(f"/conversations/173/messages?after={long_one[99]}")) == long_one[100:200]
    assert numbers(client.get(f"/conversations/173/messages?after={long_one[-1]}")) == []


def test_both_bounds_return_up_to_a_thousand_with_the_lower_one(client: httpx2.Client, long_one: list[int]):
    asked = f"/conversations/173/messages?after={long_one[10]}&before={long_one[1149]}"
    assert numbers(client.get(asked)) == long_one[10:1010]


def test_rows_are_selected_by_id_and_ordered_by_time(client: httpx2.Client, simulator: ChatwootSimulator):
    now = simulator.clock.now()
    late = simulator.append_message(101, "stamped later", at=now + 50)
    early = simulator.append_message(101, "stamped earlier", at=now + 10)
    assert late.id < early.id
    assert numbers(client.get("/conversations/101/messages"))[-2:] == [early.id, late.id]
    assert numbers(client.get(f"/conversations/101/messages?after={late.id}")) == [early.id]


def test_filter_internal_messages_excludes_notes_and_activity(client: httpx2.Client):
    asked = "/conversations/101/messages?after=0&filter_internal_messages="
    everything = client.get(asked).json()["payload"]
    public = client.get(f"{asked}false").json()["payload"]
    assert {row["message_type"] for row in everything} == {0, 1, 2}
    assert len(public) < len(everything)
    assert not [row for row in public if row["private"] or row["message_type"] == 2]


def test_two_messages_of_one_second_come_in_either_order(client: httpx2.Client, simulator: ChatwootSimulator):
    pair = [row.id for row in simulator.append_in_one_second(101, ["one", "two"])]
    assert numbers(client.get("/conversations/101/messages"))[-2:] == pair
    simulator.switches.tie_order = "descending"
    assert numbers(client.get("/conversations/101/messages"))[-2:] == pair[::-1]
    simulator.switches.tie_order = "alternating"
    orders = [numbers(client.get("/conversations/101/messages"))[-2:] for _ in range(2)]
    assert sorted(orders) == [pair, pair[::-1]]


def test_a_smaller_id_can_appear_after_a_greater_one(client: httpx2.Client, simulator: ChatwootSimulator):
    slow = simulator.append_message(101, "the slow transaction", held=True)
    quick = simulator.append_message(101, "the quick one")
    assert slow.id < quick.id
    assert numbers(client.get("/conversations/101/messages"))[-1] == quick.id
    assert slow.id not in numbers(client.get("/conversations/101/messages"))
    simulator.release_message(slow.id)
    assert numbers(client.get("/conversations/101/messages"))[-2:] == [slow.id, quick.id]
    assert numbers(client.get(f"/conversations/101/messages?after={quick.id}")) == []


def test_message_ids_are_one_sequence_for_all_accounts(simulator: ChatwootSimulator):
    other = simulator.add_account(2, "Another account")
    inbox_id = next(iter(other.inboxes))
    assert simulator.create_conversation(inbox_id, account_id=2).id == 1
    first = simulator.append_message(101, "in account 1")
    second = simulator.append_message(1, "in account 2", account_id=2)
    third = simulator.append_message(101, "in account 1 again")
    assert [second.id - first.id, third.id - second.id] == [1, 1]
    assert simulator.create_conversation(inbox_id, account_id=2, gap=4).id == 6
    assert simulator.create_conversation(1, 1).id == 173


def test_a_deleted_message_keeps_its_row_and_time(client: httpx2.Client, simulator: ChatwootSimulator):
    note = simulator.append_message(101, "secret", message_type="outgoing", source_id="own-1")
    before = client.get("/conversations/101/messages").json()["payload"][-1]
    simulator.clock.advance(60)
    answer = client.delete(f"/conversations/101/messages/{note.id}")
    after = client.get("/conversations/101/messages").json()["payload"][-1]
    gone = {"content": "This message was deleted", "content_attributes": {"deleted": True}, "content_type": "text"}
    assert answer.json() == after == before | gone


def test_a_deleted_message_loses_its_mail_and_its_files(client: httpx2.Client, simulator: ChatwootSimulator):
    rows = simulator.conversation(101).messages
    mail = next(row for row in rows if row.attachments and row.content_type == "incoming_email")
    deleted = client.delete(f"/conversations/101/messages/{mail.id}").json()
    assert "attachments" not in deleted
    assert deleted["content_attributes"] == {"deleted": True}


@pytest.mark.parametrize(("locale", "text"), [("ru", "Это сообщение было удалено"), ("en", "This message was deleted")])
def test_the_text_of_a_deletion_follows_the_account(
    locale: str, text: str, client: httpx2.Client, simulator: ChatwootSimulator
):
    simulator.account().locale = locale
    message = simulator.append_message(101, "x")
    assert client.delete(f"/conversations/101/messages/{message.id}").json()["content"] == text


def test_a_lone_surrogate_is_sent_as_a_json_escape(client: httpx2.Client, simulator: ChatwootSimulator):
    simulator.append_message(101, "half of an emoji \ud83d")
    raw = client.get("/conversations/101/messages").content
    assert rb"half of an emoji \ud83d" in raw


def test_a_nul_character_is_sent_as_a_json_escape(client: httpx2.Client, simulator: ChatwootSimulator):
    simulator.append_message(101, "a\x00b")
    assert rb"a\u0000b" in client.get("/conversations/101/messages").content


def test_defects_appear_in_every_view(client: httpx2.Client, simulator: ChatwootSimulator):
    message = simulator.append_message(101, "fine")
    simulator.break_message(message.id, {"created_at": 10**14, "content": ["not", "text"]}, ["sender"])
    listed = client.get("/conversations/101/messages").json()["payload"][-1]
    shown = client.get("/conversations/101").json()["messages"][0]
    assert listed["created_at"] == shown["created_at"] == 10**14
    assert listed["content"] == ["not", "text"]
    assert "sender" not in listed and "sender" not in shown
    simulator.break_conversation(101, {"created_at": "yesterday", "updated_at": -5}, ["uuid"])
    row = client.get("/conversations/101").json()
    assert (row["created_at"], row["updated_at"], "uuid" in row) == ("yesterday", -5, False)
    simulator.clear_defects()
    assert client.get("/conversations/101/messages").json()["payload"][-1]["content"] == "fine"


def test_a_removed_message_leaves_no_trace(client: httpx2.Client, simulator: ChatwootSimulator):
    message = simulator.append_message(101, "x")
    simulator.remove_message(message.id)
    assert message.id not in numbers(client.get("/conversations/101/messages"))
    assert client.delete(f"/conversations/101/messages/{message.id}").status_code == 404


def test_a_message_of_another_conversation_is_not_found(client: httpx2.Client, simulator: ChatwootSimulator):
    elsewhere = simulator.conversation(102).messages[0]
    assert client.delete(f"/conversations/101/messages/{elsewhere.id}").status_code == 404
