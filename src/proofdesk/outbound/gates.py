"""Whether a message may go out: the rules alone, without database and clock.

`delivery` asks them in the transaction that claims a message, with the rows locked; `preflight` asks them to tell.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

OPTED_OUT, REPLIED, CAP_REACHED = "recipient_opted_out", "stop_on_reply", "frequency_cap_reached"


@dataclass(frozen=True)
class Policy:
    """What a person allows on a channel. A window starts with its first send; its places are taken before a call."""

    id: UUID
    project_id: UUID
    account_scope_id: UUID
    contact_global_id: str
    channel: str
    opted_out: bool
    stop_on_reply: bool
    frequency_window_hours: int
    frequency_cap: int
    sent_in_window: int
    window_started_at: datetime | None
    last_outbound_at: datetime | None
    last_inbound_at: datetime | None
    updated_at: datetime

    @property
    def window_ends_at(self) -> datetime | None:
        """When the window that is under way is over."""
        if self.window_started_at is None:
            return None
        return self.window_started_at + timedelta(hours=self.frequency_window_hours)


@dataclass(frozen=True)
class GateDecision:
    """`pass`, or why not: `reason` is a code of `last_error`; `until` is when a deferred message may be tried again."""

    verdict: Literal["pass", "blocked_opt_out", "cancelled", "deferred"]
    reason: str | None = None
    until: datetime | None = None


PASS = GateDecision("pass")


def evaluate(approved_at: datetime, policy: Policy, newest_inbound: datetime | None, now: datetime) -> GateDecision:
    """The gates in their order: opt-out, stop-on-reply, frequency cap."""
    if policy.opted_out:
        return GateDecision("blocked_opt_out", OPTED_OUT)
    if policy.stop_on_reply and newest_inbound is not None and newest_inbound > approved_at:
        return GateDecision("cancelled", REPLIED)
    if policy.frequency_cap <= close_expired_window(policy, now).sent_in_window:
        return GateDecision("deferred", CAP_REACHED, policy.window_ends_at)
    return PASS


def combine_policies(policies: Sequence[Policy], now: datetime) -> Policy:
    """One person as one policy, should several be known: each rule as the strictest of them has it."""
    tightest = max(
        policies, key=lambda p: (close_expired_window(p, now).sent_in_window - p.frequency_cap, _end(p, now))
    )
    return replace(
        tightest,
        opted_out=any(p.opted_out for p in policies),
        stop_on_reply=any(p.stop_on_reply for p in policies),
        last_inbound_at=latest(p.last_inbound_at for p in policies),
        last_outbound_at=latest(p.last_outbound_at for p in policies),
    )


def close_expired_window(policy: Policy, now: datetime) -> Policy:
    """The policy with its window closed if that is over."""
    end = policy.window_ends_at
    return policy if end is None or now < end else replace(policy, sent_in_window=0, window_started_at=None)


def with_sent_at_least(policy: Policy, sent: int) -> Policy:
    """The policy with what was sent to the whole person in its window, if that is more than it has counted itself."""
    return replace(policy, sent_in_window=max(policy.sent_in_window, sent)) if policy.window_started_at else policy


def reserve_slot(policy: Policy, now: datetime) -> Policy:
    """With a place taken for a message that is about to go out, in a new window if none is under way."""
    open_now = close_expired_window(policy, now)
    started = open_now.window_started_at or now
    return replace(open_now, sent_in_window=open_now.sent_in_window + 1, window_started_at=started)


def release_slot(policy: Policy, reserved_at: datetime) -> Policy:
    """With the place free again that was taken then, since nothing was delivered; a later window keeps its places."""
    started = policy.window_started_at
    if started is None or reserved_at < started:
        return policy
    left = policy.sent_in_window - 1
    return replace(policy, sent_in_window=left, window_started_at=started if left else None)


def latest(times: Iterable[datetime | None]) -> datetime | None:
    """The latest of times, of which some are not known."""
    return max((t for t in times if t is not None), default=None)


def _end(policy: Policy, now: datetime) -> datetime:
    return close_expired_window(policy, now).window_ends_at or now
