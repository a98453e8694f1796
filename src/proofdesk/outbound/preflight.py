"""Preflight: which gates a message would pass now, why not, and from when on it could be sent. It changes nothing."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from proofdesk.database.pool import Database
from proofdesk.outbound import gates as outbound_gates
from proofdesk.outbound import messages, policies, policy_queries
from proofdesk.outbound.channels.registry import REQUIRED_SETTINGS
from proofdesk.outbound.delivery import attempt_queries
from proofdesk.outbound.gates import Policy
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.projects.scope import Scope

GATES = ("opt_out", "stop_on_reply", "frequency_cap", "state", "provider")


@dataclass(frozen=True)
class GateCheck:
    """One gate, and what it says to a person."""

    gate: str
    passes: bool
    detail: str


@dataclass(frozen=True)
class Preflight:
    """All gates in their order. `sendable_at` is None while a person has to act first."""

    gates: list[GateCheck]
    sendable_at: datetime | None


async def check_gates(db: Database, scope: Scope, channels: Collection[str], outbound_id: UUID) -> Preflight:
    """Look at a message; `channels` are those that can be used now. Raises `OutboundNotFound`."""
    async with db.scoped(scope) as conn:
        found = await messages.read_message(conn, scope, outbound_id)
        allowed = await policies.load_policies(conn, scope, found.channel, found.recipient_ref)
        heard = await recipient_queries.fetch_latest_replies(conn, scope, [found.recipient_ref])
        now = await attempt_queries.fetch_current_time(conn)
    person = outbound_gates.combine_policies(allowed, now) if allowed else None
    newest = outbound_gates.latest([person and person.last_inbound_at, heard.get(found.recipient_ref)])
    return evaluate_gates(found, person, newest, channels, now)


def evaluate_gates(
    found: OutboundMessage, person: Policy | None, newest: datetime | None, channels: Collection[str], now: datetime
) -> Preflight:
    """The gates for what is known; `newest` is when the recipient last wrote."""
    cap, opens_at = _cap(person, now)
    gates = [_opt_out(person), _reply(found, person, newest), cap, _state(found, now), _provider(found, channels)]
    waits = [moment for moment in (opens_at, found.scheduled_at, now) if moment is not None]
    hopeless = [g for g in gates if not g.passes and g.gate != "frequency_cap"]
    can_wait = found.next_attempt_at is not None and all(g.gate == "state" for g in hopeless)
    return Preflight(gates, max(waits) if can_wait else None)


def _opt_out(person: Policy | None) -> GateCheck:
    passes = person is None or not person.opted_out
    return GateCheck("opt_out", passes, "Not opted out." if passes else "The recipient has opted out of this channel.")


def _reply(found: OutboundMessage, person: Policy | None, newest: datetime | None) -> GateCheck:
    if person is not None and not person.stop_on_reply:
        return GateCheck("stop_on_reply", True, "A reply does not stop messages to this recipient.")
    if found.approved_at is None or newest is None or newest <= found.approved_at:
        return GateCheck("stop_on_reply", True, "Nothing was written by the recipient since the approval.")
    return GateCheck("stop_on_reply", False, f"The recipient wrote at {_moment(newest)}, after the approval.")


def _cap(person: Policy | None, now: datetime) -> tuple[GateCheck, datetime | None]:
    if person is None:
        return GateCheck("frequency_cap", True, "The recipient was never written to."), None
    count, cap = outbound_gates.close_expired_window(person, now).sent_in_window, person.frequency_cap
    detail = f"{count} of {cap} messages in {person.frequency_window_hours} hours."
    if count < cap:
        return GateCheck("frequency_cap", True, detail), None
    end = person.window_ends_at
    return GateCheck("frequency_cap", False, f"{detail} The window is over at {_moment(end or now)}."), end


def _state(found: OutboundMessage, now: datetime) -> GateCheck:
    if found.next_attempt_at is None:
        return GateCheck("state", False, f"The message is {found.status}; what can be sent is approved.")
    if found.scheduled_at is not None and found.scheduled_at > now:
        return GateCheck("state", False, f"The message is scheduled for {_moment(found.scheduled_at)}.")
    return GateCheck("state", True, f"The message is {found.status}.")


def _provider(found: OutboundMessage, channels: Collection[str]) -> GateCheck:
    if found.channel in channels:
        return GateCheck("provider", True, f"The channel {found.channel} is configured.")
    return GateCheck(
        "provider", False, f"The channel {found.channel} is not configured: set {REQUIRED_SETTINGS[found.channel]}."
    )


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
