"""What people allow, by whatever name they are met."""

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
from tests.support.outbound_desk import LUIS, Desk, refused


async def test_who_opted_out_is_not_written_to(desk: Desk):
    await desk.policy(opted_out=True)
    message = await desk.approved()
    with pytest.raises(BlockedOptOut):
        await desk.send(message)
    blocked = await desk.read(message)
    assert (blocked.status, blocked.last_error) == ("blocked_opt_out", "recipient_opted_out")
    assert (await desk.actions(message))[-1] == "outbound.opt_out_block"
    assert desk.mail.calls == 0


@pytest.mark.parametrize("said", ["by contact", "by address", "in capitals"])
@pytest.mark.parametrize("written", [LUIS, "LUIS@Example.COM"])
async def test_a_contact_and_his_address_are_one_person(desk: Desk, said: str, written: str):
    name = {"by contact": desk.contact(), "by address": LUIS, "in capitals": "Luis@EXAMPLE.com"}[said]
    opted = await desk.policy(name, opted_out=True)
    assert opted.contact_global_id == desk.contact()
    await desk.approved(written)
    assert await desk.process() == DeliveryTotals(processed=1, blocked=1)
    found, total = await policies.list_policies(desk.db, desk.scope, PolicyFilter(desk.contact()), 10, 0)
    assert (total, found[0].opted_out) == (1, True)


async def test_whoever_becomes_a_contact_later_has_not_changed_his_mind(desk: Desk):
    await desk.policy("new@example.com", opted_out=True)
    _become(desk, 77, "New@Example.com")
    await desk.approved("new@example.com")
    assert await desk.process() == DeliveryTotals(processed=1, blocked=1)
    found, total = await policies.list_policies(desk.db, desk.scope, PolicyFilter(desk.contact(77)), 10, 0)
    assert (total, found[0].opted_out, found[0].contact_global_id) == (1, True, desk.contact(77))


async def test_an_opt_out_outlives_a_change_of_address_under_both(desk: Desk):
    await desk.policy(LUIS, opted_out=True)
    desk.conn.execute("UPDATE cw_contacts SET email = 'luis@new.example.com' WHERE contact_id = 12")
    for address in (LUIS, "luis@new.example.com"):
        await desk.approved(address)
    assert await desk.process() == DeliveryTotals(processed=2, blocked=2)


async def test_two_policies_that_turn_out_to_be_of_one_person_both_count(desk: Desk):
    await desk.policy(desk.contact(12), frequency_cap=5)
    await desk.policy("second@example.com", opted_out=True)
    desk.conn.execute("UPDATE cw_contacts SET email = 'second@example.com' WHERE contact_id = 12")
    await desk.approved("second@example.com")
    assert await desk.process() == DeliveryTotals(processed=1, blocked=1)
    await desk.policy(desk.contact(12), opted_out=False, reason="he called")
    await desk.approved("second@example.com")
    assert await desk.process() == DeliveryTotals(processed=1, sent=1)


async def test_an_unrelated_change_leaves_an_opt_out_as_it_is(desk: Desk):
    await desk.policy(opted_out=True)
    changed = await desk.policy(frequency_cap=10)
    assert (changed.opted_out, changed.frequency_cap, changed.stop_on_reply) == (True, 10, True)


async def test_only_an_opt_in_with_a_reason_lets_a_blocked_message_be_drafted_again(desk: Desk):
    await desk.policy(opted_out=True)
    message = await desk.approved()
    await desk.process()
    with pytest.raises(InvalidState, match="opted out"):
        await approval.redraft(desk.db, desk.scope, message.id)
    with pytest.raises(InvalidOptOut, match="reason"):
        await desk.policy(opted_out=False)
    with pytest.raises(InvalidOptOut):
        await desk.policy(opted_out=False, reason="  ")
    await desk.policy(opted_out=False, reason="He asked for it on the phone")
    draft = await approval.redraft(desk.db, desk.scope, message.id)
    assert (draft.status, draft.approved_by, draft.last_error) == ("draft", None, None)
    assert await desk.process() == DeliveryTotals(), "it has to be approved anew"
    assert desk.rows("SELECT action, payload ->> 'reason' FROM audit_events WHERE action LIKE 'outbound.opt\\_%%'"
                     " ORDER BY id") == [
        ("outbound.opt_out", None), ("outbound.opt_out_block", "recipient_opted_out"),
        ("outbound.opt_in", "He asked for it on the phone"),
    ]  # fmt: skip


async def test_a_reply_after_the_approval_stops_the_message(desk: Desk):
    message = await desk.approved()
    desk.hear(102)
    with pytest.raises(BlockedStopOnReply):
        await desk.send(message)
    stopped = await desk.read(message)
    assert (stopped.status, stopped.last_error, stopped.cancelled_by) == ("cancelled", "stop_on_reply", "system")
    assert (await desk.actions(message))[-1] == "outbound.cancel"


async def test_what_was_said_before_the_approval_or_by_somebody_else_stops_nothing(desk: Desk):
    desk.hear(102)
    await desk.approved()
    desk.hear(101)
    desk.hear(102, at=datetime.now(UTC) - timedelta(days=1))
    assert await desk.process() == DeliveryTotals(processed=1, sent=1)


async def test_a_reply_that_was_marked_by_hand_stops_it_too(desk: Desk):
    await desk.approved()
    marked = await desk.policy(replied=True)
    assert marked.last_inbound_at is not None
    assert await desk.process() == DeliveryTotals(processed=1, blocked=1)


async def test_who_may_be_written_to_although_he_replied(desk: Desk):
    await desk.policy(stop_on_reply=False)
    await desk.approved()
    desk.hear(102)
    assert await desk.process() == DeliveryTotals(processed=1, sent=1)


async def test_the_sync_itself_keeps_when_somebody_wrote(desk: Desk):
    await desk.policy(frequency_cap=4)
    then = datetime(2031, 5, 1, tzinfo=UTC)
    desk.hear(102, at=then)
    desk.hear(102, at=then - timedelta(days=9))
    [found] = (await policies.list_policies(desk.db, desk.scope, PolicyFilter(LUIS), 10, 0))[0]
    assert found.last_inbound_at == then


async def test_the_cap_holds_for_a_window_and_then_opens_again(desk: Desk):
    await desk.policy(frequency_cap=2)
    made = [await desk.approved() for _ in range(3)]
    assert await desk.process() == DeliveryTotals(processed=3, sent=2, skipped=1)
    waiting = await desk.read(made[2])
    assert (waiting.status, waiting.last_error) == ("approved", "frequency_cap_reached")
    [window] = desk.rows("SELECT window_started_at + interval '24 hours' FROM contact_channel_policies")
    assert waiting.next_attempt_at == window[0]
    with pytest.raises(FrequencyCapReached) as refusal:
        await desk.send(waiting)
    assert refusal.value.retry_after is not None and 86_300 < refusal.value.retry_after <= 86_401
    desk.later(hours=23)
    assert await desk.process() == DeliveryTotals()
    desk.later(hours=1.01)
    assert await desk.process() == DeliveryTotals(processed=1, sent=1)


async def test_a_higher_cap_lets_go_what_waits(desk: Desk):
    await desk.policy(frequency_cap=1)
    for _ in range(2):
        await desk.approved()
    assert await desk.process() == DeliveryTotals(processed=2, sent=1, skipped=1)
    await desk.policy(frequency_cap=2)
    assert await desk.process() == DeliveryTotals(processed=1, sent=1)


async def test_a_place_is_given_back_when_nothing_was_delivered_and_kept_when_nobody_knows(desk: Desk):
    await desk.policy(frequency_cap=1)
    desk.mail.behave = refused(permanent=True)
    await desk.approved()
    assert (await desk.process()).failed == 1
    desk.mail.behave = refused(delivered_unknown=True)
    await desk.approved()
    assert (await desk.process()).failed == 1
    desk.mail.behave = lambda _: None
    await desk.approved()
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
async def test_a_change_that_makes_no_sense_is_refused(desk: Desk, who: str, change: dict[str, Any], error: Any):
    with pytest.raises(error):
        await desk.policy(who.format(desk.scope.project_id), **change)
    assert desk.total("SELECT count(*) FROM contact_channel_policies") == 0


async def test_a_channel_that_does_not_exist_is_refused(desk: Desk):
    with pytest.raises(InvalidChannel):
        await policies.change_policy(desk.db, desk.scope, LUIS, "pigeon", policies.PolicyUpdate(opted_out=True))


def _become(desk: Desk, number: int, email: str) -> None:
    desk.conn.execute(
        "INSERT INTO cw_contacts (project_id, account_scope_id, account_id, contact_id, name, email, blocked,"
        " additional_attributes, custom_attributes) VALUES (%s, %s, %s, %s, 'New', %s, false, '{}', '{}')",
        [desk.scope.project_id, desk.scope.account_scope_id, stories.ACCOUNT, number, email],
    )


async def test_an_application_cannot_forget_a_policy(desk: Desk):
    await desk.policy(opted_out=True)
    async with desk.db.scoped(desk.scope) as conn:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await conn.execute("DELETE FROM contact_channel_policies")
