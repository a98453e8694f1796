"""Calls of channels, with no transaction open and no connection held. Each returns the outcome of an attempt."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from proofdesk import logging
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.outbound import merges
from proofdesk.outbound.channels.interface import Channel, ChannelMessage, LookupUnsupported, Receipt, SendFailed
from proofdesk.outbound.delivery import outcomes
from proofdesk.outbound.delivery.attempt_queries import AttemptOutcome, StartedAttempt
from proofdesk.outbound.delivery.claims import ClaimedMessage
from proofdesk.outbound.delivery.outcomes import RetryBackoff
from proofdesk.outbound.kill_switch import KillSwitchReader
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.projects import sources
from proofdesk.projects.scope import Scope
from proofdesk.projects.sources import ReadableInboxes

log = logging.get_logger(__name__)

Channels = Mapping[str, Channel]
"""The configured channels, by name."""


@dataclass(frozen=True)
class MessageSender:
    """Sends the messages of one project.

    `merged_contacts`: the contact that remains for each contact that was merged, by global id.
    """

    channels: Channels
    inbox_ids: ReadableInboxes
    retry_backoff: RetryBackoff
    kill_switch: KillSwitchReader
    merged_contacts: dict[str, str] = field(default_factory=dict)

    async def send(self, claimed: ClaimedMessage) -> AttemptOutcome | None:
        """Send a message once. Return None when it is not known yet whether it arrived; the sweep looks it up later."""
        message, attempt = claimed.message, claimed.attempt
        if (stopped := await self.kill_switch.read()) is not None:
            return outcomes.stopped_outcome(attempt, stopped, claimed.started)
        seconds_left = claimed.deadline - time.monotonic()
        if seconds_left <= 0:
            error = SendFailed(
                "The worker was delayed for so long that the attempt may count as lost.", channel_wide=True
            )
            return outcomes.failed_outcome(attempt, message, error, self.retry_backoff, claimed.started)
        try:
            async with asyncio.timeout(seconds_left):
                receipt = await self.channels[message.channel].send(self.build_channel_message(message))
        except SendFailed as error:
            if not error.delivery_unknown:
                return outcomes.failed_outcome(attempt, message, error, self.retry_backoff, claimed.started)
            log.warning("delivery unknown", outbound_id=str(message.id), error=error.message)
        except Exception as error:  # the message may have been handed over, so the delivery is unknown
            log.exception("channel raised an unexpected error", outbound_id=str(message.id), error=type(error).__name__)
        else:
            return outcomes.sent_outcome(attempt, receipt, claimed.started)
        return await self.look_up(message, attempt, claimed.started)

    async def look_up(
        self, message: OutboundMessage, attempt: StartedAttempt, started: float | None = None
    ) -> AttemptOutcome | None:
        """Ask the channel whether it has the message of an attempt. Return None when it must be asked again later."""
        channel = self.channels.get(message.channel)
        if channel is None:
            return outcomes.unknown_outcome(attempt, started)
        try:
            receipt = await channel.find(self.build_channel_message(message, attempt))
        except LookupUnsupported:
            return outcomes.unknown_outcome(attempt, started)
        except SendFailed as error:
            log.warning("lookup failed", outbound_id=str(message.id), error=error.message)
            return None
        except Exception as error:  # an answer that nobody expected must not end the run
            log.exception("lookup raised an unexpected error", outbound_id=str(message.id), error=type(error).__name__)
            return None
        return self._lookup_outcome(message, attempt, receipt, started)

    def _lookup_outcome(
        self, message: OutboundMessage, attempt: StartedAttempt, receipt: Receipt | None, started: float | None
    ) -> AttemptOutcome:
        if receipt is not None:
            return outcomes.sent_outcome(attempt, receipt, started)
        error = SendFailed("The connection broke, and the channel does not have the message.")
        return outcomes.failed_outcome(attempt, message, error, self.retry_backoff, started)

    def build_channel_message(self, message: OutboundMessage, attempt: StartedAttempt | None = None) -> ChannelMessage:
        """Return the message as its channel gets it."""
        return ChannelMessage(
            message.id,
            message.project_id,
            self.merged_contacts.get(message.recipient_ref, message.recipient_ref),
            message.payload,
            inbox_ids=self._readable_inboxes(message),
            attempted_at=attempt and attempt.started_at,
        )

    def _readable_inboxes(self, message: OutboundMessage) -> frozenset[int] | None:
        if message.channel != "chatwoot":
            return None
        kind = "contact" if message.recipient_ref.startswith("cwc:") else "conversation"
        return self.inbox_ids.get(ids.parse(message.recipient_ref, kind).account_id, frozenset())


async def load_sender(db: Database, scope: Scope, channels: Channels, retry_backoff: RetryBackoff) -> MessageSender:
    """Return the sender of a project, with the inboxes that it reads and the contacts that were merged by now."""
    inboxes = await sources.load_readable_inboxes(db, scope)
    merged_contacts = await merges.load_remaining_contacts(db, scope)
    return MessageSender(channels, inboxes, retry_backoff, KillSwitchReader(db, scope), merged_contacts)
