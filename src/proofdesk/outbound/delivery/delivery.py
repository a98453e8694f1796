"""Delivery, the whole flow on this page: claim (gates, attempt) → send, with nothing held → settle.

claims.due ──▶ sending.send ──▶ outcomes.settle, each on its own transaction or none. Before it, `sweep` settles what
earlier workers left behind.
"""

import asyncio
import math
from dataclasses import dataclass, field
from uuid import UUID

from proofdesk.core.concurrency import run_to_completion
from proofdesk.core.progress import ReportProgress, ShouldStop, ignore_progress, never_stop
from proofdesk.database.pool import Database
from proofdesk.errors import Conflict, Denied
from proofdesk.outbound import messages
from proofdesk.outbound.channels.backoff import MAX_HOLD
from proofdesk.outbound.channels.interface import SendFailed
from proofdesk.outbound.channels.registry import REQUIRED_SETTINGS
from proofdesk.outbound.delivery import attempt_queries, claims, outcomes, sending, sweep
from proofdesk.outbound.delivery.attempt_queries import AttemptOutcome
from proofdesk.outbound.delivery.claims import CHANNEL_NOT_CONFIGURED, Claim
from proofdesk.outbound.delivery.outcomes import DELIVERY_UNKNOWN, RetryBackoff
from proofdesk.outbound.delivery.sending import Channels, MessageSender
from proofdesk.outbound.gates import CAP_REACHED
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings

Flying = set[asyncio.Task[AttemptOutcome | None]]
_MOST_WAITS = 20  # of one run, each for as long as `HOLD` says
_A_MOMENT = 0.05


@dataclass(frozen=True)
class DeliveryOptions:
    """Messages on their way at once, seconds after which an attempt counts as lost, and how retries wait.

    `landing`: seconds that calls under way have left when delivery is broken off; the sweep settles those it cut short.
    """

    concurrency: int = 16
    lease: float = 300.0
    retry_backoff: RetryBackoff = field(default_factory=RetryBackoff)
    shutdown_grace: float = 4.0

    @staticmethod
    def from_settings(settings: Settings) -> "DeliveryOptions":
        """The options that the settings ask for."""
        return DeliveryOptions(settings.outbound_concurrency, settings.outbound_lease_seconds)


@dataclass
class DeliveryTotals:
    """What became of the messages that were looked at. `skipped`: they wait for a window or for their provider.
    `swept`: attempts of earlier workers that were settled. `left_off`: more may be due."""

    processed: int = 0
    sent: int = 0
    failed: int = 0
    blocked: int = 0
    skipped: int = 0
    swept: int = 0
    stopped_early: bool = False

    @property
    def counts(self) -> dict[str, int]:
        """The numbers, by name."""
        return {name: number for name, number in vars(self).items() if name != "stopped_early"}

    def count_claim(self, claim: Claim) -> None:
        """Count what was taken, and of it what may not go out."""
        self.processed += len(claim)
        deferred = sum(decision.verdict == "deferred" for _, decision in claim.rejected)
        self.skipped += deferred
        self.blocked += len(claim.rejected) - deferred


class BlockedOptOut(Conflict):
    """The recipient has opted out of the channel."""

    code = "outbound_blocked_opt_out"


class BlockedStopOnReply(Conflict):
    """The recipient wrote after the message was approved."""

    code = "outbound_blocked_stop_on_reply"


class FrequencyCapReached(Denied):
    """The recipient was written to as often as his policy allows."""

    code = CAP_REACHED


async def process_due(
    db: Database,
    scope: Scope,
    providers: Channels,
    options: DeliveryOptions,
    limit: int | None = None,
    report: ReportProgress = ignore_progress,
    leave_off: ShouldStop = never_stop,
) -> DeliveryTotals:
    """Send what is due, at most `limit` messages, several at a time. Any number of workers may do this at once.

    Whoever cancels it waits until what is on its way has been answered and settled, for `Options.landing` at most.
    """
    calling = await sending.load_sender(db, scope, providers, options.retry_backoff)
    tally = DeliveryTotals(swept=await sweep.settle_lost_attempts(db, scope, calling, options.lease))
    async with db.scoped(scope) as conn:
        await attempt_queries.resume_unconfigured(conn, scope, list(providers))
    flying: Flying = set()
    try:
        await _keep_sending(_Claims(db, scope, calling, options, limit, leave_off), tally, flying, report)
    finally:
        await run_to_completion(_land(db, scope, flying, tally, options.shutdown_grace))
    return tally


async def send_now(
    db: Database, scope: Scope, providers: Channels, options: DeliveryOptions, outbound_id: UUID
) -> OutboundMessage:
    """Send one message now; the message as it is then.

    Raises `OutboundNotFound`, `InvalidState`, `BlockedOptOut`, `BlockedStopOnReply`, `FrequencyCapReached`, or
    `SendFailed` when the provider did not take it.
    """
    calling = await sending.load_sender(db, scope, providers, options.retry_backoff)
    claim = await claims.claim_message(db, scope, providers, options.lease, outbound_id)
    flying: Flying = {asyncio.create_task(calling.send(claimed)) for claimed in claim.claimed}
    await run_to_completion(_land(db, scope, flying, DeliveryTotals()))
    found = await messages.get_message(db, scope, outbound_id)
    _refuse(found, claim)
    return found


@dataclass(frozen=True)
class _Claims:
    """What is taken from, as often as there is room for more."""

    db: Database
    scope: Scope
    calling: MessageSender
    options: DeliveryOptions
    limit: int | None
    leave_off: ShouldStop

    async def take(self, tally: DeliveryTotals, flying: Flying) -> bool:
        """Take what there is room for, and have it sent; False when there was less, or no more is wanted."""
        room = self.options.concurrency - len(flying)
        most = room if self.limit is None else min(room, self.limit - tally.processed)
        claim = await claims.claim_due_messages(self.db, self.scope, self.calling.channels, self.options.lease, most)
        tally.count_claim(claim)
        flying |= {asyncio.create_task(self.calling.send(claimed)) for claimed in claim.claimed}
        return len(claim) == most and tally.processed != self.limit

    async def wait_for_put_back(self, tally: DeliveryTotals) -> bool:
        """Wait for messages that a provider has let wait briefly, whichever worker had them; False without any."""
        if tally.processed == self.limit:
            return False
        async with self.db.scoped(self.scope) as conn:
            seconds = await attempt_queries.fetch_seconds_until_retry(conn, self.scope, MAX_HOLD * 1.25)
        if seconds is None:
            return False
        await asyncio.sleep(max(0.0, seconds) + _A_MOMENT)
        return True


async def _keep_sending(due: _Claims, tally: DeliveryTotals, flying: Flying, report: ReportProgress) -> None:
    more, waits = True, 0
    while more or flying:
        if more and len(flying) < due.options.concurrency:
            more = await run_to_completion(due.take(tally, flying))
        if flying:
            done, _ = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
            await run_to_completion(_settle(due.db, due.scope, done, flying, tally))
        report(tally.processed - len(flying), None, "messages")
        if more and await due.leave_off():
            tally.stopped_early, more = True, False
        elif not more and not flying and waits < _MOST_WAITS:
            more, waits = await due.wait_for_put_back(tally), waits + 1


async def _land(db: Database, scope: Scope, flying: Flying, tally: DeliveryTotals, within: float | None = None) -> None:
    if not flying:
        return
    _, late = await asyncio.wait(flying, timeout=within)
    for call in late:  # its attempt stays without an outcome, as if the worker had died
        call.cancel()
    if late:
        await asyncio.wait(late)
    await _settle(db, scope, set(flying), flying, tally)


async def _settle(db: Database, scope: Scope, done: Flying, flying: Flying, tally: DeliveryTotals) -> None:
    flying -= done
    endings = [task.result() for task in done if not task.cancelled()]
    settled = await outcomes.settle_attempts(db, scope, [ending for ending in endings if ending is not None])
    sent = sum(one.outcome == "sent" for one in settled)
    put_back = sum(one.requeued for one in settled)
    tally.sent += sent
    tally.skipped += put_back
    tally.failed += len(done) - sent - put_back


def _refuse(found: OutboundMessage, claim: Claim) -> None:
    if found.status == "sent":
        return
    reason = claim.rejected[0][1].reason if claim.rejected else None
    if found.status == "blocked_opt_out":
        raise BlockedOptOut("The recipient has opted out of this channel; the message was blocked.")
    if found.status == "cancelled":
        raise BlockedStopOnReply("The recipient wrote after this was approved; the message was cancelled.")
    if reason == CAP_REACHED and claim.rejected[0][1].until is not None:
        until = claim.rejected[0][1].until
        raise FrequencyCapReached(
            f"The recipient was written to as often as allowed; the next window opens at {until:%Y-%m-%dT%H:%M:%SZ}.",
            status=429,
            retry_after=max(1, math.ceil((until - found.updated_at).total_seconds())),
        )
    if reason == CHANNEL_NOT_CONFIGURED:
        what = f"{CHANNEL_NOT_CONFIGURED}: set {REQUIRED_SETTINGS[found.channel]}. The message waits and is not counted as tried."
        raise SendFailed(what, details={"last_error": CHANNEL_NOT_CONFIGURED})
    last_error = found.last_error if found.next_attempt_at or found.status == "failed" else DELIVERY_UNKNOWN
    then = " It stays approved and is tried again by itself." if found.status == "approved" else ""
    raise SendFailed(f"The message was not sent: {last_error}.{then}", details={"last_error": last_error})
