"""Delivery: claims, calls without a held connection, outcomes and the sweep."""

from datetime import UTC, datetime, timedelta

import pytest

from proofdesk.outbound import approval
from proofdesk.outbound.channels.interface import ChannelMessage, SendFailed
from proofdesk.outbound.delivery import claims, delivery, outcomes, sending, sweep
from proofdesk.outbound.delivery.claims import Claim, ClaimTerms
from proofdesk.outbound.delivery.delivery import DeliveryOptions, DeliveryTotals
from proofdesk.outbound.delivery.outcomes import RetryBackoff
from proofdesk.outbound.messages import InvalidState, OutboundNotFound
from tests.support.outbound_desk import OutboundDesk, message_ids, refuse_with
from tests.support.projects import new_project


async def test_approved_message_is_sent_once_and_every_step_is_recorded(desk: OutboundDesk):
    message = await desk.approve_new(evidence_refs=[{"source": "cw_messages", "ref": _first_message(desk)}])
    assert await desk.process() == DeliveryTotals(processed=1, sent=1)
    assert await desk.process() == DeliveryTotals()
    sent = await desk.read(message)
    assert (sent.status, sent.last_error, sent.next_attempt_at) == ("sent", None, None)
    assert sent.sent_at is not None
    assert message_ids(desk.mail.sent) == [message.id]
    [attempt] = await desk.attempts(message)
    assert (attempt.number, attempt.outcome, attempt.provider_message_id) == (1, "sent", f"receipt {message.id}")
    assert attempt.duration_ms is not None and attempt.finished_at is not None
    assert await desk.actions(message) == ["outbound.draft", "outbound.approve", "outbound.send"]


async def test_draft_is_not_sent_without_approval(desk: OutboundDesk):
    draft = await desk.draft()
    assert await desk.process() == DeliveryTotals()
    with pytest.raises(InvalidState, match="approve it first"):
        await desk.send(draft)
    assert desk.mail.calls == 0


async def test_message_is_not_sent_before_its_scheduled_time(desk: OutboundDesk):
    message = await desk.approve_new(scheduled_at=datetime.now(UTC) + timedelta(hours=2))
    assert await desk.process() == DeliveryTotals()
    with pytest.raises(InvalidState, match="scheduled for"):
        await desk.send(message)
    desk.advance_time(hours=3)
    assert await desk.process() == DeliveryTotals(processed=1, sent=1)


async def test_no_connection_is_held_during_the_call(desk: OutboundDesk):
    connections: list[int] = []

    def counted(_: object) -> None:
        stats = desk.db.pool.get_stats()
        connections.append(stats["pool_size"] - stats["pool_available"])
        [state] = desk.rows("SELECT status FROM outbound_messages")
        assert state == ("sending",), "the attempt is written before the call"
        assert desk.fetch_count("SELECT count(*) FROM outbound_attempts WHERE outcome IS NULL") == 1

    desk.mail.behave = counted
    await desk.approve_new()
    assert (await desk.process()).sent == 1
    assert connections == [0]


async def test_failed_message_is_retried_until_no_retry_is_left(desk: OutboundDesk):
    desk.mail.behave = refuse_with("Mailbox is busy")
    message = await desk.approve_new(max_retries=2)
    for retry_count in (1, 2):
        assert await desk.process() == DeliveryTotals(processed=1, failed=1)
        failed = await desk.read(message)
        assert (failed.status, failed.retry_count) == ("failed", retry_count)
        assert failed.last_error == "provider_error: Mailbox is busy"
        assert failed.next_attempt_at is not None and failed.next_attempt_at > datetime.now(UTC)
        assert await desk.process() == DeliveryTotals(), "not before its time"
        desk.advance_time(hours=2)
    assert await desk.process() == DeliveryTotals(processed=1, failed=1)
    failed = await desk.read(message)
    assert (failed.status, failed.retry_count, failed.next_attempt_at) == ("failed", 2, None)
    assert [a.number for a in await desk.attempts(message)] == [1, 2, 3]
    with pytest.raises(InvalidState, match="/retry"):
        await desk.send(message)


async def test_retries_wait_longer_each_time_with_jitter(desk: OutboundDesk):
    desk.options = DeliveryOptions(4, 60, RetryBackoff(initial_wait=100, max_wait=300))
    desk.mail.behave = refuse_with()
    waits: list[list[float]] = [[], [], []]
    approved = [await desk.approve_new(f"{n}@example.com") for n in range(8)]
    for step in range(3):
        await desk.process()
        for message in approved:
            due = (await desk.read(message)).next_attempt_at
            assert due is not None
            waits[step].append((due - datetime.now(UTC)).total_seconds())
        desk.advance_time(hours=1)
    for wait, (least, most) in zip(waits, ((45, 100), (95, 200), (145, 300)), strict=True):
        assert least <= min(wait) < max(wait) <= most


async def test_retry_after_of_the_channel_is_respected(desk: OutboundDesk):
    desk.mail.behave = refuse_with("Too many", retry_after=7200)
    message = await desk.approve_new()
    await desk.process()
    due = (await desk.read(message)).next_attempt_at
    assert due is not None and due > datetime.now(UTC) + timedelta(minutes=119)


async def test_permanent_failure_is_retried_only_by_a_person(desk: OutboundDesk):
    desk.mail.behave = refuse_with("No such mailbox", permanent=True)
    message = await desk.approve_new()
    with pytest.raises(SendFailed, match="No such mailbox"):
        await desk.send(message)
    desk.advance_time(hours=100)
    assert await desk.process() == DeliveryTotals()
    desk.mail.behave = lambda _: None
    again = await approval.retry(desk.db, desk.scope, message.id)
    assert (again.status, again.retry_count, again.approved_by) == ("approved", 0, "system")
    assert await desk.process() == DeliveryTotals(processed=1, sent=1)
    assert [a.outcome for a in await desk.attempts(message)] == ["failed", "sent"]


async def test_message_of_unconfigured_channel_waits_without_retry(desk: OutboundDesk):
    message = await desk.approve_new()
    nobody = await delivery.process_due(desk.db, desk.scope, {}, desk.options)
    assert nobody == DeliveryTotals(processed=1, skipped=1)
    waiting = await desk.read(message)
    assert (waiting.status, waiting.last_error, waiting.retry_count) == ("approved", "provider_not_configured", 0)
    assert waiting.next_attempt_at is not None
    assert await desk.attempts(message) == []
    with pytest.raises(SendFailed, match="SMTP_URL"):
        await delivery.send_now(desk.db, desk.scope, {}, desk.options, message.id)
    assert await desk.process() == DeliveryTotals(processed=1, sent=1), "at once when there is one"


async def test_unknown_delivery_is_left_to_a_person(desk: OutboundDesk):
    desk.mail.behave = refuse_with("Connection lost", delivered_unknown=True)
    message = await desk.approve_new()
    with pytest.raises(SendFailed, match="It is unknown whether the message was delivered"):
        await desk.send(message)
    unknown = await desk.read(message)
    assert (unknown.status, unknown.last_error, unknown.next_attempt_at) == ("failed", "delivery_unknown", None)
    desk.advance_time(hours=100)
    assert await desk.process() == DeliveryTotals()
    assert [a.outcome for a in await desk.attempts(message)] == ["unknown"]
    desk.mail.behave = lambda _: None
    await approval.retry(desk.db, desk.scope, message.id)
    assert await desk.process() == DeliveryTotals(processed=1, sent=1)


async def test_unknown_delivery_is_looked_up_where_possible(desk: OutboundDesk):
    desk.mail.can_look_up = True
    message = await desk.approve_new()

    def accept_silently(sent_message: ChannelMessage) -> SendFailed:
        desk.mail.sent.append(sent_message)
        return SendFailed("Connection lost", delivery_unknown=True)

    desk.mail.behave = accept_silently
    assert (await desk.send(message)).status == "sent"
    desk.mail.behave = refuse_with("Connection lost", delivered_unknown=True)
    other = await desk.approve_new("somebody@example.com")
    assert await desk.process() == DeliveryTotals(processed=1, failed=1)
    failed = await desk.read(other)
    assert failed.status == "failed" and failed.next_attempt_at is not None, "it certainly did not arrive"


async def test_call_without_answer_is_cut_off(desk: OutboundDesk):
    desk.options = DeliveryOptions(4, 6, RetryBackoff())  # cut off at 3 seconds
    desk.mail.behave = lambda _: 60.0
    message = await desk.approve_new()
    assert await desk.process() == DeliveryTotals(processed=1, failed=1)
    assert (await desk.read(message)).last_error == "delivery_unknown"


async def test_unexpected_error_leaves_delivery_unknown(desk: OutboundDesk):
    def crash(_: object) -> None:
        raise RuntimeError("a bug")

    desk.mail.behave = crash
    message = await desk.approve_new()
    assert await desk.process() == DeliveryTotals(processed=1, failed=1)
    assert (await desk.read(message)).last_error == "delivery_unknown"


async def test_sweep_leaves_running_attempts_alone(desk: OutboundDesk):
    message = await desk.approve_new()
    await _lose_attempt(desk)
    assert await desk.process() == DeliveryTotals()
    assert (await desk.read(message)).status == "sending"
    desk.advance_time(hours=1)
    assert await desk.process() == DeliveryTotals(swept=1)
    swept = await desk.read(message)
    assert (swept.status, swept.last_error, swept.next_attempt_at) == ("failed", "delivery_unknown", None)
    assert desk.mail.calls == 0


@pytest.mark.parametrize("arrived", [True, False])
async def test_sweep_looks_up_lost_attempts(desk: OutboundDesk, arrived: bool):
    desk.mail.can_look_up = True
    message = await desk.approve_new()
    claimed = await _lose_attempt(desk)
    if arrived:
        desk.mail.sent.append(claimed)
    desk.advance_time(hours=1)
    assert (await desk.process()).swept == 1
    updated = await desk.read(message)
    assert updated.status == ("sent" if arrived else "failed")
    assert (updated.next_attempt_at is None) == arrived, "what certainly did not arrive is tried again"
    assert desk.mail.calls == 0


async def test_attempt_is_settled_once(desk: OutboundDesk):
    message = await desk.approve_new()
    claim = await _claim_due(desk, lease=0)
    calling = await sending.load_sender(desk.db, desk.scope, {"email": desk.mail}, RetryBackoff())
    assert await sweep.settle_lost_attempts(desk.db, desk.scope, calling, 60) == 1
    late = outcomes.failed_outcome(claim.claimed[0].attempt, message, SendFailed("late"), RetryBackoff(), None)
    assert await outcomes.settle_attempts(desk.db, desk.scope, [late]) == []
    assert (await desk.read(message)).last_error == "delivery_unknown"


async def test_worker_past_its_deadline_does_not_send(desk: OutboundDesk):
    await desk.approve_new()
    claim = await _claim_due(desk, lease=0)
    calling = await sending.load_sender(desk.db, desk.scope, {"email": desk.mail}, RetryBackoff())
    ending = await calling.send(claim.claimed[0])
    assert ending is not None and ending.outcome == "failed" and ending.requeued
    assert desk.mail.calls == 0


async def test_limit_is_respected_and_oldest_goes_first(desk: OutboundDesk):
    approved = [await desk.approve_new(f"{n}@example.com") for n in range(7)]
    assert await desk.process(limit=3) == DeliveryTotals(processed=3, sent=3)
    assert sorted(message_ids(desk.mail.sent)) == sorted(m.id for m in approved[:3])
    assert await desk.process() == DeliveryTotals(processed=4, sent=4)


async def test_message_of_another_project_is_not_sent(desk: OutboundDesk):
    message = await desk.approve_new()
    other = await new_project(desk.db, "Other")
    with pytest.raises(OutboundNotFound):
        await delivery.send_now(desk.db, other, {"email": desk.mail}, desk.options, message.id)
    assert await delivery.process_due(desk.db, other, {"email": desk.mail}, desk.options) == DeliveryTotals()
    assert desk.mail.calls == 0


async def _claim_due(desk: OutboundDesk, lease: float) -> Claim:
    held = await claims.hold_due_messages(desk.db, desk.scope, {"email": desk.mail}, 5)
    terms = ClaimTerms({"email": desk.mail}, lease, {})
    return await claims.claim_messages(desk.db, desk.scope, [m.id for m in held], terms)


async def _lose_attempt(desk: OutboundDesk) -> ChannelMessage:
    """Claim the due messages as a worker that then dies."""
    claim = await _claim_due(desk, lease=60)
    calling = await sending.load_sender(desk.db, desk.scope, {"email": desk.mail}, RetryBackoff())
    return calling.build_channel_message(claim.claimed[0].message)


def _first_message(desk: OutboundDesk) -> str:
    return f"cwmsg:{desk.scope.project_id}:7:10100"
