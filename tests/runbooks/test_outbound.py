"""The runbook names each cause of an unsent message."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from proofdesk.jobs import schedules
from proofdesk.outbound import policies
from proofdesk.outbound.policy_queries import PolicyUpdate
from tests.runbooks.faults_outbound import FAULTS, SLUG, change_message
from tests.runbooks.installation import RECIPIENT, Installation


async def test_a_due_message_is_no_finding(mailing: Installation):
    result = await mailing.run(SLUG)
    assert [(c.id, c.observed) for c in result.checks if c.status in ("fail", "warn")] == []


async def test_an_opt_out_after_the_approval_is_the_cause(mailing: Installation):
    await policies.change_policy(mailing.db, mailing.scope, RECIPIENT, "email", PolicyUpdate(opted_out=True))
    assert await _cause(mailing) == "opted-out"


async def test_a_reached_cap_shows_when_its_window_ends(mailing: Installation):
    await policies.change_policy(mailing.db, mailing.scope, RECIPIENT, "email", PolicyUpdate(frequency_cap=2))
    mailing.sql("UPDATE contact_channel_policies SET sent_in_window = 2, window_started_at = now()")
    result = await mailing.run(SLUG)
    assert result.cause is not None and result.cause.check == "cap"
    response = next(c.observed for c in result.checks if c.id == "cap")
    assert "2 of 2 in 24 h, window ends" in response and "can be sent from" in response


@pytest.mark.parametrize(("one", "verdict"), [(True, "problem"), (False, "ok")])
async def test_a_draft_is_a_cause_only_for_its_own_message(mailing: Installation, one: bool, verdict: str):
    change_message(payload="'{}'")(mailing)
    mailing.outbound_id = mailing.outbound_id if one else None
    result = await mailing.run(SLUG)
    assert result.verdict == verdict
    assert next(c.status for c in result.checks if c.id == "approval") == ("fail" if one else "warn")


@pytest.mark.parametrize(
    ("check", "plant"),
    [(FAULTS[name][0], FAULTS[name][1]) for name in ("blocked", "stopped by a reply", "a cap that was noted")],
)
async def test_gates_are_warnings_when_all_messages_are_checked(mailing: Installation, check: str, plant: Any):
    plant(mailing)
    mailing.outbound_id = None
    result = await mailing.run(SLUG)
    assert (result.verdict, result.cause) == ("ok", None)
    assert next(c.status for c in result.checks if c.id == check) == "warn"


async def test_a_pause_by_a_person_is_the_cause_for_one_message(mailing: Installation):
    ben = replace(mailing.scope, actor=replace(mailing.scope.actor, username="ben"))
    await schedules.change(mailing.db, ben, "outbound_process", status="paused")
    result = await mailing.run(SLUG)
    assert result.cause is not None and result.cause.check == "paused" and "ben paused it" in result.cause.message
    assert result.fixes[0].path == "/jobs/scheduler/outbound_process"


async def _cause(installation: Installation) -> str | None:
    assert isinstance(installation.outbound_id, UUID)
    result = await installation.run(SLUG)
    return result.cause.check if result.cause else None
