"""Policies, found by any name of their contact."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from proofdesk.outbound import approval, policies
from proofdesk.outbound.channels.registry import InvalidChannel
from proofdesk.outbound.delivery.delivery import BlockedOptOut, BlockedStopOnReply, DeliveryTotals, FrequencyCapReached
from proofdesk.outbound.messages import InvalidState
from proofdesk.outbound.policies import InvalidOptOut
from proofdesk.outbound.policy_queries import PolicyFilter
from tests.support import stories
from tests.support.outbound_desk import LUIS, OutboundDesk, refuse_with


async def test_opted_out_contact_receives_nothing(desk: OutboundDesk):
    await desk.policy(opted_out=True)
    message = await desk.approve_new()
    with pytest.raises(BlockedOptOut):
        await desk.send(message)
    blocked = await desk.read(message)
    assert (blocked.status, blocked.last_error) == ("blocked_opt_out", "recipient_opted_out")
    assert (await desk.actions(message))[-1] == "outbound.opt_out_block"
    assert desk.mail.calls == 0


@pytest.mark.parametrize("form", ["by contact", "by address", "in capitals"])
@pytest.mark.parametrize("written", [LUIS, "LUIS@Example.COM"])
async def test_contact_and_address_share_one_policy(desk: OutboundDesk, form: str, written: str):
    name = {"by contact": desk.contact(), "by address": LUIS, "in capitals": "Luis@EXAMPLE.com"}[form]
    opted = await desk.policy(name, opted_out=True)
    assert opted.contact_global_id == desk.contact()
    await desk.approve_new(written)
    assert await desk.process() == DeliveryTotals(processed=1, blocked=1)
    page, total = await policies.list_policies(desk.db, desk.scope, PolicyFilter(desk.contact()), 10, 0)
    assert (total, page[0].opted_out) == (1, True)


async def test_opt_out_of_an_address_holds_for_its_later_contact(desk: OutboundDesk):
    await desk.policy("new@example.com", opted_out=True)
    _become_contact(desk, 77, "New@Example.com")
    await desk.approve_new("new@example.com")
    assert await desk.process() == DeliveryTotals(processed=1, blocked=1)
    page, total = await policies.list_policies(desk.db, desk.scope, PolicyFilter(desk.contact(77)), 10, 0)
    assert (total, page[0].opted_out, page[0].contact_global_id) == (1, True, desk.contact(77))


async def test_opt_out_survives_change_of_address_under_both(desk: OutboundDesk):
    await desk.policy(LUIS, opted_out=True)
    desk.conn.execute("UPDATE cw_contacts SET email = 'luis@new.example.com' WHERE contact_id = 12")
    for address in (LUIS, "luis@new.example.com"):
        await desk.approve_new(address)
    assert await desk.process() == DeliveryTotals(processed=2, blocked=2)


async def test_two_policies_of_one_contact_both_count(desk: OutboundDesk):
    await desk.policy(desk.contact(12), frequency_cap=5)
    await desk.policy("second@example.com", opted_out=True)
    desk.conn.execute("UPDATE cw_contacts SET email = 'second@example.com' WHERE contact_id = 12")
    await desk.approve_new("second@example.com")
    assert await desk.process() == DeliveryTotals(processed=1, blocked=1)
    await desk.policy(desk.contact(12), opted_out=False, reason="they called")
    await desk.approve_new("second@example.com")
    assert await desk.process() == DeliveryTotals(processed=1, sent=1)


async def test_unrelated_change_keeps_the_opt_out(desk: OutboundDesk):
    await desk.policy(opted_out=True)
    changed = await desk.policy(frequency_cap=10)
    assert (changed.opted_out, changed.frequency_cap, changed.stop_on_reply) == (True, 10, True)


async def test_blocked_message_needs_opt_in_with_reason_to_be_redrafted(desk: OutboundDesk):
    await desk.policy(opted_out=True)
    message = await desk.approve_new()
    await desk.process()
    with pytest.raises(InvalidState, match="opted out"):
        await approval.redraft(desk.db, desk.scope, message.id)
    with pytest.raises(InvalidOptOut, match="reason"):
        await desk.policy(opted_out=False)
    with pytest.raises(InvalidOptOut):
        await desk.policy(opted_out=False, reason="  ")
    await desk.policy(opted_out=False, reason="They asked for it on the phone")
    draft = await approval.redraft(desk.db, desk.scope, message.id)
    assert (draft.status, draft.approved_by, draft.last_error) == ("draft", None, None)
    assert await desk.process() == DeliveryTotals(), "it has to be approved anew"
    assert desk.rows("SELECT action, payload ->> 'reason' FROM audit_events WHERE action LIKE 'outbound.opt\\_%%'"
                     " ORDER BY id") == [
        ("outbound.opt_out", None), ("outbound.opt_out_block", "recipient_opted_out"),
        ("outbound.opt_in", "They asked for it on the phone"),
    ]  # fmt: skip


async def test_reply_after_approval_cancels_the_message(desk: OutboundDesk):
    message = await desk.approve_new()
    desk.receive_message(102)
    with pytest.raises(BlockedStopOnReply):
        await desk.send(message)
    stopped = await desk.read(message)
    assert (stopped.status, stopped.last_error, stopped.cancelled_by) == ("cancelled", "stop_on_reply", "system")
    assert (await desk.actions(message))[-1] == "outbound.cancel"


async def test_earlier_reply_and_other_contact_cancel_nothing(desk: OutboundDesk):
    desk.receive_message(102)
    await desk.approve_new()
    desk.receive_message(101)
    desk.receive_message(102, at=datetime.now(UTC) - timedelta(days=1))
    assert await desk.process() == DeliveryTotals(processed=1, sent=1)


async def test_manually_marked_reply_cancels_the_message(desk: OutboundDesk):
    await desk.approve_new()
    marked = await desk.policy(replied=True)
    assert marked.last_inbound_at is not None
    assert await desk.process() == DeliveryTotals(processed=1, blocked=1)


async def test_reply_cancels_nothing_where_the_policy_allows_it(desk: OutboundDesk):
    await desk.policy(stop_on_reply=False)
    await desk.approve_new()
    desk.receive_message(102)
    assert await desk.process() == DeliveryTotals(processed=1, sent=1)


async def test_sync_stores_when_a_contact_wrote(desk: OutboundDesk):
    await desk.policy(frequency_cap=4)
    then = datetime(2031, 5, 1, tzinfo=UTC)
    desk.receive_message(102, at=then)
    desk.receive_message(102, at=then - timedelta(days=9))
    [page] = (await policies.list_policies(desk.db, desk.scope, PolicyFilter(LUIS), 10, 0))[0]
    assert page.last_inbound_at == then


async def test_frequency_cap_holds_for_one_window(desk: OutboundDesk):
    await desk.policy(frequency_cap=2)
    made = [await desk.approve_new() for _ in range(3)]
    assert await desk.process() == DeliveryTotals(processed=3, sent=2, skipped=1)
    waiting = await desk.read(made[2])
    assert (waiting.status, waiting.last_error) == ("approved", "frequency_cap_reached")
    [window] = desk.rows("SELECT window_started_at + interval '24 hours' FROM contact_channel_policies")
    assert waiting.next_attempt_at == window[0]
    with pytest.raises(FrequencyCapReached) as refusal:
        await desk.send(waiting)
    assert refusal.value.retry_after is not None and 86_300 < refusal.value.retry_after <= 86_401
    desk.advance_time(hours=23)
    assert await desk.process() == DeliveryTotals()
    desk.advance_time(hours=1.01)
    assert await desk.process() == DeliveryTotals(processed=1, sent=1)


async def test_higher_cap_releases_waiting_messages(desk: OutboundDesk):
    await desk.policy(frequency_cap=1)
    for _ in range(2):
        await desk.approve_new()
    assert await desk.process() == DeliveryTotals(processed=2, sent=1, skipped=1)
    await desk.policy(frequency_cap=2)
    assert await desk.process() == DeliveryTotals(processed=1, sent=1)


async def test_slot_is_released_after_failure_and_kept_when_unknown(desk: OutboundDesk):
    await desk.policy(frequency_cap=1)
    desk.mail.behave = refuse_with(permanent=True)
    await desk.approve_new()
    assert (await desk.process()).failed == 1
    desk.mail.behave = refuse_with(delivered_unknown=True)
    await desk.approve_new()
    assert (await desk.process()).failed == 1
    desk.mail.behave = lambda _: None
    await desk.approve_new()
    assert await desk.process() == DeliveryTotals(processed=1, skipped=1)


@pytest.mark.parametrize(
    ("who", "change", "error"),
    [
        (LUIS, {}, InvalidOptOut),
        ("", {"opted_out": True}, InvalidOptOut),
        ("no address", {"opted_out": True}, InvalidOptOut),
        ("cwc:of:another:form", {"opted_out": True}, InvalidOptOut),
        ("cwc:{}:7:999", {"opted_out": True}, InvalidOptOut),
        ("cwc:00000000-0000-0000-0000-000000000001:7:12", {"opted_out": True}, InvalidOptOut),
    ],
)
async def test_invalid_policy_change_is_refused(desk: OutboundDesk, who: str, change: dict[str, Any], error: Any):
    with pytest.raises(error):
        await desk.policy(who.format(desk.scope.project_id), **change)
    assert desk.fetch_count("SELECT count(*) FROM contact_channel_policies") == 0


async def test_unknown_channel_is_refused(desk: OutboundDesk):
    with pytest.raises(InvalidChannel):
        await policies.change_policy(desk.db, desk.scope, LUIS, "pigeon", policies.PolicyUpdate(opted_out=True))


def _become_contact(desk: OutboundDesk, number: int, email: str) -> None:
    desk.conn.execute(
        "INSERT INTO cw_contacts (project_id, account_scope_id, account_id, contact_id, name, email, blocked,"
        " additional_attributes, custom_attributes) VALUES (%s, %s, %s, %s, 'New', %s, false, '{}', '{}')",
        [desk.scope.project_id, desk.scope.account_scope_id, stories.ACCOUNT, number, email],
    )


async def test_application_cannot_delete_a_policy(desk: OutboundDesk):
    await desk.policy(opted_out=True)
    async with desk.db.scoped(desk.scope) as conn:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await conn.execute("DELETE FROM contact_channel_policies")
