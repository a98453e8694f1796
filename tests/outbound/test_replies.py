"""What counts as a reply of a contact and what is only shown, from Chatwoot's message to gate and page."""

from typing import Any

import pytest

from proofdesk.conversations import conversations
from proofdesk_simulators.chatwoot.records import Message
from tests.support.synced_project import API, MAIL, SyncedProject

ADA = "ada@example.com"
AUTOMATIC = {"Auto-Submitted": "auto-replied"}
REPORT = 'multipart/report; report-type=delivery-status; boundary="x"'
RECEIPT = 'multipart/report; report-type=disposition-notification; boundary="x"'


@pytest.fixture
async def approved_message(synced: SyncedProject) -> tuple[SyncedProject, int]:
    """A project with an e-mail conversation of a contact, and its number."""
    contact = synced.contact("Ada", MAIL, email=ADA)
    await synced.sync()
    return synced, synced.conversation_of(contact)


async def fetch_kinds(synced: SyncedProject, talk: int) -> list[str]:
    thread = await conversations.get_conversation(synced.resources.db, synced.scope, synced.cw(talk))
    return [m.kind for m in thread.messages]


async def deliver(synced: SyncedProject, talk: int, write: Any) -> str:
    """Deliver an approved message after something was written; return its reason or status."""
    made = await synced.approve_new(ADA)
    write(synced.time_ago(-5))
    await synced.sync()
    await synced.process()
    updated = await synced.read(made)
    return updated.last_error or updated.status


@pytest.mark.parametrize(
    ("kind", "subject", "headers"),
    [
        ("auto_reply", "Re: News", AUTOMATIC),
        ("auto_reply", "Re: News", {"X-Autoreply": "yes"}),
        ("auto_reply", "Automatic reply: News", {}),
        ("auto_reply", "Out of Office: Ada", {}),
        ("auto_reply", "Automatische Antwort: News", {}),
        ("auto_reply", "Автоответ: News", {}),
        ("auto_reply", "Read: News", {"Content-Type": RECEIPT}),
        ("bounce", "Undelivered Mail Returned to Sender", {"From": "MAILER-DAEMON@mx.example.org"}),
        ("bounce", "Delivery Status Notification", {"Content-Type": REPORT}),
        ("bounce", "Undeliverable: News", AUTOMATIC | {"From": "postmaster@example.org"}),
    ],
)
async def test_automatic_mail_is_not_a_reply_but_is_labelled(
    approved_message: tuple[SyncedProject, int], kind: str, subject: str, headers: dict[str, str]
):
    synced, talk = approved_message
    mail = synced.chatwoot.append_mail
    assert (
        await deliver(synced, talk, lambda at: mail(talk, "I am away", subject=subject, headers=headers, at=at))
        == "sent"
    )
    assert (await fetch_kinds(synced, talk))[-1] == kind


@pytest.mark.parametrize("subject", ["Re: News", "Re: Automatic reply: News", "Office chairs", "Autoreplying is fun"])
async def test_mail_of_a_contact_is_a_reply(approved_message: tuple[SyncedProject, int], subject: str):
    synced, talk = approved_message
    headers = {"Auto-Submitted": "no"}
    mail = synced.chatwoot.append_mail
    assert (
        await deliver(synced, talk, lambda at: mail(talk, "Yes", subject=subject, headers=headers, at=at))
        == "stop_on_reply"
    )
    assert (await fetch_kinds(synced, talk))[-1] == "message"


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("reaction", {"content_attributes": {"is_reaction": True, "in_reply_to": 1}}),
        ("survey", {"content_attributes": {"submitted_values": {"csat_survey_response": {"rating": 5}}}}),
        ("survey", {"content_type": "input_csat", "message_type": "template"}),
        ("template", {"message_type": "template"}),
        ("activity", {"message_type": "activity"}),
        ("auto_reply", {"content_attributes": {"email": {"headers": {"Auto-Submitted": "auto-generated"}}}}),
        ("auto_reply", {"content_attributes": {"email": {"headers": {"precedence": "bulk"}}}}),
        ("note", {"message_type": "outgoing", "private": True}),
    ],
)
@pytest.mark.fidelity(
    "Chatwoot",
    "Surveys, reactions, bots and bounces arrive as messages of the contact.",
    "the sample answers of Chatwoot 4.15.1; RFC 3834 for automatic mail",
)
async def test_automatic_messages_do_not_cancel(
    approved_message: tuple[SyncedProject, int], kind: str, how: dict[str, Any]
):
    synced, talk = approved_message
    append = synced.chatwoot.append_message
    assert await deliver(synced, talk, lambda at: append(talk, "👍", at=at, **how)) == "sent"
    assert (await fetch_kinds(synced, talk))[-1] == kind


async def test_second_message_of_automatic_conversation_is_a_reply(synced: SyncedProject):
    contact = synced.contact("Ada", API, email=ADA)
    await synced.sync()
    made = await synced.approve_new(ADA)
    talk = synced.chatwoot.create_conversation(MAIL, contact)
    synced.chatwoot.append_message(talk.id, "I am away", at=synced.time_ago(-5))
    talk.additional_attributes = {"source": "email", "auto_reply": True}
    await synced.sync()
    await synced.process()
    assert (await synced.read(made)).status == "sent"
    assert await fetch_kinds(synced, talk.id) == ["auto_reply"]
    made = await synced.approve_new(ADA)
    synced.chatwoot.append_message(talk.id, "Now I am back", at=synced.time_ago(-9))
    await synced.sync()
    await synced.process()
    assert (await synced.read(made)).last_error == "stop_on_reply"
    assert await fetch_kinds(synced, talk.id) == ["auto_reply", "message"]


async def test_deleted_message_is_not_a_reply(approved_message: tuple[SyncedProject, int]):
    synced, talk = approved_message
    message = await synced.approve_new(ADA)
    reply = synced.chatwoot.append_message(talk, "Wrong chat", at=synced.time_ago(-5))
    await synced.sync()
    synced.chatwoot.delete_message(reply.id)
    await synced.sync()
    await synced.process()
    assert (await synced.read(message)).status == "sent"
    assert (await fetch_kinds(synced, talk))[-1] == "deleted"


async def test_deleting_one_of_two_replies_leaves_the_other(approved_message: tuple[SyncedProject, int]):
    synced, talk = approved_message
    message = await synced.approve_new(ADA)
    synced.chatwoot.append_message(talk, "Wait", at=synced.time_ago(-5))
    reply = synced.chatwoot.append_message(talk, "Wrong chat", at=synced.time_ago(-9))
    await synced.sync()
    synced.chatwoot.delete_message(reply.id)
    await synced.sync()
    await synced.process()
    assert (await synced.read(message)).last_error == "stop_on_reply"


async def test_reply_marked_as_failed_is_a_reply(approved_message: tuple[SyncedProject, int]):
    """An API inbox whose callback fails marks even incoming messages (chatwoot/chatwoot #15913)."""
    synced, talk = approved_message

    def write(at: float) -> Message:
        reply = synced.chatwoot.append_message(talk, "Wait", at=at)
        return synced.chatwoot.set_message_status(reply.id, "failed", "401 Unauthorized")

    assert await deliver(synced, talk, write) == "stop_on_reply"
    thread = await conversations.get_conversation(synced.resources.db, synced.scope, synced.cw(talk))
    assert thread.messages[-1].delivery_error is None, "the customer's words did arrive"


@pytest.mark.parametrize("headers", [AUTOMATIC, {"From": "mailer-daemon@example.org"}])
async def test_stop_in_automatic_mail_does_not_opt_out(
    approved_message: tuple[SyncedProject, int], headers: dict[str, str]
):
    synced, talk = approved_message
    synced.chatwoot.append_mail(talk, "STOP", subject="Re: News", headers=headers)
    assert (await synced.sync())["opted_out"] == 0
    synced.chatwoot.append_mail(talk, "STOP", subject="Re: News")
    assert (await synced.sync())["opted_out"] == 2
