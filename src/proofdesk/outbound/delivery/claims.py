"""Claims: messages taken by one worker, decided about, and their attempts written down, in one transaction.

Rows are locked in one order, messages before policies and policies by their ids: whoever opts out, and a sync that
stores a message of the recipient, comes before the decision or waits for it.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from proofdesk.audit import events
from proofdesk.audit.events import BulkEvent
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.outbound import gates, messages, policies, policy_queries
from proofdesk.outbound import message_queries as outbound_queries
from proofdesk.outbound.channels.interface import Channel
from proofdesk.outbound.delivery import attempt_queries, outcomes
from proofdesk.outbound.delivery.attempt_queries import ChannelDelay, MessageUpdate, StartedAttempt
from proofdesk.outbound.gates import GateDecision, Policy
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.outbound.messages import InvalidState
from proofdesk.projects.scope import Scope

CHANNEL_NOT_CONFIGURED = "provider_not_configured"
_LOOK_AGAIN = timedelta(minutes=5)  # whether the channel is configured by now
_ACTIONS = {"blocked_opt_out": "outbound.opt_out_block", "cancelled": "outbound.cancel", "deferred": "outbound.defer"}


@dataclass(frozen=True)
class ClaimedMessage:
    """A message on its way. No call may be made after `until` (of `time.monotonic`): others may think it lost then."""

    message: OutboundMessage
    attempt: StartedAttempt
    started: float
    deadline: float


@dataclass(frozen=True)
class Claim:
    """What was taken: messages to be sent now, and those that may not be, each with the reason."""

    claimed: list[ClaimedMessage] = field(default_factory=list)
    rejected: list[tuple[OutboundMessage, GateDecision]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.claimed) + len(self.rejected)


async def claim_due_messages(
    db: Database, scope: Scope, providers: Mapping[str, Channel], lease: float, most: int
) -> Claim:
    """Take at most so many messages whose time has come, on channels whose provider asks for no pause.

    What waits for a provider that asks every worker to wait gets a later time and the reason.
    """
    began = time.monotonic()
    pauses = {name: p.pause for name, p in providers.items() if p.pause is not None and p.pause.hold > 0}
    async with db.scoped(scope) as conn:
        if waits := [
            ChannelDelay(n, outcomes.format_reason(p.reason), p.wait) for n, p in pauses.items() if p.all_workers
        ]:
            await attempt_queries.delay_channels(conn, scope, waits)
        ids = await attempt_queries.lock_due_messages(conn, scope, most, list(pauses))
        if not ids:
            return Claim()
        found = await outbound_queries.fetch_messages(conn, scope, ids)
        return await _decided(conn, scope, found, providers, lease, began)


async def claim_message(
    db: Database, scope: Scope, channels: Collection[str], lease: float, outbound_id: UUID
) -> Claim:
    """Take one message, although its retry or its window may be later. Raises `OutboundNotFound` or `InvalidState`."""
    began = time.monotonic()
    async with db.scoped(scope) as conn:
        found = await messages.lock_message(conn, scope, outbound_id)
        if found.next_attempt_at is None:
            raise InvalidState(f"A message that is {found.status} cannot be sent: {_what_to_do(found)}", found)
        now = await attempt_queries.fetch_current_time(conn)
        if found.scheduled_at is not None and found.scheduled_at > now:
            raise InvalidState(f"The message is scheduled for {found.scheduled_at:%Y-%m-%dT%H:%M:%SZ}.", found)
        return await _decided(conn, scope, [found], channels, lease, began)


async def _decided(
    conn: Conn, scope: Scope, found: Sequence[OutboundMessage], channels: Collection[str], lease: float, began: float
) -> Claim:
    people = await policies.ensure_policies(conn, scope, [(m.channel, m.recipient_ref) for m in found])
    of = {(p.channel, p.recipient): p.policy_ids for p in people}
    held = await policies.lock_policies(conn, scope, people)
    heard = await policy_queries.fetch_latest_replies(conn, scope, [m.recipient_ref for m in found])
    now = await attempt_queries.fetch_current_time(conn)
    decisions = []
    for message in found:
        ids = of[message.channel, message.recipient_ref]
        decision = _decision(message, [held[i] for i in ids], heard.get(message.recipient_ref), channels, now)
        if decision == gates.PASS:
            held |= {i: gates.reserve_slot(held[i], now) for i in ids}
        decisions.append((message, decision, ids))
    passed = {message.id: message for message, decision, _ in decisions if decision == gates.PASS}
    await attempt_queries.update_claimed_messages(conn, scope, [_row(*each) for each in decisions])
    begun = await attempt_queries.insert_attempts(conn, scope, list(passed), now, lease) if passed else []
    if passed:
        await policy_queries.store_windows(conn, scope, list(held.values()))
    held_back = [(message, decision) for message, decision, _ in decisions if decision != gates.PASS]
    await events.record_many(conn, scope, scope.actor, [_event(m, d) for m, d in held_back if m.last_error != d.reason])
    return Claim([ClaimedMessage(passed[b.outbound_id], b, began, began + lease / 2) for b in begun], held_back)


def _decision(
    message: OutboundMessage, allowed: list[Policy], heard: datetime | None, channels: Collection[str], now: datetime
) -> GateDecision:
    assert message.approved_at is not None, "only what is approved is ever due"
    person = gates.combine_policies(allowed, now)
    newest = gates.latest([person.last_inbound_at, heard])
    decision = gates.evaluate(message.approved_at, person, newest, now)
    if decision == gates.PASS and message.channel not in channels:
        return GateDecision("deferred", CHANNEL_NOT_CONFIGURED, now + _LOOK_AGAIN)
    return decision


def _row(message: OutboundMessage, decision: GateDecision, policy_ids: list[UUID]) -> MessageUpdate:
    status = {"pass": "sending", "deferred": message.status}.get(decision.verdict, decision.verdict)
    return MessageUpdate(message.id, status, decision.reason, decision.until, policy_ids)


def _event(message: OutboundMessage, decision: GateDecision) -> BulkEvent:
    payload = {"reason": decision.reason, "from": message.status, "channel": message.channel}
    until = {"until": decision.until.isoformat()} if decision.until else {}
    return BulkEvent(_ACTIONS[decision.verdict], messages.ENTITY_TYPE, message.id, decision.verdict, payload | until)


def _what_to_do(found: OutboundMessage) -> str:
    return {
        "draft": "approve it first.",
        "sending": "it is on its way.",
        "sent": "it is out already.",
        "failed": "let it be tried again first: /retry.",
    }.get(found.status, "make a draft of it again: /redraft.")
