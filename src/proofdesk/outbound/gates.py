"""Gates: the rules that decide whether a message may be sent, without database and clock.

`delivery` evaluates them in the transaction that claims a message, with the rows locked. `preflight` evaluates them to
explain the result.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

OPTED_OUT, REPLIED, CAP_REACHED = "recipient_opted_out", "stop_on_reply", "frequency_cap_reached"
UNCONFIRMED, SUPPRESSED = "reply_unconfirmed", "recipient_suppressed"
_LOOK_AGAIN_AFTER = timedelta(minutes=1)


@dataclass(frozen=True)
class Policy:
    """What a contact allows on a channel.

    A frequency window starts with its first message. A message takes its slot in the window before it is sent.
    """

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
        """When the present window ends; None without a window."""
        if self.window_started_at is None:
            return None
        return self.window_started_at + timedelta(hours=self.frequency_window_hours)


@dataclass(frozen=True)
class GateDecision:
    """`pass`, or why not: `reason` is a code of `last_error`, `until` is when a deferred message is due again."""

    verdict: Literal["pass", "blocked_opt_out", "cancelled", "deferred"]
    reason: str | None = None
    until: datetime | None = None


PASS = GateDecision("pass")


@dataclass(frozen=True)
class ContactState:
    """What is known of a recipient: when they last wrote, and why Chatwoot could not be asked just now.

    `unconfirmed` is None when Chatwoot was asked, or when there is nothing to ask. `suppressed` is the reason why the
    channel does not reach them.
    """

    latest_reply: datetime | None = None
    unconfirmed: str | None = None
    suppressed: str | None = None


def evaluate(approved_at: datetime, policy: Policy, contact: ContactState, now: datetime) -> GateDecision:
    """Return the decision of the gates: opt-out, suppression, stop-on-reply, freshness, frequency cap."""
    if policy.opted_out:
        return GateDecision("blocked_opt_out", OPTED_OUT)
    if contact.suppressed is not None:
        return GateDecision("cancelled", f"{SUPPRESSED}: {contact.suppressed}")
    if policy.stop_on_reply and is_reply(contact.latest_reply, approved_at):
        return GateDecision("cancelled", REPLIED)
    if contact.unconfirmed is not None:
        return GateDecision("deferred", f"{UNCONFIRMED}: {contact.unconfirmed}", now + _LOOK_AGAIN_AFTER)
    if policy.frequency_cap <= close_expired_window(policy, now).sent_in_window:
        return GateDecision("deferred", CAP_REACHED, policy.window_ends_at)
    return PASS


def is_reply(written_at: datetime | None, approved_at: datetime | None) -> bool:
    """Return whether a contact wrote since the approval.

    A time of Chatwoot is a whole second and stands for all of it, so a message in the second of the approval counts.
    """
    if written_at is None or approved_at is None:
        return False
    return written_at > approved_at or written_at == approved_at.replace(microsecond=0)


def combine_policies(policies: Sequence[Policy], now: datetime) -> Policy:
    """Return the policies of one contact as one policy, in which each rule is the strictest of them."""

    def strictness(policy: Policy) -> tuple[int, datetime]:
        current = close_expired_window(policy, now)
        return current.sent_in_window - policy.frequency_cap, current.window_ends_at or now

    return replace(
        max(policies, key=strictness),
        opted_out=any(p.opted_out for p in policies),
        stop_on_reply=any(p.stop_on_reply for p in policies),
        last_inbound_at=latest(p.last_inbound_at for p in policies),
        last_outbound_at=latest(p.last_outbound_at for p in policies),
    )


def close_expired_window(policy: Policy, now: datetime) -> Policy:
    """Return the policy with an empty window if its window has ended."""
    end = policy.window_ends_at
    return policy if end is None or now < end else replace(policy, sent_in_window=0, window_started_at=None)


def with_sent_at_least(policy: Policy, sent: int) -> Policy:
    """Return the policy with at least this number of messages in its window, if it has a window."""
    return replace(policy, sent_in_window=max(policy.sent_in_window, sent)) if policy.window_started_at else policy


def reserve_slot(policy: Policy, now: datetime) -> Policy:
    """Return the policy with a slot taken by a message that is about to be sent; a new window starts without one."""
    current = close_expired_window(policy, now)
    started_at = current.window_started_at or now
    return replace(current, sent_in_window=current.sent_in_window + 1, window_started_at=started_at)


def release_slot(policy: Policy, reserved_at: datetime) -> Policy:
    """Return the policy without the slot of a message that was not delivered; a later window is left as it is."""
    started_at = policy.window_started_at
    if started_at is None or reserved_at < started_at:
        return policy
    remaining = policy.sent_in_window - 1
    return replace(policy, sent_in_window=remaining, window_started_at=started_at if remaining else None)


def latest(times: Iterable[datetime | None]) -> datetime | None:
    """Return the latest time, ignoring None; None without any."""
    return max((time for time in times if time is not None), default=None)
