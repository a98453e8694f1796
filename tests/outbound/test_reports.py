"""Delivery reports of Chatwoot: shown when they come, and never a reason to send again."""

from datetime import timedelta

import pytest

from proofdesk.http.api import outbound as api
from proofdesk.outbound import messages
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk_simulators.chatwoot.records import Message
from tests.support.synced_project import API, WHATSAPP, WIDGET, SyncedProject

REFUSED = "131047: Re-engagement message"


async def send_to_conversation(
    synced: SyncedProject, inbox: int, times: int = 1
) -> tuple[list[OutboundMessage], list[Message]]:
    """Send messages to a conversation of an inbox and sync; return ours and Chatwoot's."""
    contact = synced.contact("Ada", inbox)
    await synced.sync()
    await synced.policy(synced.cwc(contact), "chatwoot", frequency_cap=100)
    made = [await synced.approve_new(synced.cwc(contact), "chatwoot") for _ in range(times)]
    await synced.process()
    await synced.sync()
    talk = synced.chatwoot.contact(contact).conversations[0]
    return [await synced.read(m) for m in made], [m for m in talk.messages if m.message_type == 1]


def make_older(synced: SyncedProject, by: timedelta) -> None:
    """Move the sending of messages into the past."""
    synced.conn.execute(
        "UPDATE outbound_deliveries SET sent_at = sent_at - %(by)s, checked_at = checked_at - %(by)s / 2", {"by": by}
    )
    synced.conn.execute("UPDATE cw_conversations SET last_activity_at = last_activity_at - %s", [by])


@pytest.mark.fidelity(
    "Chatwoot",
    "Accepted does not mean delivered: the channel can fail later.",
    "Chatwoot 4.15.1, [C-23](chatwoot.md), [C-40](chatwoot.md)",
)
async def test_later_failure_is_shown_and_not_sent_again(synced: SyncedProject):
    [ours], [theirs] = await send_to_conversation(synced, WHATSAPP)
    assert ours.delivery is not None and ours.delivery.status == "sent"
    synced.chatwoot.set_message_status(theirs.id, "failed", REFUSED)
    await synced.sync()
    failed = await synced.read(ours)
    assert failed.status == "sent", "the state of the message says what was done, not what became of it"
    assert failed.delivery is not None
    assert (failed.delivery.status, failed.delivery.error, failed.delivery.channel) == ("failed", REFUSED, "WhatsApp")
    assert failed.delivery.at is not None
    assert api.message(failed)["delivery"]["status"] == "failed"
    [event] = synced.events("outbound.delivery")
    assert (event["before"], event["error"], event["message_id"]) == ("sent", REFUSED, theirs.id)
    await synced.process()
    assert synced.chatwoot.journal.find("POST", "*/messages")[1:] == [], "no second POST"


@pytest.mark.parametrize("hours", [1, 5, 30, 100])
async def test_failure_hours_later_is_found_in_a_quiet_conversation(synced: SyncedProject, hours: int):
    [ours], [theirs] = await send_to_conversation(synced, WHATSAPP)
    make_older(synced, timedelta(hours=hours))
    synced.chatwoot.set_message_status(theirs.id, "failed", REFUSED)
    await synced.sync()
    report = (await synced.read(ours)).delivery
    assert report is not None and report.status == "failed"


async def test_statuses_are_not_read_after_a_week(synced: SyncedProject):
    [ours], [theirs] = await send_to_conversation(synced, WHATSAPP)
    make_older(synced, timedelta(days=8))
    synced.chatwoot.set_message_status(theirs.id, "failed", REFUSED)
    synced.chatwoot.journal.clear()
    await synced.sync()
    assert synced.chatwoot.journal.find("GET", "*/messages", f"*before={theirs.id + 1}*") == []
    report = (await synced.read(ours)).delivery
    assert report is not None and report.status == "sent"


@pytest.mark.parametrize("status", ["delivered", "read"])
@pytest.mark.parametrize("inbox", [API, WHATSAPP, WIDGET])
async def test_delivered_and_read_are_shown_where_meaningful(synced: SyncedProject, inbox: int, status: str):
    [ours], [theirs] = await send_to_conversation(synced, inbox)
    synced.chatwoot.set_message_status(theirs.id, status)
    await synced.sync()
    report = (await synced.read(ours)).delivery
    means_nothing = status == "read" and inbox != WHATSAPP
    assert report is not None and report.status == ("sent" if means_nothing else status)
    assert synced.events("outbound.delivery") == []


async def test_read_can_become_failed_and_recover(synced: SyncedProject):
    [ours], [theirs] = await send_to_conversation(synced, WHATSAPP)
    for status, error in (("read", None), ("failed", REFUSED), ("sent", None)):
        synced.chatwoot.set_message_status(theirs.id, status, error)
        await synced.sync()
        report = (await synced.read(ours)).delivery
        assert report is not None and (report.status, report.error) == (status, error)
    assert [e["before"] for e in synced.events("outbound.delivery")] == ["read", "failed"]


async def test_messages_of_one_conversation_need_one_request(synced: SyncedProject):
    ours, theirs = await send_to_conversation(synced, WHATSAPP, times=12)
    make_older(synced, timedelta(hours=5))
    synced.chatwoot.set_message_status(theirs[3].id, "failed", REFUSED)
    synced.chatwoot.journal.clear()
    await synced.sync()
    first, last = theirs[0].id, theirs[-1].id
    reads = synced.chatwoot.journal.find("GET", "*/messages", f"*before={last + 1}*")
    assert len(reads) == 1 and f"after={first}" in reads[0].query
    states = [(await synced.read(m)).delivery for m in ours]
    assert sorted(d.status for d in states if d) == ["failed"] + ["sent"] * 11
    synced.chatwoot.journal.clear()
    await synced.sync()
    assert synced.chatwoot.journal.find("GET", "*/messages", f"*before={last + 1}*") == [], "checked a moment ago"


async def test_failure_without_a_reason_is_reported(synced: SyncedProject):
    [ours], [theirs] = await send_to_conversation(synced, API)
    synced.chatwoot.set_message_status(theirs.id, "failed")
    await synced.sync()
    report = (await synced.read(ours)).delivery
    assert report is not None and (report.status, report.error, report.channel) == ("failed", None, "the API inbox")


async def test_failed_deliveries_can_be_listed(synced: SyncedProject):
    ours, theirs = await send_to_conversation(synced, WHATSAPP, times=3)
    synced.chatwoot.set_message_status(theirs[1].id, "failed", REFUSED)
    await synced.sync()
    message_filter = messages.OutboundFilter(delivery="failed")
    report, total = await messages.list_messages(synced.resources.db, synced.scope, message_filter, 10, 0)
    assert (len(report), total) == (1, 1)
    assert report[0].id in {m.id for m in ours}


async def test_unreadable_message_does_not_stop_the_others(synced: SyncedProject):
    _, [theirs] = await send_to_conversation(synced, WHATSAPP)
    make_older(synced, timedelta(hours=5))
    synced.chatwoot.delete_conversation(theirs.conversation.id)
    await synced.sync()
