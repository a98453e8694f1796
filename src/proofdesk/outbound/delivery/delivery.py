"""Delivery: hold due messages → last look → claim (gates, attempt) → send, holding no connection → settle outcomes.

`claims.hold_due_messages` ──▶ `LastLook.read` ──▶ `claims.claim_messages` ──▶ `MessageSender.send` ──▶
`outcomes.settle_attempts`. Each database step is one
transaction. Before them, `sweep` settles the attempts that earlier workers left behind.
"""

import asyncio
import math
from dataclasses import dataclass, field
from uuid import UUID

from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.core.concurrency import run_to_completion
from proofdesk.core.progress import ReportProgress, ShouldStop, ignore_progress, never_stop
from proofdesk.database.pool import Database
from proofdesk.errors import Conflict, Denied, Unavailable
from proofdesk.outbound import messages
from proofdesk.outbound.channels.backoff import MAX_HOLD
from proofdesk.outbound.channels.interface import SendFailed
from proofdesk.outbound.channels.registry import REQUIRED_SETTINGS
from proofdesk.outbound.delivery import claim_queries, claims, outcomes, sending, sweep
from proofdesk.outbound.delivery.attempt_queries import AttemptOutcome
from proofdesk.outbound.delivery.claims import CHANNEL_NOT_CONFIGURED, Claim, ClaimTerms
from proofdesk.outbound.delivery.last_look import LastLook
from proofdesk.outbound.delivery.outcomes import DELIVERY_UNKNOWN, RetryBackoff
from proofdesk.outbound.delivery.sending import Channels, MessageSender
from proofdesk.outbound.gates import CAP_REACHED, SUPPRESSED, UNCONFIRMED
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings

SendTasks = set[asyncio.Task[AttemptOutcome | None]]
_MAX_WAITS_PER_RUN = 20  # each at most `MAX_HOLD` seconds
_CLOCK_MARGIN = 0.05


@dataclass(frozen=True)
class DeliveryOptions:
    """How many messages are sent at once, seconds after which an attempt counts as lost, and how retries wait.

    `shutdown_grace`: seconds that running calls may still take when delivery is cancelled. The sweep settles the
    attempts that were cut off. `last_look`: None relies on what was synced.
    """

    concurrency: int = 16
    lease: float = 300.0
    retry_backoff: RetryBackoff = field(default_factory=RetryBackoff)
    shutdown_grace: float = 4.0
    last_look: LastLook | None = None

    @staticmethod
    def from_settings(settings: Settings, chatwoot: ChatwootClient | None) -> "DeliveryOptions":
        """Return the options of the settings, with a last look through the client of Chatwoot, if it is configured."""
        look = LastLook(chatwoot, settings.opt_out_words)
        return DeliveryOptions(settings.outbound_concurrency, settings.outbound_lease_seconds, last_look=look)


@dataclass
class DeliveryTotals:
    """What happened to the messages of a run.

    `skipped`: messages that wait for a frequency window or for their channel. `swept`: attempts of earlier workers that
    were settled. `stopped_early`: more messages may be due.
    """

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
        """Count the messages of a claim, and those that a gate rejected."""
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


class RecipientSuppressed(Conflict):
    """The recipient is suppressed on the channel."""

    code = "outbound_suppressed"


class ReplyUnconfirmed(Unavailable):
    """Chatwoot could not be asked whether the recipient has written since."""

    code = "outbound_reply_unconfirmed"


class FrequencyCapReached(Denied):
    """The recipient has received as many messages as their policy allows."""

    code = CAP_REACHED


async def process_due(
    db: Database,
    scope: Scope,
    channels: Channels,
    options: DeliveryOptions,
    limit: int | None = None,
    report: ReportProgress = ignore_progress,
    should_stop: ShouldStop = never_stop,
) -> DeliveryTotals:
    """Send the messages that are due, at most `limit`, several at once. Any number of workers may do this at once.

    A cancelled run first waits until running calls are answered and settled, for at most
    `DeliveryOptions.shutdown_grace`.
    """
    sender = await sending.load_sender(db, scope, channels, options.retry_backoff)
    totals = DeliveryTotals(swept=await sweep.settle_lost_attempts(db, scope, sender, options.lease))
    async with db.scoped(scope) as conn:
        await claim_queries.resume_unconfigured(conn, scope, list(channels))
    tasks: SendTasks = set()
    run = _DeliveryRun(db, scope, sender, options, limit, should_stop, report, totals, tasks)
    try:
        await run.send_all()
    finally:
        await run_to_completion(_finish_tasks(db, scope, tasks, totals, options.shutdown_grace))
    return totals


async def send_now(
    db: Database, scope: Scope, channels: Channels, options: DeliveryOptions, outbound_id: UUID
) -> OutboundMessage:
    """Send one message now and return it as it is afterwards.

    Raises `OutboundNotFound`, `InvalidState`, `BlockedOptOut`, `BlockedStopOnReply`, `FrequencyCapReached`, or
    `SendFailed` when the channel did not accept it.
    """
    scope.require("approver")
    sender = await sending.load_sender(db, scope, channels, options.retry_backoff)
    recipient = (await messages.get_message(db, scope, outbound_id)).recipient_ref
    terms = await _look(db, scope, sender, options, {recipient})
    claim = await claims.claim_message(db, scope, outbound_id, terms)
    tasks: SendTasks = {asyncio.create_task(sender.send(claimed)) for claimed in claim.claimed}
    await run_to_completion(_finish_tasks(db, scope, tasks, DeliveryTotals()))
    message = await messages.get_message(db, scope, outbound_id)
    _raise_unless_sent(message, claim)
    return message


async def _look(
    db: Database, scope: Scope, sender: MessageSender, options: DeliveryOptions, recipients: set[str]
) -> ClaimTerms:
    """Read what the recipients wrote until now, and return what a claim of their messages is evaluated with."""
    unconfirmed = {} if options.last_look is None else await options.last_look.read(db, scope, recipients)
    return ClaimTerms(sender.channels, options.lease, unconfirmed)


@dataclass(frozen=True)
class _DeliveryRun:
    """One call of `process_due`: claims messages whenever there is room for more, and settles what was answered."""

    db: Database
    scope: Scope
    sender: MessageSender
    options: DeliveryOptions
    limit: int | None
    should_stop: ShouldStop
    report: ReportProgress
    totals: DeliveryTotals
    tasks: SendTasks

    async def send_all(self) -> None:
        """Send until nothing is due and every call is answered."""
        more, waits = True, 0
        while more or self.tasks:
            if more and len(self.tasks) < self.options.concurrency:
                more = await run_to_completion(self._claim())
            if self.tasks:
                done, _ = await asyncio.wait(self.tasks, return_when=asyncio.FIRST_COMPLETED)
                await run_to_completion(_settle_tasks(self.db, self.scope, done, self.tasks, self.totals))
            self.report(self.totals.processed - len(self.tasks), None, "messages")
            if more and await self.should_stop():
                self.totals.stopped_early, more = True, False
            elif not more and not self.tasks and waits < _MAX_WAITS_PER_RUN:
                more, waits = await self._wait_for_requeued(), waits + 1

    async def _claim(self) -> bool:
        """Claim as many messages as there is room for and start to send them; return whether more may be due."""
        room = self.options.concurrency - len(self.tasks)
        limit = room if self.limit is None else min(room, self.limit - self.totals.processed)
        held = await claims.hold_due_messages(self.db, self.scope, self.sender.channels, limit)
        if not held:
            return False
        terms = await _look(self.db, self.scope, self.sender, self.options, {m.recipient_ref for m in held})
        claim = await claims.claim_messages(self.db, self.scope, [m.id for m in held], terms)
        self.totals.count_claim(claim)
        self.tasks.update(asyncio.create_task(self.sender.send(claimed)) for claimed in claim.claimed)
        return len(held) == limit and self.totals.processed != self.limit

    async def _wait_for_requeued(self) -> bool:
        """Wait for messages that a channel delayed briefly, on any worker; return False when there is none."""
        if self.totals.processed == self.limit:
            return False
        async with self.db.scoped(self.scope) as conn:
            seconds = await claim_queries.fetch_seconds_until_retry(conn, self.scope, MAX_HOLD * 1.25)
        if seconds is None:
            return False
        await asyncio.sleep(max(0.0, seconds) + _CLOCK_MARGIN)
        return True


async def _finish_tasks(
    db: Database, scope: Scope, tasks: SendTasks, totals: DeliveryTotals, grace: float | None = None
) -> None:
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=grace)
    for task in late:  # its attempt stays without an outcome, as if the worker had died
        task.cancel()
    if late:
        await asyncio.wait(late)
    await _settle_tasks(db, scope, set(tasks), tasks, totals)


async def _settle_tasks(db: Database, scope: Scope, done: SendTasks, tasks: SendTasks, totals: DeliveryTotals) -> None:
    tasks -= done
    results = [task.result() for task in done if not task.cancelled()]
    settled = await outcomes.settle_attempts(db, scope, [outcome for outcome in results if outcome is not None])
    sent = sum(attempt.outcome == "sent" for attempt in settled)
    requeued = sum(attempt.requeued for attempt in settled)
    totals.sent += sent
    totals.skipped += requeued
    totals.failed += len(done) - sent - requeued


def _raise_unless_sent(message: OutboundMessage, claim: Claim) -> None:
    if message.status == "sent":
        return
    decision = claim.rejected[0][1] if claim.rejected else None
    if message.status == "blocked_opt_out":
        raise BlockedOptOut("The recipient has opted out of this channel. The message was blocked.")
    if message.status == "cancelled":
        if (message.last_error or "").startswith(SUPPRESSED):
            raise RecipientSuppressed(f"The channel does not reach this recipient: {message.last_error}.")
        raise BlockedStopOnReply("The recipient wrote after the approval. The message was cancelled.")
    if decision is not None and decision.reason == CAP_REACHED and decision.until is not None:
        raise FrequencyCapReached(
            "The recipient has received as many messages as their policy allows."
            f" The next window opens at {decision.until:%Y-%m-%dT%H:%M:%SZ}.",
            status=429,
            retry_after=max(1, math.ceil((decision.until - message.updated_at).total_seconds())),
        )
    if decision is not None and decision.reason is not None and decision.reason.startswith(UNCONFIRMED):
        cause = decision.reason.removeprefix(f"{UNCONFIRMED}: ").rstrip(".")
        raise ReplyUnconfirmed(
            f"Cannot confirm that the recipient has not replied: {cause}. The message stays approved and is retried."
        )
    if decision is not None and decision.reason == CHANNEL_NOT_CONFIGURED:
        raise SendFailed(
            f"{CHANNEL_NOT_CONFIGURED}: set {REQUIRED_SETTINGS[message.channel]}."
            " The message waits and loses no retry.",
            details={"last_error": CHANNEL_NOT_CONFIGURED},
        )
    last_error = message.last_error if message.next_attempt_at or message.status == "failed" else DELIVERY_UNKNOWN
    if last_error == DELIVERY_UNKNOWN:
        raise SendFailed(
            "It is unknown whether the message was delivered. Check at the recipient's side, then retry or cancel it.",
            details={"last_error": last_error},
        )
    advice = " It stays approved and is retried automatically." if message.status == "approved" else ""
    raise SendFailed(f"The message was not sent: {last_error}.{advice}", details={"last_error": last_error})
