"""The runbook names each cause of an unsent message."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from proofdesk.jobs import schedules
from proofdesk.outbound import policies
from proofdesk.outbound.policy_queries import PolicyUpdate
from proofdesk_simulators import smtp
from tests.runbooks.installation import Installation

SLUG = "outbound-blocked"
TO = "ada@example.com"


@pytest.fixture(scope="module")
def relay() -> Any:
    """Start a simulated mail relay and yield its URL."""
    with smtp.running(smtp.SmtpSimulator()) as url:
        yield url


@pytest.fixture
def mailing(installation: Installation, relay: str) -> Installation:
    """Return an installation with a mail relay and one approved message that is due."""
    installation.set(smtp_url=SecretStr(relay), smtp_from="desk@example.com")
    installation.sql(
        "INSERT INTO outbound_messages (project_id, account_scope_id, channel, recipient_ref, payload, evidence_refs,"
        " idempotency_key, request_hash, max_retries, created_by, status, approved_by, approved_at, approved_hash,"
        " next_attempt_at) VALUES (%(project)s, %(account_scope)s, 'email', %(to)s, %(payload)s::jsonb, '[]', 'k', '',"
        " 5, 'ben', 'approved', 'ben', now(), sha256(convert_to(jsonb_build_array('email'::text, %(to)s::text,"
        " %(payload)s::jsonb)::text, 'UTF8')), now())",
        to=TO,
        payload='{"subject": "About your lamp", "text": "It is repaired and waits for you."}',
    )
    installation.outbound_id = installation.rows("SELECT id FROM outbound_messages")[0][0]
    return installation


def _change(**values: Any) -> Callable[[Installation], None]:
    def plant(installation: Installation) -> None:
        sets = ", ".join(f"{name} = {value}" for name, value in values.items())
        installation.sql(f"UPDATE outbound_messages SET {sets}")

    return plant


def _fail(error: str, **values: Any) -> Callable[[Installation], None]:
    def plant(installation: Installation) -> None:
        _change(status="'sending'", next_attempt_at="NULL")(installation)
        _change(status="'failed'", last_error=f"'{error}'", **values)(installation)

    return plant


def _attempt(installation: Installation) -> None:
    installation.sql(
        "INSERT INTO outbound_attempts (project_id, account_scope_id, outbound_id, number, started_at, lease_until)"
        " SELECT project_id, account_scope_id, id, 1, now() - interval '1 hour', now() - interval '50 minutes'"
        " FROM outbound_messages"
    )


LATER = "now() + interval '5 minutes'"
FAULTS: dict[str, tuple[str, Callable[[Installation], Any]]] = {
    "no such message": ("message", lambda i: setattr(i, "outbound_id", uuid4())),
    "blocked": (
        "opted-out",
        _change(status="'blocked_opt_out'", last_error="'recipient_opted_out'", next_attempt_at="NULL"),
    ),
    "stopped by a reply": (
        "replied",
        _change(status="'cancelled'", cancelled_by="'system'", cancelled_at="now()", last_error="'stop_on_reply'",
                next_attempt_at="NULL"),
    ),
    "a draft": ("approval", _change(payload="'{}'")),
    "a channel without settings": ("configured", lambda i: i.set(smtp_url=None)),
    "a relay that is gone": ("reachable", lambda i: i.set(smtp_url=SecretStr("smtp://127.0.0.1:9?tls=none"))),
    "an unknown delivery": ("unknown", _fail("delivery_unknown")),
    "a lost attempt": ("unknown", lambda i: (_change(status="'sending'", next_attempt_at="NULL")(i), _attempt(i))),
    "retries used up": ("retries", _fail("provider_error: 550 no such user", retry_count="5")),
    "a provider that refuses": ("provider", _fail("provider_error: 451 later", retry_count="1", next_attempt_at=LATER)),
    "a cap that was noted": (
        "cap", _change(last_error="'frequency_cap_reached'", next_attempt_at="now() + interval '20 hours'"),
    ),
    "scheduled for later": (
        "scheduled", _change(scheduled_at="now() + interval '1 day'", next_attempt_at="now() + interval '1 day'"),
    ),
    "no worker": ("worker", lambda i: i.sql("DELETE FROM procrastinate_workers")),
    "due for long": ("late", _change(next_attempt_at="now() - interval '1 hour'")),
}  # fmt: skip


async def test_a_due_message_is_no_finding(mailing: Installation):
    result = await mailing.run(SLUG)
    assert [(c.id, c.observed) for c in result.checks if c.status in ("fail", "warn")] == []


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_runbook_names_the_cause(mailing: Installation, fault: str):
    cause, plant = FAULTS[fault]
    plant(mailing)
    result = await mailing.run(SLUG)
    assert result.cause is not None and result.cause.check == cause, result
    assert result.verdict == "problem" and result.fixes


async def test_an_opt_out_after_the_approval_is_the_cause(mailing: Installation):
    await policies.change_policy(mailing.db, mailing.scope, TO, "email", PolicyUpdate(opted_out=True))
    assert await _cause(mailing) == "opted-out"


async def test_a_reached_cap_shows_when_its_window_ends(mailing: Installation):
    await policies.change_policy(mailing.db, mailing.scope, TO, "email", PolicyUpdate(frequency_cap=2))
    mailing.sql("UPDATE contact_channel_policies SET sent_in_window = 2, window_started_at = now()")
    result = await mailing.run(SLUG)
    assert result.cause is not None and result.cause.check == "cap"
    response = next(c.observed for c in result.checks if c.id == "cap")
    assert "2 of 2 in 24 h, window ends" in response and "can be sent from" in response


@pytest.mark.parametrize(("one", "verdict"), [(True, "problem"), (False, "ok")])
async def test_a_draft_is_a_cause_only_for_its_own_message(mailing: Installation, one: bool, verdict: str):
    _change(payload="'{}'")(mailing)
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
