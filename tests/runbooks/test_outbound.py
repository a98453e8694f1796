"""Each way in which a message stays where it is is planted, and named."""

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
from tests.runbooks.house import House

SLUG = "outbound-blocked"
TO = "ada@example.com"


@pytest.fixture(scope="module")
def relay() -> Any:
    """A mail relay."""
    with smtp.running(smtp.Simulator()) as url:
        yield url


@pytest.fixture
def mailing(house: House, relay: str) -> House:
    """A house with a mail relay and one approved message, which is due."""
    house.set(smtp_url=SecretStr(relay), smtp_from="desk@example.com")
    house.sql(
        "INSERT INTO outbound_messages (project_id, account_scope_id, channel, recipient_ref, payload, evidence_refs,"
        " idempotency_key, request_hash, max_retries, created_by, status, approved_by, approved_at, approved_hash,"
        " next_attempt_at) VALUES (%(project)s, %(account_scope)s, 'email', %(to)s, %(payload)s::jsonb, '[]', 'k', '',"
        " 5, 'ben', 'approved', 'ben', now(), sha256(convert_to(jsonb_build_array('email'::text, %(to)s::text,"
        " %(payload)s::jsonb)::text, 'UTF8')), now())",
        to=TO,
        payload='{"subject": "About your lamp", "text": "It is repaired and waits for you."}',
    )
    house.outbound_id = house.rows("SELECT id FROM outbound_messages")[0][0]
    return house


def _change(**values: Any) -> Callable[[House], None]:
    def plant(house: House) -> None:
        sets = ", ".join(f"{name} = {value}" for name, value in values.items())
        house.sql(f"UPDATE outbound_messages SET {sets}")

    return plant


def _fail(error: str, **values: Any) -> Callable[[House], None]:
    def plant(house: House) -> None:
        _change(status="'sending'", next_attempt_at="NULL")(house)
        _change(status="'failed'", last_error=f"'{error}'", **values)(house)

    return plant


def _attempt(house: House) -> None:
    house.sql(
        "INSERT INTO outbound_attempts (project_id, account_scope_id, outbound_id, number, started_at, lease_until)"
        " SELECT project_id, account_scope_id, id, 1, now() - interval '1 hour', now() - interval '50 minutes'"
        " FROM outbound_messages"
    )


LATER = "now() + interval '5 minutes'"
FAULTS: dict[str, tuple[str, Callable[[House], Any]]] = {
    "no such message": ("message", lambda h: setattr(h, "outbound_id", uuid4())),
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
    "a channel without settings": ("configured", lambda h: h.set(smtp_url=None)),
    "a relay that is gone": ("reachable", lambda h: h.set(smtp_url=SecretStr("smtp://127.0.0.1:9?tls=none"))),
    "an unknown delivery": ("unknown", _fail("delivery_unknown")),
    "a lost attempt": ("unknown", lambda h: (_change(status="'sending'", next_attempt_at="NULL")(h), _attempt(h))),
    "retries used up": ("retries", _fail("provider_error: 550 no such user", retry_count="5")),
    "a provider that refuses": ("provider", _fail("provider_error: 451 later", retry_count="1", next_attempt_at=LATER)),
    "a cap that was noted": (
        "cap", _change(last_error="'frequency_cap_reached'", next_attempt_at="now() + interval '20 hours'"),
    ),
    "scheduled for later": (
        "scheduled", _change(scheduled_at="now() + interval '1 day'", next_attempt_at="now() + interval '1 day'"),
    ),
    "no worker": ("worker", lambda h: h.sql("DELETE FROM workers")),
    "due for long": ("late", _change(next_attempt_at="now() - interval '1 hour'")),
}  # fmt: skip


async def test_a_message_that_is_on_its_way_is_no_fault(mailing: House):
    found = await mailing.look(SLUG)
    assert [(c.id, c.observed) for c in found.checks if c.status in ("fail", "warn")] == []


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_cause_is_named_first(mailing: House, fault: str):
    cause, plant = FAULTS[fault]
    plant(mailing)
    found = await mailing.look(SLUG)
    assert found.cause is not None and found.cause.check == cause, found
    assert found.verdict == "problem" and found.fixes


async def test_a_recipient_who_opted_out_since_the_approval(mailing: House):
    await policies.change_policy(mailing.db, mailing.scope, TO, "email", PolicyUpdate(opted_out=True))
    assert await _cause(mailing) == "opted-out"


async def test_a_cap_tells_when_its_window_ends(mailing: House):
    await policies.change_policy(mailing.db, mailing.scope, TO, "email", PolicyUpdate(frequency_cap=2))
    mailing.sql("UPDATE contact_channel_policies SET sent_in_window = 2, window_started_at = now()")
    found = await mailing.look(SLUG)
    assert found.cause is not None and found.cause.check == "cap"
    told = next(c.observed for c in found.checks if c.id == "cap")
    assert "2 of 2 in 24 h, window ends" in told and "can be sent from" in told


@pytest.mark.parametrize(("one", "verdict"), [(True, "problem"), (False, "ok")])
async def test_of_all_messages_together_a_draft_is_nothing_unusual(mailing: House, one: bool, verdict: str):
    _change(payload="'{}'")(mailing)
    mailing.outbound_id = mailing.outbound_id if one else None
    found = await mailing.look(SLUG)
    assert found.verdict == verdict
    assert next(c.status for c in found.checks if c.id == "approval") == ("fail" if one else "warn")


@pytest.mark.parametrize(
    ("check", "plant"),
    [(FAULTS[name][0], FAULTS[name][1]) for name in ("blocked", "stopped by a reply", "a cap that was noted")],
)
async def test_what_the_gates_hold_back_is_the_product_at_work(mailing: House, check: str, plant: Any):
    plant(mailing)
    mailing.outbound_id = None
    found = await mailing.look(SLUG)
    assert (found.verdict, found.cause) == ("ok", None)
    assert next(c.status for c in found.checks if c.id == check) == "warn"


async def test_a_pause_is_why_one_message_does_not_go_and_who_made_it_is_named(mailing: House):
    ben = replace(mailing.scope, actor=replace(mailing.scope.actor, username="ben"))
    await schedules.change(mailing.db, ben, "outbound_process", status="paused")
    found = await mailing.look(SLUG)
    assert found.cause is not None and found.cause.check == "paused" and "ben paused it" in found.cause.message
    assert found.fixes[0].path == "/jobs/scheduler/outbound_process"


async def _cause(house: House) -> str | None:
    assert isinstance(house.outbound_id, UUID)
    found = await house.look(SLUG)
    return found.cause.check if found.cause else None
