"""Messages in conversations of a simulated Chatwoot, and lookups after a lost answer."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.core import ids
from proofdesk.outbound.channels.chatwoot.channel import MAX_TEXT_LENGTH, MESSAGE_KEY, ChatwootChannel
from proofdesk.outbound.channels.interface import (
    ChannelMessage,
    InvalidPayload,
    InvalidRecipient,
    LookupUnsupported,
    SendFailed,
)
from proofdesk_simulators.chatwoot import ChatwootSimulator, build, create_app
from proofdesk_simulators.chatwoot.records import Conversation
from proofdesk_simulators.serving import running

PROJECT = UUID("8e0f6f9a-2c1b-4d5e-9f00-1a2b3c4d5e6f")


@pytest.fixture
def simulator() -> Iterator[ChatwootSimulator]:
    instance = build("empty")
    yield instance
    instance.close()


@pytest.fixture
def conversation(simulator: ChatwootSimulator) -> Conversation:
    return simulator.create_conversation(1, content="Is it ready?", contact_name="Ada Byron")


@pytest.fixture
async def client(simulator: ChatwootSimulator) -> AsyncIterator[ChatwootClient]:
    with running(create_app(simulator)) as url:
        instance = ChatwootClient(url, simulator.admin_token, timeout=20)
        yield instance
        await instance.aclose()


@pytest.fixture
def channel(client: ChatwootClient) -> ChatwootChannel:
    return ChatwootChannel(client)


def to_conversation(number: int, text: str = "It is ready.", project_id: UUID = PROJECT) -> ChannelMessage:
    """Return a validated message to a conversation."""
    recipient, payload = ChatwootChannel.check(ids.conversation(PROJECT, 1, number), {"text": text})
    return ChannelMessage(uuid4(), project_id, recipient, payload)


def to_contact(number: int) -> ChannelMessage:
    """Return a message to a contact."""
    recipient, payload = ChatwootChannel.check(f"cwc:{PROJECT}:1:{number}", {"text": "It is ready."})
    return ChannelMessage(uuid4(), PROJECT, recipient, payload)


def outgoing(conversation: Conversation) -> list[str | None]:
    """Return the outgoing messages of a conversation."""
    return [m.content for m in conversation.messages if m.message_type == 1]


async def test_message_is_stored_once_with_its_key(channel: ChatwootChannel, conversation: Conversation):
    message = to_conversation(conversation.id, "It is *ready* {or so}")
    receipt = await channel.send(message)
    stored = conversation.messages[-1]
    assert (stored.content, stored.private) == (message.payload["text"], False)
    assert stored.content_attributes == {MESSAGE_KEY: message.key}
    assert receipt.provider_message_id == str(stored.id)
    assert await channel.find(message) == receipt
    assert await channel.find(to_conversation(conversation.id)) is None


async def test_lost_answer_is_settled_by_the_key(
    channel: ChatwootChannel, simulator: ChatwootSimulator, conversation: Conversation
):
    simulator.faults.add("lost_reply", method="POST", times=1)
    message = replace(to_conversation(conversation.id), attempted_at=datetime.now(UTC))
    with pytest.raises(SendFailed) as failed:
        await channel.send(message)
    assert failed.value.delivery_unknown and not failed.value.permanent
    receipt = await channel.find(message)
    assert receipt is not None and receipt.provider_message_id == str(conversation.messages[-1].id)
    assert len(outgoing(conversation)) == 1


async def test_missing_message_is_absent_only_after_it_can_no_longer_come(
    client: ChatwootClient, simulator: ChatwootSimulator, conversation: Conversation
):
    simulator.faults.add("cut", method="POST", times=1)
    message = replace(to_conversation(conversation.id), attempted_at=datetime.now(UTC))
    with pytest.raises(SendFailed) as failed:
        await ChatwootChannel(client).send(message)
    assert failed.value.delivery_unknown
    with pytest.raises(SendFailed, match="may still be storing") as too_early:
        await ChatwootChannel(client, settles_within=600).find(message)
    assert too_early.value.delivery_unknown and 0 < (too_early.value.retry_after or 0) <= 600
    assert await ChatwootChannel(client, settles_within=0).find(message) is None


async def test_conversation_is_read_back_to_the_attempt(
    channel: ChatwootChannel, simulator: ChatwootSimulator, conversation: Conversation
):
    message = to_conversation(conversation.id)
    await channel.send(message)
    mine = conversation.messages[-1]
    for number in range(70):
        simulator.append_message(conversation.id, f"more {number}", at=mine.created_at + 600 + 10 * number)
    attempted = datetime.fromtimestamp(mine.created_at, UTC)
    receipt = await channel.find(replace(message, attempted_at=attempted))
    assert receipt is not None and receipt.provider_message_id == str(mine.id)
    pages = len(simulator.journal.entries)
    absent = replace(to_conversation(conversation.id), attempted_at=attempted + timedelta(seconds=1290))
    with pytest.raises(SendFailed, match="still be storing"):  # its attempt is in the future
        await channel.find(absent)
    assert len(simulator.journal.entries) - pages == 1


@pytest.mark.parametrize("how", ["deleted", "retried"])
async def test_person_decides_where_a_key_may_be_lost(
    channel: ChatwootChannel, simulator: ChatwootSimulator, conversation: Conversation, how: str
):
    message = to_conversation(conversation.id)
    await channel.send(message)
    mine = conversation.messages[-1]
    if how == "deleted":
        simulator.delete_message(mine.id)
    else:
        mine.content_attributes = None  # as after Chatwoot's own "retry"
    attempted = datetime.now(UTC)
    with pytest.raises(LookupUnsupported):
        await channel.find(replace(message, attempted_at=attempted))
    mine.created_at -= 3600
    with pytest.raises(SendFailed, match="still be storing"):
        await channel.find(replace(message, attempted_at=attempted))


@pytest.mark.parametrize(
    ("kind", "permanent", "unknown", "wait"),
    [
        ("422_rule", False, False, 60),
        ("422_record", True, False, None),
        ("429", False, False, 60),
        ("401_unknown_token", False, False, None),
        ("401_not_member", True, False, None),
        ("404", True, False, None),
        ("500", False, True, None),
        ("502", False, True, None),
    ],
)
async def test_answers_decide_about_delivery_and_retry(
    channel: ChatwootChannel,
    simulator: ChatwootSimulator,
    conversation: Conversation,
    kind: str,
    permanent: bool,
    unknown: bool,
    wait: float | None,
):
    simulator.faults.add(kind, method="POST")
    with pytest.raises(SendFailed) as failed:
        await channel.send(to_conversation(conversation.id))
    error = failed.value
    assert (error.permanent, error.delivery_unknown, error.retry_after) == (permanent, unknown, wait)
    assert error.details["upstream"]["method"] == "POST"
    assert [e.method for e in simulator.journal.entries].count("POST") == 1  # never repeated by the client
    assert outgoing(conversation) == []


async def test_conversation_limit_delays_the_message(
    channel: ChatwootChannel, simulator: ChatwootSimulator, conversation: Conversation
):
    simulator.switches.messages_per_minute = 1
    with pytest.raises(SendFailed, match="Too many messages") as failed:
        await channel.send(to_conversation(conversation.id))
    assert (failed.value.permanent, failed.value.retry_after) == (False, 60)


async def test_silence_leaves_delivery_unknown_but_refused_connection_does_not(
    simulator: ChatwootSimulator, conversation: Conversation
):
    with running(create_app(simulator)) as url:
        impatient = ChatwootClient(url, simulator.admin_token, timeout=1)
        simulator.faults.add("delay", delay=3, method="POST")
        with pytest.raises(SendFailed) as failed:
            await ChatwootChannel(impatient).send(to_conversation(conversation.id))
        assert failed.value.delivery_unknown
        await impatient.aclose()
    nowhere = ChatwootClient("http://127.0.0.1:1", "token")
    with pytest.raises(SendFailed) as failed:
        await ChatwootChannel(nowhere, retry_timeout=0.1).send(to_conversation(conversation.id))
    assert not failed.value.delivery_unknown and not failed.value.permanent
    await nowhere.aclose()


async def test_closed_or_missing_conversation_is_reported(
    channel: ChatwootChannel, simulator: ChatwootSimulator, conversation: Conversation
):
    with pytest.raises(SendFailed, match="no longer has a conversation") as failed:
        await channel.send(to_conversation(999))
    assert failed.value.permanent
    conversation.can_reply = False
    with pytest.raises(SendFailed, match="accepts no more messages") as failed:
        await channel.send(to_conversation(conversation.id))
    assert failed.value.permanent and not failed.value.delivery_unknown
    assert outgoing(conversation) == []


async def test_contact_is_answered_in_the_latest_open_conversation(
    channel: ChatwootChannel, simulator: ChatwootSimulator, conversation: Conversation
):
    now = simulator.clock.now()
    contact_id = conversation.contact.id
    older = simulator.create_conversation(1, contact_id, content="older", at=now - 7200)
    closed = simulator.create_conversation(1, contact_id, content="closed", at=now + 60)
    closed.can_reply = False
    message = to_contact(contact_id)
    receipt = await channel.send(message)
    assert outgoing(conversation) == ["It is ready."] and not outgoing(older) and not outgoing(closed)
    # A later message in another conversation does not hide the one that is looked up.
    simulator.append_message(older.id, "newer now", at=now + 120)
    assert await channel.find(message) == receipt
    with pytest.raises(SendFailed, match="no longer has a conversation") as failed:
        await channel.send(to_contact(4321))
    assert failed.value.permanent


async def test_contact_is_answered_only_in_inboxes_of_the_project(
    channel: ChatwootChannel, simulator: ChatwootSimulator, conversation: Conversation
):
    message = replace(to_contact(conversation.contact.id), inbox_ids=frozenset({77}))
    with pytest.raises(SendFailed, match="no longer has a conversation"):
        await channel.send(message)
    own = replace(to_conversation(conversation.id), inbox_ids=frozenset({77}))
    with pytest.raises(SendFailed, match="no longer has a conversation"):
        await channel.send(own)
    await channel.send(replace(message, inbox_ids=frozenset({1, 77})))
    assert len(outgoing(conversation)) == 1
    assert await channel.find(message) is None


async def test_recipient_of_another_project_is_refused(channel: ChatwootChannel, conversation: Conversation):
    with pytest.raises(SendFailed, match="another project") as failed:
        await channel.send(to_conversation(conversation.id, project_id=uuid4()))
    assert failed.value.permanent and outgoing(conversation) == []


@pytest.mark.parametrize("text", ["Dear {{contact.name}}", "{%if x%}", "`{{ code }}`"])
def test_template_variables_are_refused(text: str):
    with pytest.raises(InvalidPayload, match="another text than the approved one"):
        ChatwootChannel.check(f"cw:{PROJECT}:1:5", {"text": text})


def test_private_note_is_refused_and_unknown_fields_are_dropped():
    with pytest.raises(InvalidPayload, match="private note"):
        ChatwootChannel.check(f"cw:{PROJECT}:1:5", {"text": "x", "private": True})
    with pytest.raises(InvalidPayload, match=str(MAX_TEXT_LENGTH)):
        ChatwootChannel.check(f"cw:{PROJECT}:1:5", {"text": "x" * (MAX_TEXT_LENGTH + 1)})
    assert ChatwootChannel.check(f" cw:{PROJECT}:1:5 ", {"text": "x", "y": 1}) == (f"cw:{PROJECT}:1:5", {"text": "x"})


@pytest.mark.parametrize("recipient", ["", "5", "cw:1:2:3", f"cwmsg:{PROJECT}:1:5", f"cw:{PROJECT}:1:0", "a@b.example"])
def test_recipient_must_be_conversation_or_contact(recipient: str):
    with pytest.raises(InvalidRecipient, match="conversation"):
        ChatwootChannel.check(recipient, {"text": "x"})
