"""Simultaneous and killed workers: nothing is sent twice, and no opted-out contact receives a message."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest

from proofdesk.jobs.worker import CHECKPOINT_SECONDS
from proofdesk.outbound.channels.interface import SendFailed
from proofdesk.outbound.delivery import delivery
from proofdesk.outbound.delivery.delivery import DeliveryOptions, DeliveryTotals
from proofdesk.outbound.messages import InvalidState
from tests.support.outbound_desk import OutboundDesk


async def test_several_workers_send_each_message_once(desk: OutboundDesk):
    approved = [await desk.approve_new(f"{n}@example.com") for n in range(40)]
    desk.mail.behave = lambda _: 0.01
    tallies = await asyncio.gather(*(desk.process() for _ in range(5)))
    assert sum(t.sent for t in tallies) == 40
    assert Counter(m.id for m in desk.mail.sent) == Counter(m.id for m in approved)


async def test_ten_simultaneous_sends_call_the_channel_once(desk: OutboundDesk):
    message = await desk.approve_new()
    desk.mail.behave = lambda _: 0.05
    results = await asyncio.gather(*(desk.send(message) for _ in range(10)), return_exceptions=True)
    assert sum(isinstance(t, InvalidState) for t in results) == 9
    assert desk.mail.calls == 1


async def test_simultaneous_sends_respect_the_cap(desk: OutboundDesk):
    await desk.policy("one@example.com", frequency_cap=5)
    approved = [await desk.approve_new("one@example.com") for _ in range(20)]
    results = await asyncio.gather(*(desk.send(m) for m in approved), return_exceptions=True)
    assert len(desk.mail.sent) == 5
    assert sum(isinstance(t, delivery.FrequencyCapReached) for t in results) == 15
    assert desk.rows("SELECT sent_in_window FROM contact_channel_policies") == [(5,)]


async def test_cap_holds_while_slots_are_released_under_load(desk: OutboundDesk):
    await desk.policy("one@example.com", frequency_cap=3)
    for _ in range(12):
        await desk.approve_new("one@example.com", max_retries=0)
    desk.mail.behave = lambda m: SendFailed("No", permanent=True) if m.id.int % 2 else None
    for _ in range(4):
        await asyncio.gather(*(desk.process() for _ in range(3)))
    assert len(desk.mail.sent) <= 3
    waiting = desk.fetch_count("SELECT count(*) FROM outbound_messages WHERE last_error = 'frequency_cap_reached'")
    failed = desk.fetch_count("SELECT count(*) FROM outbound_messages WHERE status = 'failed'")
    assert len(desk.mail.sent) + waiting + failed == 12
    assert not waiting or len(desk.mail.sent) == 3, "what was given back was taken again"


async def test_claim_waits_for_an_opt_out_in_progress(desk: OutboundDesk, database_url: str):
    message = await desk.approve_new()
    with psycopg.connect(database_url) as other:
        other.execute("UPDATE contact_channel_policies SET opted_out = true")
        sending = asyncio.create_task(desk.process())
        await _is_waiting(desk)
        other.commit()
    assert await sending == DeliveryTotals(processed=1, blocked=1)
    assert (await desk.read(message)).status == "blocked_opt_out"
    assert desk.mail.calls == 0


async def test_claim_waits_for_a_reply_in_progress(desk: OutboundDesk, database_url: str):
    await desk.approve_new()
    with psycopg.connect(database_url) as other:
        other.execute("SELECT set_config('proofdesk.project_id', %s, false)", [str(desk.scope.project_id)])
        mine, desk.conn = desk.conn, other
        desk.receive_message(102)
        desk.conn = mine
        sending = asyncio.create_task(desk.process())
        await _is_waiting(desk)
        other.commit()
    assert await sending == DeliveryTotals(processed=1, blocked=1)
    assert desk.mail.calls == 0


async def test_opt_outs_during_delivery_block_what_is_not_sent(desk: OutboundDesk):
    people = [f"{n}@example.com" for n in range(30)]
    for person in people:
        await desk.approve_new(person)
    desk.mail.behave = lambda _: 0.005
    opt_outs = (desk.policy(p, opted_out=True) for p in people[::-1])
    await asyncio.gather(desk.process(), desk.process(), *opt_outs)
    blocked = desk.fetch_count("SELECT count(*) FROM outbound_messages WHERE status = 'blocked_opt_out'")
    assert blocked + len(desk.mail.sent) == 30
    late = desk.rows(
        "SELECT 1 FROM outbound_attempts a JOIN outbound_messages m ON m.id = a.outbound_id"
        " JOIN contact_channel_policies p ON p.id = m.policy_ids[1] JOIN audit_events e"
        " ON e.entity_id = p.id::text AND e.action = 'outbound.opt_out' WHERE a.started_at > e.created_at"
    )
    assert late == []


async def test_cancelled_delivery_waits_for_running_calls(desk: OutboundDesk):
    desk.mail.behave = lambda _: 0.3
    for n in range(3):
        await desk.approve_new(f"{n}@example.com")
    sending = asyncio.create_task(desk.process())
    await _wait_until(lambda: desk.mail.calls == 3)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert desk.fetch_count("SELECT count(*) FROM outbound_messages WHERE status = 'sent'") == 3


async def test_cancelled_delivery_waits_for_its_grace_period_only(desk: OutboundDesk):
    desk.options = replace(desk.options, shutdown_grace=0.2)
    desk.mail.behave = lambda m: 600.0 if m.recipient_ref == "0@example.com" else 0.05
    approved = [await desk.approve_new(f"{n}@example.com") for n in range(3)]
    sending = asyncio.create_task(desk.process())
    await _wait_until(lambda: desk.mail.calls == 3)
    sending.cancel()
    await asyncio.wait([sending], timeout=20)
    assert sending.cancelled()
    assert [(await desk.read(m)).status for m in approved] == ["sending", "sent", "sent"]
    desk.advance_time(hours=1)
    assert await desk.process() == DeliveryTotals(swept=1)
    assert (await desk.read(approved[0])).last_error == "delivery_unknown"


def test_worker_shutdown_leaves_time_for_running_calls():
    assert CHECKPOINT_SECONDS + DeliveryOptions().shutdown_grace < 18, "all of it has 20 seconds"


async def test_killed_worker_leaves_one_attempt_for_a_person(desk: OutboundDesk, database_url: str):
    message = await desk.approve_new()
    await asyncio.to_thread(_kill_while_it_calls, database_url, str(desk.scope.project_id))
    assert await desk.process() == DeliveryTotals(), "it may still be under way"
    desk.advance_time(hours=1)
    assert await desk.process() == DeliveryTotals(swept=1)
    updated = await desk.read(message)
    assert (updated.status, updated.last_error, updated.next_attempt_at) == ("failed", "delivery_unknown", None)
    assert [a.outcome for a in await desk.attempts(message)] == ["unknown"]
    assert desk.mail.calls == 0
    assert desk.rows("SELECT sent_in_window FROM contact_channel_policies") == [(1,)], "it may have arrived"


def _kill_while_it_calls(database_url: str, project: str) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.support.hanging_worker", project],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "DATABASE_URL": database_url},
        stdout=subprocess.PIPE,
    )
    try:
        assert worker.stdout is not None and worker.stdout.readline() == b"calling\n"
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.communicate()


async def _is_waiting(desk: OutboundDesk) -> None:
    """Wait until a connection waits for a lock of another."""
    await _wait_until(
        lambda: (
            desk.fetch_count(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            > 0
        )
    )
    assert desk.mail.calls == 0


async def _wait_until(happened: Callable[[], bool], seconds: float = 30) -> None:
    began = datetime.now(UTC)
    while not happened():
        assert (datetime.now(UTC) - began).total_seconds() < seconds
        await asyncio.sleep(0.01)
