"""Preflight: which gates a message would pass now, and when it could be sent. It changes nothing."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import humanize

from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.outbound import (
    gates,
    kill_switch,
    kill_switch_queries,
    messages,
    policies,
    recipient_queries,
    rules_queries,
    suppression_queries,
)
from proofdesk.outbound.channels.registry import REQUIRED_SETTINGS
from proofdesk.outbound.delivery import attempt_queries
from proofdesk.outbound.gates import Policy
from proofdesk.outbound.kill_switch_queries import ActiveKillSwitch
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.outbound.suppression_queries import SuppressedRecipient
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class GateCheck:
    """The result of one gate, with a sentence for people."""

    gate: str
    passes: bool
    detail: str


@dataclass(frozen=True)
class Situation:
    """What the gates depend on besides the message and the policy.

    `is_contact`: the recipient is a contact of Chatwoot, who is read again before the message is claimed. `synced_at`:
    up to when the sources of the project were synced.
    """

    latest_reply: datetime | None = None
    is_contact: bool = False
    synced_at: datetime | None = None
    send_unconfirmed: bool = False
    suppression: SuppressedRecipient | None = None
    kill_switch: ActiveKillSwitch | None = None


@dataclass(frozen=True)
class Preflight:
    """All gates in their order. `sendable_at` is None while a person must act first."""

    gates: list[GateCheck]
    sendable_at: datetime | None


async def check_gates(db: Database, scope: Scope, channels: Collection[str], outbound_id: UUID) -> Preflight:
    """Evaluate the gates of a message; `channels` are the configured ones. Raises `OutboundNotFound`."""
    async with db.scoped(scope) as conn:
        message = await messages.read_message(conn, scope, outbound_id)
        recipient_policies = await policies.load_policies(conn, scope, message.channel, message.recipient_ref)
        situation = await _load_situation(conn, scope, message.channel, message.recipient_ref)
        now = await attempt_queries.fetch_current_time(conn)
    policy = gates.combine_policies(recipient_policies, now) if recipient_policies else None
    latest_reply = gates.latest([policy and policy.last_inbound_at, situation.latest_reply])
    return evaluate_gates(message, policy, replace(situation, latest_reply=latest_reply), channels, now)


async def _load_situation(conn: Conn, scope: Scope, channel: str, recipient: str) -> Situation:
    suppressed = await suppression_queries.fetch_suppressed(conn, scope, [channel], [recipient])
    replies = await recipient_queries.fetch_latest_replies(conn, scope, [recipient])
    return Situation(
        latest_reply=replies.get(recipient),
        is_contact=bool(await recipient_queries.fetch_recipient_contacts(conn, scope, [recipient])),
        synced_at=await recipient_queries.fetch_synced_at(conn, scope),
        send_unconfirmed=(await rules_queries.fetch_rules(conn, scope)).send_unconfirmed,
        kill_switch=await kill_switch_queries.fetch_active(conn, scope),
        suppression=next(iter(suppressed), None),
    )


def evaluate_gates(
    message: OutboundMessage,
    policy: Policy | None,
    situation: Situation,
    channels: Collection[str],
    now: datetime,
) -> Preflight:
    """Return the result of each gate."""
    cap_check, window_ends_at = _check_cap(policy, now)
    checks = [
        _check_kill_switch(situation.kill_switch),
        _check_opt_out(policy),
        _check_suppression(situation.suppression),
        _check_reply(message, policy, situation.latest_reply),
        _check_freshness(message, situation, now),
        cap_check,
        _check_state(message, now),
        _check_channel(message, channels),
    ]
    failed_gates = {check.gate for check in checks if not check.passes}
    passes_later = message.next_attempt_at is not None and failed_gates <= {"frequency_cap", "state"}
    times = [time for time in (window_ends_at, message.scheduled_at, now) if time is not None]
    return Preflight(checks, max(times) if passes_later else None)


def _check_kill_switch(active: ActiveKillSwitch | None) -> GateCheck:
    detail = "Sending is on." if active is None else f"{kill_switch.describe(active)}."
    return GateCheck("kill_switch", active is None, detail)


def _check_opt_out(policy: Policy | None) -> GateCheck:
    passes = policy is None or not policy.opted_out
    detail = "The recipient has not opted out." if passes else "The recipient has opted out of this channel."
    return GateCheck("opt_out", passes, detail)


def _check_suppression(suppressed: SuppressedRecipient | None) -> GateCheck:
    if suppressed is None:
        return GateCheck("suppression", True, "The recipient is not on the suppression list.")
    until = f" until {_format_time(suppressed.expires_at)}" if suppressed.expires_at else ""
    return GateCheck("suppression", False, f"The recipient is on the suppression list ({suppressed.reason}){until}.")


def _check_reply(message: OutboundMessage, policy: Policy | None, latest_reply: datetime | None) -> GateCheck:
    if policy is not None and not policy.stop_on_reply:
        return GateCheck("stop_on_reply", True, "A reply does not stop messages to this recipient.")
    if latest_reply is None or not gates.is_reply(latest_reply, message.approved_at):
        return GateCheck("stop_on_reply", True, "The recipient has not written since the approval.")
    return GateCheck(
        "stop_on_reply", False, f"The recipient wrote at {_format_time(latest_reply)}, after the approval."
    )


def _check_freshness(message: OutboundMessage, situation: Situation, now: datetime) -> GateCheck:
    if not situation.is_contact:
        return GateCheck("freshness", True, "The recipient is not a contact in Chatwoot.")
    read_at = "was not read yet"
    if situation.synced_at is not None:
        read_at = f"was last read {humanize.naturaltime(now - situation.synced_at)}"
    known = f"What the contact wrote {read_at}. It is read again before the message is sent."
    reason = message.last_error or ""
    if not reason.startswith(gates.UNCONFIRMED) or situation.send_unconfirmed:
        return GateCheck("freshness", True, known)
    cause = reason.removeprefix(f"{gates.UNCONFIRMED}: ").rstrip(".")
    return GateCheck("freshness", False, f"Cannot confirm that the contact has not replied: {cause}. It is retried.")


def _check_cap(policy: Policy | None, now: datetime) -> tuple[GateCheck, datetime | None]:
    if policy is None:
        return GateCheck("frequency_cap", True, "The recipient has not received a message yet."), None
    count, cap = gates.close_expired_window(policy, now).sent_in_window, policy.frequency_cap
    detail = f"{count} of {cap} messages in {policy.frequency_window_hours} hours."
    if count < cap:
        return GateCheck("frequency_cap", True, detail), None
    end = policy.window_ends_at
    return GateCheck("frequency_cap", False, f"{detail} The window ends at {_format_time(end or now)}."), end


def _check_state(message: OutboundMessage, now: datetime) -> GateCheck:
    if message.next_attempt_at is None:
        return GateCheck("state", False, f"The message is {message.status}. Only an approved message can be sent.")
    if message.scheduled_at is not None and message.scheduled_at > now:
        return GateCheck("state", False, f"The message is scheduled for {_format_time(message.scheduled_at)}.")
    return GateCheck("state", True, f"The message is {message.status}.")


def _check_channel(message: OutboundMessage, channels: Collection[str]) -> GateCheck:
    if message.channel in channels:
        return GateCheck("provider", True, f"The channel {message.channel} is configured.")
    settings = REQUIRED_SETTINGS[message.channel]
    return GateCheck("provider", False, f"The channel {message.channel} is not configured. Set {settings}.")


def _format_time(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
