"""Outcomes of attempts: what a channel's answer means, and what it changes about the message."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from proofdesk.audit import events
from proofdesk.audit.events import BulkEvent
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.outbound import gates, kill_switch, messages, policy_queries, suppressions
from proofdesk.outbound.channels.backoff import limit_wait
from proofdesk.outbound.channels.interface import Receipt, SendFailed
from proofdesk.outbound.delivery import attempt_queries, report_queries
from proofdesk.outbound.delivery.attempt_queries import AttemptOutcome, SettledAttempt, StartedAttempt
from proofdesk.outbound.kill_switch_queries import ActiveKillSwitch
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.outbound.suppression_queries import NewSuppression
from proofdesk.projects.scope import Scope

DELIVERY_UNKNOWN = "delivery_unknown"
_MAX_ERROR_LENGTH = 500
_MAX_DOUBLINGS = 20


@dataclass(frozen=True)
class RetryBackoff:
    """How long a retry waits, in seconds: doubling from `initial_wait`, with a random half taken off."""

    initial_wait: float = 30.0
    max_wait: float = 3600.0

    def wait_after(self, retries: int) -> float:
        """Return the full wait after this many retries."""
        return min(self.initial_wait * 2 ** min(retries, _MAX_DOUBLINGS), self.max_wait)


def sent_outcome(attempt: StartedAttempt, receipt: Receipt, started: float | None) -> AttemptOutcome:
    """Return the outcome of an attempt that the channel accepted.

    `started` (of `time.monotonic`) is None when this was found out later by a lookup.
    """
    return _outcome(attempt, "sent", started, receipt=receipt.provider_message_id)


def unknown_outcome(attempt: StartedAttempt, started: float | None) -> AttemptOutcome:
    """Return the outcome of an attempt that no lookup can settle; a person decides about the message."""
    return _outcome(attempt, "unknown", started, error=DELIVERY_UNKNOWN)


def failed_outcome(
    attempt: StartedAttempt,
    message: OutboundMessage,
    error: SendFailed,
    retry_backoff: RetryBackoff,
    started: float | None,
) -> AttemptOutcome:
    """Return the outcome of an attempt that certainly did not deliver the message.

    It is retried if that can help and retries are left. A condition of the whole channel uses up no retry.
    """
    failure = _outcome(attempt, "failed", started, error=format_reason(error.message))
    if error.channel_wide:
        requested = error.retry_after
        wait = retry_backoff.wait_after(attempt.number - 1) if requested is None else limit_wait(requested)
        wait *= random.uniform(1, 1.2)  # noqa: S311  spreads attempts, guards nothing
        return replace(failure, retry_wait=wait, uses_retry=False, requeued=not error.misconfigured)
    if error.permanent or message.retry_count >= message.max_retries:
        return replace(failure, suppression=error.suppression)
    wait = retry_backoff.wait_after(message.retry_count) * random.uniform(0.5, 1)  # noqa: S311  spreads retries
    return replace(failure, retry_wait=max(wait, limit_wait(error.retry_after or 0)))


def stopped_outcome(attempt: StartedAttempt, stopped: ActiveKillSwitch, started: float) -> AttemptOutcome:
    """Return the outcome of an attempt that the kill switch stopped before the call: the message is approved again."""
    reason = f"{kill_switch.STOPPED}: {kill_switch.describe(stopped)}"[:_MAX_ERROR_LENGTH]
    failure = _outcome(attempt, "failed", started, error=reason)
    return replace(failure, retry_wait=kill_switch.RETRY_SECONDS, uses_retry=False, requeued=True)


def format_reason(error_message: str) -> str:
    """Return the error of a channel as `last_error` stores it."""
    storable = error_message.encode("utf-8", "replace").decode().replace("\0", " ")
    return f"provider_error: {' '.join(storable.split())}"[:_MAX_ERROR_LENGTH]


async def settle_attempts(db: Database, scope: Scope, outcomes: Sequence[AttemptOutcome]) -> list[SettledAttempt]:
    """Store outcomes with what they change: messages, frequency windows, audit events. Return the new ones.

    Attempts that were settled before keep their first outcome.
    """
    async with db.scoped(scope) as conn:
        settled = await attempt_queries.finish_attempts(conn, scope, outcomes)
        sent_ids = [attempt.outbound_id for attempt in settled if attempt.outcome == "sent"]
        await report_queries.insert_deliveries(conn, scope, sent_ids)
        await _update_windows(conn, scope, settled)
        by_message = {outcome.outbound_id: outcome for outcome in outcomes}
        await suppressions.store(conn, scope, [s for a in settled if (s := _suppression(a, by_message[a.outbound_id]))])
        await events.record_many(conn, scope, scope.actor, [_event(by_message[a.outbound_id]) for a in settled])
    return settled


async def _update_windows(conn: Conn, scope: Scope, settled: Sequence[SettledAttempt]) -> None:
    """Store when each recipient was last written to, and release the slots of what was not delivered."""
    known = [attempt for attempt in settled if attempt.outcome != "unknown"]
    policy_ids = [policy_id for attempt in known for policy_id in attempt.policy_ids]
    before = {p.id: p for p in await policy_queries.lock_policies(conn, scope, policy_ids)} if policy_ids else {}
    after = dict(before)
    now = await attempt_queries.fetch_current_time(conn)
    for attempt in known:
        for policy_id in attempt.policy_ids:
            if attempt.outcome == "failed":
                after[policy_id] = gates.release_slot(after[policy_id], attempt.started_at)
            else:
                after[policy_id] = replace(after[policy_id], last_outbound_at=now)
    changed = [policy for policy in after.values() if policy != before[policy.id]]
    if changed:
        await policy_queries.store_windows(conn, scope, changed)
    released = [policy.id for policy in changed if policy.sent_in_window < before[policy.id].sent_in_window]
    if released:
        await policy_queries.resume_deferred(conn, scope, released)


def _suppression(settled: SettledAttempt, outcome: AttemptOutcome) -> NewSuppression | None:
    if outcome.suppression is None:
        return None
    name, expires_at = settled.recipient_ref.lower(), suppressions.expiry(outcome.suppression, datetime.now(UTC))
    detail = (outcome.error or "")[: suppressions.MAX_DETAIL_LENGTH]
    return NewSuppression(settled.channel, name, outcome.suppression, detail, outcome.outbound_id, expires_at)


def _event(outcome: AttemptOutcome) -> BulkEvent:
    values = {
        "attempt": outcome.number,
        "provider_message_id": outcome.provider_message_id,
        "error": outcome.error,
        "retry_in_seconds": None if outcome.retry_wait is None else round(outcome.retry_wait),
    }
    payload = {name: value for name, value in values.items() if value is not None}
    return BulkEvent("outbound.send", messages.ENTITY_TYPE, outcome.outbound_id, outcome.outcome, payload)


def _outcome(
    attempt: StartedAttempt,
    outcome: str,
    started: float | None,
    *,
    receipt: str | None = None,
    error: str | None = None,
) -> AttemptOutcome:
    duration = None if started is None else time.monotonic() - started
    return AttemptOutcome(attempt.outbound_id, attempt.number, outcome, receipt, error, duration, None)
