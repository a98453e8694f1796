"""The last look: no message is sent after a reply that Chatwoot knows, although no sync has read it."""

import pytest

from proofdesk.outbound import preflight, rules
from proofdesk.outbound.delivery import delivery, last_look
from proofdesk.outbound.delivery.delivery import DeliveryOptions, ReplyUnconfirmed
from proofdesk.outbound.delivery.last_look import LastLook
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.outbound.preflight import GateCheck
from tests.support.synced_project import MAIL, SyncedProject

ADA = "ada@example.com"


@pytest.fixture
async def ada(synced: SyncedProject) -> int:
    """A contact whose conversation was synced."""
    contact = synced.contact("Ada", MAIL, email=ADA)
    await synced.sync()
    return contact


def look(synced: SyncedProject) -> LastLook:
    return LastLook(synced.resources.chatwoot, synced.resources.settings.opt_out_words)


def write(synced: SyncedProject, contact: int, text: str, at: float | None = None) -> None:
    synced.chatwoot.append_message(synced.conversation_of(contact), text, at=at)


async def freshness(synced: SyncedProject, message: OutboundMessage) -> GateCheck:
    report = await preflight.check_gates(synced.resources.db, synced.scope, {"email"}, message.id)
    (gate,) = (gate for gate in report.gates if gate.gate == "freshness")
    return gate


@pytest.mark.parametrize("channel", ["email", "chatwoot"])
async def test_reply_that_no_sync_has_read_stops_the_message(synced: SyncedProject, ada: int, channel: str):
    message = await synced.approve_new(ADA if channel == "email" else synced.cwc(ada), channel)
    write(synced, ada, "Please wait with that.")
    await synced.process(look(synced))
    stopped = await synced.read(message)
    assert (stopped.status, stopped.last_error, synced.mail.calls) == ("cancelled", "stop_on_reply", 0)


async def test_opt_out_that_no_sync_has_read_blocks_the_message(synced: SyncedProject, ada: int):
    await synced.policy(synced.cwc(ada), stop_on_reply=False)
    message = await synced.approve_new(ADA)
    write(synced, ada, "STOP")
    await synced.process(look(synced))
    assert ((await synced.read(message)).status, synced.mail.calls) == ("blocked_opt_out", 0)


async def test_reply_in_the_second_of_the_approval_stops_the_message(synced: SyncedProject, ada: int):
    message = await synced.approve_new(ADA)
    assert message.approved_at is not None
    write(synced, ada, "Wait", at=float(int(message.approved_at.timestamp())))
    await synced.process(look(synced))
    assert (await synced.read(message)).last_error == "stop_on_reply"


async def test_silent_contact_costs_one_request(synced: SyncedProject, ada: int):
    messages = [await synced.approve_new(ADA) for _ in range(3)]
    synced.chatwoot.journal.clear()
    await synced.process(look(synced))
    assert {(await synced.read(m)).status for m in messages} == {"sent"}
    assert synced.chatwoot.journal.count() == 1


async def test_stranger_needs_no_answer_of_chatwoot(synced: SyncedProject):
    await synced.sync()
    synced.chatwoot.faults.add("503")
    message = await synced.approve_new("stranger@example.com")
    await synced.process(look(synced))
    assert (await synced.read(message)).status == "sent"
    assert (await freshness(synced, message)).detail == "The recipient is not a contact in Chatwoot."


@pytest.mark.parametrize("fault", ["503", "401_unknown_token", "200_page", "cut"])
async def test_message_waits_while_chatwoot_cannot_be_asked(synced: SyncedProject, ada: int, fault: str):
    message = await synced.approve_new(ADA)
    synced.chatwoot.faults.add(fault)
    totals = await synced.process(look(synced))
    waiting = await synced.read(message)
    assert (totals.skipped, waiting.status, waiting.retry_count, synced.mail.calls) == (1, "approved", 0, 0)
    assert (waiting.last_error or "").startswith("reply_unconfirmed: ")
    assert waiting.next_attempt_at is not None
    gate = await freshness(synced, message)
    assert not gate.passes and gate.detail.startswith("Cannot confirm that the contact has not replied: ")


async def test_wait_for_a_silent_chatwoot_is_bounded(synced: SyncedProject, ada: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(last_look, "TIMEOUT", 0.2)
    message = await synced.approve_new(ADA)
    synced.chatwoot.faults.add("delay", delay=30)
    await synced.process(look(synced))
    assert "did not answer within" in ((await synced.read(message)).last_error or "")


async def test_person_who_sends_is_told_why_the_message_waits(synced: SyncedProject, ada: int):
    message = await synced.approve_new(ADA)
    synced.chatwoot.faults.add("503")
    options = DeliveryOptions(last_look=look(synced))
    with pytest.raises(ReplyUnconfirmed, match="Cannot confirm that the recipient has not replied: "):
        await delivery.send_now(synced.resources.db, synced.scope, {"email": synced.mail}, options, message.id)
    assert synced.mail.calls == 0


async def test_project_may_send_without_an_answer(synced: SyncedProject, ada: int):
    await rules.change_rules(synced.resources.db, synced.scope, True)
    message = await synced.approve_new(ADA)
    synced.chatwoot.faults.add("503")
    await synced.process(look(synced))
    assert (await synced.read(message)).status == "sent"
    assert synced.events("outbound.rules") == [{"changed": {"send_unconfirmed": True}}]


async def test_without_chatwoot_a_contact_cannot_be_confirmed(synced: SyncedProject, ada: int):
    message = await synced.approve_new(ADA)
    await synced.process(LastLook(None, []))
    assert (await synced.read(message)).last_error == "reply_unconfirmed: Chatwoot is not configured"


async def test_preflight_tells_the_age_of_what_is_known(synced: SyncedProject, ada: int):
    message = await synced.approve_new(ADA)
    gate = await freshness(synced, message)
    assert gate.passes
    assert gate.detail.startswith("What the contact wrote was last read ") and "again before" in gate.detail


async def test_message_held_by_a_lost_worker_is_due_again(synced: SyncedProject, ada: int):
    message = await synced.approve_new(ADA)
    before = await synced.read(message)
    synced.chatwoot.faults.add("503")
    await synced.process(look(synced))
    synced.chatwoot.faults.clear()
    synced.conn.execute("UPDATE outbound_messages SET next_attempt_at = now()")
    await synced.process(look(synced))
    after = await synced.read(message)
    assert (before.status, after.status, after.last_error) == ("approved", "sent", None)
