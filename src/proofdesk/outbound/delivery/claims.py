"""Claims: one worker takes messages, evaluates their gates and stores their attempts, in one transaction.

Rows are locked in one order: messages before policies, and policies by id. An opt-out, or a sync that stores a message
of the recipient, therefore comes before the decision or waits for it.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from proofdesk.audit import events
from proofdesk.audit.events import BulkEvent
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.outbound import (
    gates,
    kill_switch,
    kill_switch_queries,
    message_queries,
    messages,
    policies,
    recipient_queries,
    rules_queries,
    suppression_queries,
)
from proofdesk.outbound.channels.interface import Channel
from proofdesk.outbound.delivery import attempt_queries, claim_queries, outcomes
from proofdesk.outbound.delivery.attempt_queries import StartedAttempt
from proofdesk.outbound.delivery.claim_queries import ChannelDelay, HeldMessage, MessageUpdate
from proofdesk.outbound.delivery.last_look import Unconfirmed
from proofdesk.outbound.gates import ContactState, GateDecision, Policy
from proofdesk.outbound.kill_switch import KillSwitchOn
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.outbound.messages import InvalidState
from proofdesk.outbound.policy_queries import store_windows
from proofdesk.projects.scope import Scope

CHANNEL_NOT_CONFIGURED = "provider_not_configured"
HOLD_SECONDS = 30.0
"""How long a last look and the claim after it may take together."""
_CONFIGURATION_CHECK_INTERVAL = timedelta(minutes=5)
_ACTIONS = {"blocked_opt_out": "outbound.opt_out_block", "cancelled": "outbound.cancel", "deferred": "outbound.defer"}


@dataclass(frozen=True)
class ClaimedMessage:
    """A message that passed all gates, and its stored attempt.

    `started` and `deadline` are of `time.monotonic`. No call may start after `deadline`, because another worker may
    then count the attempt as lost.
    """

    message: OutboundMessage
    attempt: StartedAttempt
    started: float
    deadline: float


@dataclass(frozen=True)
class Claim:
    """The messages of one transaction: those to send now, and those that a gate rejected, with its decision."""

    claimed: list[ClaimedMessage] = field(default_factory=list)
    rejected: list[tuple[OutboundMessage, GateDecision]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.claimed) + len(self.rejected)


@dataclass(frozen=True)
class ClaimTerms:
    """What a claim is evaluated with: the configured channels, and the recipients that could not be confirmed.

    `lease`: seconds after which an attempt counts as lost.
    """

    channels: Mapping[str, Channel]
    lease: float
    unconfirmed: Unconfirmed


async def hold_due_messages(
    db: Database, scope: Scope, channels: Mapping[str, Channel], limit: int
) -> list[HeldMessage]:
    """Take at most `limit` due messages of the channels that are not paused, for the time of a last look.

    If this worker is lost, they are due again after `HOLD_SECONDS`. Due messages of a channel that asks every worker to
    wait get a later time and the reason. While the kill switch is on, nothing is due.
    """
    pauses = {name: c.pause for name, c in channels.items() if c.pause is not None and c.pause.hold > 0}
    delays = [
        ChannelDelay(name, outcomes.format_reason(pause.reason), pause.wait)
        for name, pause in pauses.items()
        if pause.all_workers
    ]
    async with db.scoped(scope) as conn:
        if await kill_switch_queries.fetch_active(conn, scope) is not None:
            return []
        if delays:
            await claim_queries.delay_channels(conn, scope, delays)
        return await claim_queries.hold_due_messages(conn, scope, limit, list(pauses), HOLD_SECONDS)


async def claim_messages(db: Database, scope: Scope, message_ids: Sequence[UUID], terms: ClaimTerms) -> Claim:
    """Claim messages that this worker holds."""
    started = time.monotonic()
    async with db.scoped(scope) as conn:
        if await kill_switch_queries.fetch_active(conn, scope) is not None:
            return Claim()
        locked_ids = await claim_queries.lock_held_messages(conn, scope, message_ids)
        if not locked_ids:
            return Claim()
        held_messages = await message_queries.fetch_messages(conn, scope, locked_ids)
        return await _claim_locked(conn, scope, held_messages, terms, started)


async def claim_message(db: Database, scope: Scope, outbound_id: UUID, terms: ClaimTerms) -> Claim:
    """Claim one message, even if its retry or its window is later.

    Raises `OutboundNotFound`, `InvalidState` or `KillSwitchOn`.
    """
    started = time.monotonic()
    async with db.scoped(scope) as conn:
        message = await messages.lock_message(conn, scope, outbound_id)
        if message.next_attempt_at is None:
            raise InvalidState(f"{messages.name_by_status(message)} cannot be sent: {_advice(message)}", message)
        now = await attempt_queries.fetch_current_time(conn)
        if message.scheduled_at is not None and message.scheduled_at > now:
            raise InvalidState(f"The message is scheduled for {message.scheduled_at:%Y-%m-%dT%H:%M:%SZ}.", message)
        if (stopped := await kill_switch_queries.fetch_active(conn, scope)) is not None:
            raise KillSwitchOn(f"{kill_switch.describe(stopped)}.")
        return await _claim_locked(conn, scope, [message], terms, started)


async def _claim_locked(
    conn: Conn,
    scope: Scope,
    locked_messages: Sequence[OutboundMessage],
    terms: ClaimTerms,
    started: float,
) -> Claim:
    """Evaluate the gates of messages that this transaction has locked, and store the attempts of those that pass."""
    recipients = await policies.ensure_policies(conn, scope, [(m.channel, m.recipient_ref) for m in locked_messages])
    policy_ids = {(r.channel, r.recipient): r.policy_ids for r in recipients}
    locked_policies = await policies.lock_policies(conn, scope, recipients)
    contacts = await _load_contacts(conn, scope, locked_messages, terms.unconfirmed)
    now = await attempt_queries.fetch_current_time(conn)
    passed: dict[UUID, OutboundMessage] = {}
    rejected: list[tuple[OutboundMessage, GateDecision]] = []
    updates: list[MessageUpdate] = []
    for message in locked_messages:
        ids = policy_ids[message.channel, message.recipient_ref]
        contact = contacts[message.channel, message.recipient_ref]
        decision = _evaluate(message, [locked_policies[i] for i in ids], contact, terms.channels, now)
        updates.append(_update(message, decision, ids))
        if decision == gates.PASS:
            passed[message.id] = message
            locked_policies |= {i: gates.reserve_slot(locked_policies[i], now) for i in ids}
        else:
            rejected.append((message, decision))
    await claim_queries.update_claimed_messages(conn, scope, updates)
    attempts = await attempt_queries.insert_attempts(conn, scope, list(passed), now, terms.lease) if passed else []
    if passed:
        await store_windows(conn, scope, list(locked_policies.values()))
    new_reasons = [_event(message, decision) for message, decision in rejected if message.last_error != decision.reason]
    await events.record_many(conn, scope, scope.actor, new_reasons)
    deadline = started + terms.lease / 2
    return Claim([ClaimedMessage(passed[a.outbound_id], a, started, deadline) for a in attempts], rejected)


async def _load_contacts(
    conn: Conn, scope: Scope, locked_messages: Sequence[OutboundMessage], unconfirmed: Unconfirmed
) -> dict[tuple[str, str], ContactState]:
    """Return what is known of the recipients, by channel and recipient."""
    channels, recipients = [m.channel for m in locked_messages], [m.recipient_ref for m in locked_messages]
    replies = await recipient_queries.fetch_latest_replies(conn, scope, recipients)
    suppressed = await suppression_queries.fetch_suppressed(conn, scope, channels, recipients)
    reasons = {(row.channel, row.recipient): row.reason for row in suppressed}
    if (await rules_queries.fetch_rules(conn, scope)).send_unconfirmed:
        unconfirmed = {}
    return {
        (channel, recipient): ContactState(
            replies.get(recipient), unconfirmed.get(recipient), reasons.get((channel, recipient))
        )
        for channel, recipient in zip(channels, recipients, strict=True)
    }


def _evaluate(
    message: OutboundMessage,
    recipient_policies: list[Policy],
    contact: ContactState,
    channels: Collection[str],
    now: datetime,
) -> GateDecision:
    assert message.approved_at is not None, "only approved messages are due"
    policy = gates.combine_policies(recipient_policies, now)
    contact = replace(contact, latest_reply=gates.latest([policy.last_inbound_at, contact.latest_reply]))
    decision = gates.evaluate(message.approved_at, policy, contact, now)
    if decision == gates.PASS and message.channel not in channels:
        return GateDecision("deferred", CHANNEL_NOT_CONFIGURED, now + _CONFIGURATION_CHECK_INTERVAL)
    return decision


def _update(message: OutboundMessage, decision: GateDecision, policy_ids: list[UUID]) -> MessageUpdate:
    status = {"pass": "sending", "deferred": message.status}.get(decision.verdict, decision.verdict)
    return MessageUpdate(message.id, status, decision.reason, decision.until, policy_ids)


def _event(message: OutboundMessage, decision: GateDecision) -> BulkEvent:
    payload = {"reason": decision.reason, "from": message.status, "channel": message.channel}
    until = {"until": decision.until.isoformat()} if decision.until else {}
    return BulkEvent(_ACTIONS[decision.verdict], messages.ENTITY_TYPE, message.id, decision.verdict, payload | until)


def _advice(message: OutboundMessage) -> str:
    return {
        "draft": "approve it first.",
        "sending": "it is being sent.",
        "sent": "it was sent already.",
        "failed": "retry it first (/retry).",
    }.get(message.status, "make it a draft again first (/redraft).")
