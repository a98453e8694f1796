"""How attempts end: what a provider's answer means, and what it makes of the message."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from proofdesk.audit import events
from proofdesk.audit.events import BulkEvent
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.outbound import gates, messages, policy_queries
from proofdesk.outbound.channels.interface import Receipt, SendFailed
from proofdesk.outbound.delivery import attempt_queries, report_queries
from proofdesk.outbound.delivery.attempt_queries import AttemptOutcome, SettledAttempt, StartedAttempt
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.projects.scope import Scope

DELIVERY_UNKNOWN = "delivery_unknown"
_LONGEST_ERROR = 500


@dataclass(frozen=True)
class RetryBackoff:
    """How long a retry waits, in seconds: doubling from `first_wait`, each time anything from half of it to all."""

    initial_wait: float = 30.0
    max_wait: float = 3600.0


def sent_outcome(attempt: StartedAttempt, receipt: Receipt, began: float | None) -> AttemptOutcome:
    """The provider has it. `began`, of `time.monotonic`, is None when this was found out later."""
    return _ending(attempt, "sent", began, receipt=receipt.provider_message_id)


def unknown_outcome(attempt: StartedAttempt, began: float | None) -> AttemptOutcome:
    """Nobody can tell, so a person has to."""
    return _ending(attempt, "unknown", began, error=DELIVERY_UNKNOWN)


def failed_outcome(
    attempt: StartedAttempt, message: OutboundMessage, error: SendFailed, patience: RetryBackoff, began: float | None
) -> AttemptOutcome:
    """It was certainly not delivered. There is another attempt if that can help and retries are left; a condition of
    the provider uses up none of them."""
    reason = format_reason(error.message)
    if error.channel_wide:
        wait, put_back = _wait_for_provider(attempt, error, patience), not error.misconfigured
        return replace(_ending(attempt, "failed", began, error=reason), wait=wait, counted=False, put_back=put_back)
    if error.permanent or message.retry_count >= message.max_retries:
        return _ending(attempt, "failed", began, error=reason)
    wait = min(patience.initial_wait * 2**message.retry_count, patience.max_wait)
    wait = max(wait * random.uniform(0.5, 1), error.retry_after or 0)  # noqa: S311  spreads retries, guards nothing
    return replace(_ending(attempt, "failed", began, error=reason), wait=wait)


def format_reason(message: str) -> str:
    """Return what a provider said as it is kept with a message."""
    return f"provider_error: {' '.join(message.split())}"[:_LONGEST_ERROR]


def _wait_for_provider(attempt: StartedAttempt, error: SendFailed, patience: RetryBackoff) -> float:
    wait = error.retry_after
    if wait is None:
        wait = min(patience.initial_wait * 2 ** min(attempt.number - 1, 20), patience.max_wait)
    return wait * random.uniform(1, 1.2)  # noqa: S311  spreads attempts, guards nothing


async def settle_attempts(db: Database, scope: Scope, endings: Sequence[AttemptOutcome]) -> list[SettledAttempt]:
    """Store how attempts ended: the messages, the places in windows, the record. What was settled before stays."""
    async with db.scoped(scope) as conn:
        settled = await attempt_queries.finish_attempts(conn, scope, endings)
        await report_queries.insert_deliveries(conn, scope, [s.outbound_id for s in settled if s.outcome == "sent"])
        await _count(conn, scope, settled)
        ended = {ending.outbound_id: ending for ending in endings}
        await events.record_many(conn, scope, scope.actor, [_event(ended[s.outbound_id]) for s in settled])
    return settled


async def _count(conn: Conn, scope: Scope, settled: Sequence[SettledAttempt]) -> None:
    """Note when somebody was last written to, and give back the places of what was not delivered."""
    ids = [i for s in settled if s.outcome != "unknown" for i in s.policy_ids]
    before = {p.id: p for p in await policy_queries.lock_policies(conn, scope, ids)} if ids else {}
    after = dict(before)
    now = await attempt_queries.fetch_current_time(conn)
    for one in settled:
        for policy_id in one.policy_ids if one.outcome != "unknown" else ():
            if one.outcome == "failed":
                after[policy_id] = gates.release_slot(after[policy_id], one.started_at)
            else:
                after[policy_id] = replace(after[policy_id], last_outbound_at=now)
    changed = [p for p in after.values() if p != before[p.id]]
    if changed:
        await policy_queries.store_windows(conn, scope, changed)
    freed = [p.id for p in changed if p.sent_in_window < before[p.id].sent_in_window]
    if freed:
        await policy_queries.resume_deferred(conn, scope, freed)


def _event(ending: AttemptOutcome) -> BulkEvent:
    payload = {
        "attempt": ending.number,
        "provider_message_id": ending.provider_message_id,
        "error": ending.error,
        "retry_in_seconds": None if ending.retry_wait is None else round(ending.retry_wait),
    }
    told = {name: value for name, value in payload.items() if value is not None}
    return BulkEvent("outbound.send", messages.ENTITY_TYPE, ending.outbound_id, ending.outcome, told)


def _ending(
    attempt: StartedAttempt, outcome: str, began: float | None, *, receipt: str | None = None, error: str | None = None
) -> AttemptOutcome:
    took = None if began is None else time.monotonic() - began
    return AttemptOutcome(attempt.outbound_id, attempt.number, outcome, receipt, error, took, None)
