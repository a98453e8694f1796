"""What counts as a reply of a customer, and what is only shown: from Chatwoot's message to the gate and the thread."""

from typing import Any

import pytest

from proofdesk.conversations import conversations
from proofdesk_simulators.chatwoot.records import Message
from tests.support.synced_project import API, MAIL, SyncedProject, chatwoot, synced_project

__all__ = ["chatwoot", "synced_project"]

ADA = "ada@example.com"
AUTOMATIC = {"Auto-Submitted": "auto-replied"}
REPORT = 'multipart/report; report-type=delivery-status; boundary="x"'
RECEIPT = 'multipart/report; report-type=disposition-notification; boundary="x"'


@pytest.fixture
async def waiting(mirrored: SyncedProject) -> tuple[SyncedProject, int]:
    """A project with a mail conversation of a contact; its number."""
    contact = mirrored.contact("Ada", MAIL, email=ADA)
    await mirrored.sync()
    return mirrored, mirrored.talk(contact)


async def kinds(mirrored: SyncedProject, talk: int) -> list[str]:
    thread = await conversations.get_conversation(mirrored.resources.db, mirrored.scope, mirrored.cw(talk))
    return [m.kind for m in thread.messages]


async def verdict(mirrored: SyncedProject, talk: int, write: Any) -> str:
    """What becomes of an approved message after something was written."""
    made = await mirrored.approve_new(ADA)
    write(mirrored.ago(-5))
    await mirrored.sync()
    await mirrored.process()
    found = await mirrored.read(made)
    return found.last_error or found.status


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
    waiting: tuple[SyncedProject, int], kind: str, subject: str, headers: dict[str, str]
):
    mirrored, talk = waiting
    mail = mirrored.chatwoot.append_mail
    assert (
        await verdict(mirrored, talk, lambda at: mail(talk, "I am away", subject=subject, headers=headers, at=at))
        == "sent"
    )
    assert (await kinds(mirrored, talk))[-1] == kind


@pytest.mark.parametrize("subject", ["Re: News", "Re: Automatic reply: News", "Office chairs", "Autoreplying is fun"])
async def test_mail_of_a_contact_is_a_reply(waiting: tuple[SyncedProject, int], subject: str):
    mirrored, talk = waiting
    headers = {"Auto-Submitted": "no"}
    mail = mirrored.chatwoot.append_mail
    assert (
        await verdict(mirrored, talk, lambda at: mail(talk, "Yes", subject=subject, headers=headers, at=at))
        == "stop_on_reply"
    )
    assert (await kinds(mirrored, talk))[-1] == "message"


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
async def test_automatic_messages_do_not_cancel(waiting: tuple[SyncedProject, int], kind: str, how: dict[str, Any]):
    mirrored, talk = waiting
    append = mirrored.chatwoot.append_message
    assert await verdict(mirrored, talk, lambda at: append(talk, "👍", at=at, **how)) == "sent"
    assert (await kinds(mirrored, talk))[-1] == kind


async def test_second_message_of_automatic_conversation_is_a_reply(mirrored: SyncedProject):
    contact = mirrored.contact("Ada", API, email=ADA)
    await mirrored.sync()
    made = await mirrored.approve_new(ADA)
    talk = mirrored.chatwoot.create_conversation(MAIL, contact)
    mirrored.chatwoot.append_message(talk.id, "I am away", at=mirrored.ago(-5))
    talk.additional_attributes = {"source": "email", "auto_reply": True}
    await mirrored.sync()
    await mirrored.process()
    assert (await mirrored.read(made)).status == "sent"
    assert await kinds(mirrored, talk.id) == ["auto_reply"]
    made = await mirrored.approve_new(ADA)
    mirrored.chatwoot.append_message(talk.id, "Now I am back", at=mirrored.ago(-9))
    await mirrored.sync()
    await mirrored.process()
    assert (await mirrored.read(made)).last_error == "stop_on_reply"
    assert await kinds(mirrored, talk.id) == ["auto_reply", "message"]


async def test_deleted_message_is_not_a_reply(waiting: tuple[SyncedProject, int]):
    mirrored, talk = waiting
    made = await mirrored.approve_new(ADA)
    said = mirrored.chatwoot.append_message(talk, "Wrong chat", at=mirrored.ago(-5))
    await mirrored.sync()
    mirrored.chatwoot.delete_message(said.id)
    await mirrored.sync()
    await mirrored.process()
    assert (await mirrored.read(made)).status == "sent"
    assert (await kinds(mirrored, talk))[-1] == "deleted"


async def test_deleting_one_of_two_replies_leaves_the_other(waiting: tuple[SyncedProject, int]):
    mirrored, talk = waiting
    made = await mirrored.approve_new(ADA)
    mirrored.chatwoot.append_message(talk, "Wait", at=mirrored.ago(-5))
    said = mirrored.chatwoot.append_message(talk, "Wrong chat", at=mirrored.ago(-9))
    await mirrored.sync()
    mirrored.chatwoot.delete_message(said.id)
    await mirrored.sync()
    await mirrored.process()
    assert (await mirrored.read(made)).last_error == "stop_on_reply"


async def test_reply_marked_as_failed_is_a_reply(waiting: tuple[SyncedProject, int]):
    """An API inbox whose callback fails marks even incoming messages (chatwoot/chatwoot #15913)."""
    mirrored, talk = waiting

    def write(at: float) -> Message:
        said = mirrored.chatwoot.append_message(talk, "Wait", at=at)
        return mirrored.chatwoot.set_message_status(said.id, "failed", "401 Unauthorized")

    assert await verdict(mirrored, talk, write) == "stop_on_reply"
    thread = await conversations.get_conversation(mirrored.resources.db, mirrored.scope, mirrored.cw(talk))
    assert thread.messages[-1].delivery_error is None, "the customer's words did arrive"


@pytest.mark.parametrize("headers", [AUTOMATIC, {"From": "mailer-daemon@example.org"}])
async def test_stop_in_automatic_mail_does_not_opt_out(waiting: tuple[SyncedProject, int], headers: dict[str, str]):
    mirrored, talk = waiting
    mirrored.chatwoot.append_mail(talk, "STOP", subject="Re: News", headers=headers)
    assert (await mirrored.sync())["opted_out"] == 0
    mirrored.chatwoot.append_mail(talk, "STOP", subject="Re: News")
    assert (await mirrored.sync())["opted_out"] == 2
