"""The gates without a database: a table of cases, and a state machine that tries sequences."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proofdesk.outbound import gates
from proofdesk.outbound.gates import ContactState, GateDecision, Policy

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ID = UUID(int=1)
FREE = Policy(ID, ID, ID, "a@example.com", "email", False, True, 24, 3, 0, None, None, None, NOW)
FULL = replace(FREE, sent_in_window=3, window_started_at=NOW - HOUR)
BLOCKED, STOPPED = GateDecision("blocked_opt_out", "recipient_opted_out"), GateDecision("cancelled", "stop_on_reply")
DEFERRED = GateDecision("deferred", "frequency_cap_reached", NOW + 23 * HOUR)


@pytest.mark.parametrize(
    ("allowed", "newest_inbound", "expected"),
    [
        (FREE, None, gates.PASS),
        (replace(FREE, opted_out=True), None, BLOCKED),
        (FREE, NOW, STOPPED),
        (FREE, NOW - 2 * HOUR, gates.PASS),
        (FREE, NOW - HOUR, STOPPED),
        (replace(FREE, stop_on_reply=False), NOW, gates.PASS),
        (FULL, None, DEFERRED),
        (replace(FULL, sent_in_window=2), None, gates.PASS),
        (replace(FULL, frequency_cap=4), None, gates.PASS),
        (replace(FULL, frequency_cap=1), None, DEFERRED),
        (replace(FULL, window_started_at=NOW - 24 * HOUR), None, gates.PASS),
        (replace(FULL, frequency_window_hours=1), None, gates.PASS),
        (replace(FULL, window_started_at=NOW - 24 * HOUR + timedelta(microseconds=1)), None,
         replace(DEFERRED, until=NOW + timedelta(microseconds=1))),
        (replace(FULL, opted_out=True), NOW, BLOCKED),
        (FULL, NOW, STOPPED),
    ],
    ids=[
        "no gate applies", "opted out", "replied", "wrote before the approval",
        "wrote at the instant of the approval", "a reply does not stop it", "the cap is reached",
        "one place is free", "a higher cap", "a lower cap", "the window is over", "a shorter window is over",
        "the window is nearly over", "opt-out goes before everything", "a reply goes before the cap",
    ],
)  # fmt: skip
def test_gates_decide_in_order(allowed: Policy, newest_inbound: datetime | None, expected: GateDecision):
    assert gates.evaluate(NOW - HOUR, allowed, ContactState(newest_inbound), NOW) == expected


def test_strictest_of_several_policies_counts():
    calm = replace(FREE, stop_on_reply=False)
    assert gates.combine_policies([calm, replace(calm, opted_out=True)], NOW).opted_out
    assert gates.combine_policies([calm, FREE], NOW).stop_on_reply
    both = gates.combine_policies([replace(calm, frequency_cap=200), FULL], NOW)
    assert gates.evaluate(NOW - HOUR, replace(both, stop_on_reply=False), ContactState(), NOW) == DEFERRED


class Windows(RuleBasedStateMachine):
    """One contact, many messages, a clock that only goes forward, and channels that fail or do not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.policy = FREE
        self.heard: datetime | None = None
        self.flying: list[datetime] = []
        self.delivered: list[datetime] = []

    @rule(minutes=st.integers(1, 40 * 60))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(approved=st.integers(0, 60))
    def claim(self, approved: int) -> None:
        approved_at = self.now - timedelta(minutes=approved)
        decision = gates.evaluate(approved_at, self.policy, ContactState(self.heard), self.now)
        if self.policy.opted_out:
            assert decision == BLOCKED
        elif self.policy.stop_on_reply and gates.is_reply(self.heard, approved_at):
            assert decision == STOPPED
        elif decision == gates.PASS:
            self.policy = gates.reserve_slot(self.policy, self.now)
            self.flying.append(self.now)
        else:
            assert decision.until is not None and decision.until > self.now
            opened = gates.evaluate(decision.until, self.policy, ContactState(self.heard), decision.until)
            assert opened == gates.PASS, "the cap opens again"

    @precondition(lambda self: self.flying)
    @rule(outcome=st.sampled_from(["sent", "failed", "unknown"]), which=st.integers(0, 10))
    def settle(self, outcome: str, which: int) -> None:
        reserved = self.flying.pop(which % len(self.flying))
        if outcome == "failed":
            self.policy = gates.release_slot(self.policy, reserved)
        else:
            self.delivered.append(reserved)

    @rule(out=st.booleans())
    def choose(self, out: bool) -> None:
        self.policy = replace(self.policy, opted_out=out)

    @rule(stop=st.booleans())
    def change(self, stop: bool) -> None:
        self.policy = replace(self.policy, stop_on_reply=stop)

    @rule()
    def reply(self) -> None:
        self.heard = self.now

    @invariant()
    def no_window_holds_more_than_the_cap(self) -> None:
        started = self.policy.window_started_at
        taken = [t for t in self.flying + self.delivered if started is not None and t >= started]
        assert len(taken) <= self.policy.frequency_cap
        assert self.policy.sent_in_window == len(taken), "every place is taken by a message that may have arrived"

    @invariant()
    def a_window_starts_with_a_send(self) -> None:
        assert (self.policy.sent_in_window == 0) == (self.policy.window_started_at is None)
        assert 0 <= self.policy.sent_in_window <= self.policy.frequency_cap


Windows.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestWindows = Windows.TestCase
