"""The kill switch stops what is due, what is claimed and what a person sends; nothing is lost by it."""

import pytest

from proofdesk.audit.events import Actor
from proofdesk.errors import Denied
from proofdesk.outbound import kill_switch, preflight
from proofdesk.outbound.delivery import claims, delivery, outcomes, sending
from proofdesk.outbound.delivery.claims import ClaimTerms
from proofdesk.outbound.delivery.delivery import DeliveryTotals
from proofdesk.outbound.delivery.outcomes import RetryBackoff
from proofdesk.outbound.kill_switch import InvalidKillSwitch, KillSwitchOn, KillSwitchReader
from proofdesk.projects.scope import Scope
from tests.support.outbound_desk import OutboundDesk
from tests.support.projects import new_project


def as_member(scope: Scope) -> Scope:
    return Scope(Actor("mia", None, False), scope.project_id, scope.account_scope_id, "approver")


async def test_nothing_is_sent_while_the_switch_is_on(desk: OutboundDesk):
    message = await desk.approve_new()
    active = await kill_switch.switch(desk.db, desk.scope, True, "Wrong price list")
    assert active is not None and (active.by, active.reason, active.all_projects) == (
        "system",
        "Wrong price list",
        False,
    )
    assert await desk.process() == DeliveryTotals()
    with pytest.raises(KillSwitchOn, match="Wrong price list"):
        await desk.send(message)
    assert (desk.mail.calls, (await desk.read(message)).status) == (0, "approved")
    assert await kill_switch.switch(desk.db, desk.scope, False) is None
    assert (await desk.process()).sent == 1


async def test_switch_of_all_projects_stops_every_project(desk: OutboundDesk):
    other = await new_project(desk.db, "Other")
    await kill_switch.switch(desk.db, other, True, "Incident", all_projects=True)
    await kill_switch.switch(desk.db, desk.scope, True, "Ours")
    message = await desk.approve_new()
    assert await desk.process() == DeliveryTotals()
    await kill_switch.switch(desk.db, desk.scope, False)
    active = await kill_switch.load_active(desk.db, desk.scope)
    assert active is not None and (active.all_projects, active.reason) == (True, "Incident")
    await kill_switch.switch(desk.db, desk.scope, False, all_projects=True)
    await desk.process()
    assert (await desk.read(message)).status == "sent"


async def test_claimed_message_is_not_sent_and_stays_approved(desk: OutboundDesk):
    message = await desk.approve_new()
    channels = {"email": desk.mail}
    sender = await sending.load_sender(desk.db, desk.scope, channels, RetryBackoff())
    held = await claims.hold_due_messages(desk.db, desk.scope, channels, 5)
    claim = await claims.claim_messages(desk.db, desk.scope, [m.id for m in held], ClaimTerms(channels, 60, {}))
    await kill_switch.switch(desk.db, desk.scope, True, "Wrong price list")
    outcome = await sender.send(claim.claimed[0])
    assert outcome is not None and outcome.requeued and not outcome.uses_retry
    await outcomes.settle_attempts(desk.db, desk.scope, [outcome])
    waiting = await desk.read(message)
    assert (waiting.status, waiting.retry_count, desk.mail.calls) == ("approved", 0, 0)
    assert (waiting.last_error or "").startswith("kill_switch_on: system stopped all sending in this project")
    policy = await desk.policy(stop_on_reply=True)
    assert policy.sent_in_window == 0, "the slot is free again"


async def test_answer_of_the_reader_is_at_most_a_second_old(desk: OutboundDesk, monkeypatch: pytest.MonkeyPatch):
    now = 100.0
    monkeypatch.setattr("proofdesk.outbound.kill_switch.time.monotonic", lambda: now)
    reader = KillSwitchReader(desk.db, desk.scope)
    assert await reader.read() is None
    await kill_switch.switch(desk.db, desk.scope, True, "Stop")
    now = 101.1
    assert await reader.read() is not None


async def test_preflight_names_who_stopped_sending(desk: OutboundDesk):
    message = await desk.approve_new()
    await kill_switch.switch(desk.db, desk.scope, True, "Wrong price list")
    report = await preflight.check_gates(desk.db, desk.scope, {"email"}, message.id)
    (gate,) = (g for g in report.gates if g.gate == "kill_switch")
    assert not gate.passes and "system stopped all sending" in gate.detail and "Wrong price list" in gate.detail
    assert report.sendable_at is None


async def test_only_the_owner_stops_all_projects(desk: OutboundDesk):
    with pytest.raises(Denied, match="Only the owner") as refusal:
        await kill_switch.switch(desk.db, as_member(desk.scope), True, "Mine", all_projects=True)
    assert (refusal.value.status, refusal.value.code) == (403, "forbidden")
    assert await kill_switch.switch(desk.db, as_member(desk.scope), True, "Mine") is not None


@pytest.mark.parametrize(("on", "reason"), [("yes", "Why"), (None, "Why"), (True, " "), (True, 7), (True, "x" * 501)])
async def test_switch_without_a_reason_or_of_another_type_is_refused(desk: OutboundDesk, on: object, reason: object):
    with pytest.raises(InvalidKillSwitch):
        await kill_switch.switch(desk.db, desk.scope, on, reason)


async def test_each_change_is_audited_once(desk: OutboundDesk):
    for on in (True, True, False, False):
        await kill_switch.switch(desk.db, desk.scope, on, "Test")
    rows = desk.rows(
        "SELECT action, payload ->> 'reason' FROM audit_events WHERE action LIKE 'outbound.kill%%' ORDER BY id"
    )
    assert rows == [("outbound.kill_switch_on", "Test"), ("outbound.kill_switch_off", "Test")]


async def test_worker_that_holds_messages_when_the_switch_comes_claims_none(desk: OutboundDesk):
    await desk.approve_new()
    channels = {"email": desk.mail}
    held = await claims.hold_due_messages(desk.db, desk.scope, channels, 5)
    await kill_switch.switch(desk.db, desk.scope, True, "Stop")
    claim = await claims.claim_messages(desk.db, desk.scope, [m.id for m in held], ClaimTerms(channels, 60, {}))
    assert (len(held), len(claim)) == (1, 0)
    assert await delivery.process_due(desk.db, desk.scope, channels, desk.options) == DeliveryTotals()
