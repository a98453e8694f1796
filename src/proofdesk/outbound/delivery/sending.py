"""Calls of providers, with no transaction open and no connection held: what they answer becomes an ending."""

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
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.projects import sources
from proofdesk.projects.scope import Scope

log = logging.get_logger(__name__)

Channels = Mapping[str, Channel]
"""The channels that can be used, by name."""


@dataclass(frozen=True)
class MessageSender:
    """The providers as one project uses them. `inboxes`: those of each account of Chatwoot that it reads; None: all.
    `merged`: contacts that were merged, each with the one that remains, by their global ids."""

    channels: Channels
    inbox_ids: dict[int, frozenset[int] | None]
    retry_backoff: RetryBackoff
    merged_contacts: dict[str, str] = field(default_factory=dict)

    async def send(self, claimed: ClaimedMessage) -> AttemptOutcome | None:
        """Hand over one message, once. None: whether it arrived is not known yet; the sweep finds out."""
        message, attempt = claimed.message, claimed.attempt
        left = claimed.deadline - time.monotonic()
        if left <= 0:
            late = SendFailed("The worker was held up for so long that others may think it lost.", channel_wide=True)
            return outcomes.failed_outcome(attempt, message, late, self.retry_backoff, claimed.started)
        try:
            async with asyncio.timeout(left):
                receipt = await self.channels[message.channel].send(self._letter(message))
        except SendFailed as error:
            if not error.delivery_unknown:
                return outcomes.failed_outcome(attempt, message, error, self.retry_backoff, claimed.started)
            log.warning("delivery unknown", outbound_id=str(message.id), error=error.message)
        except Exception as error:  # a call was made, so this must not look as if there had been none
            log.exception("provider crashed", outbound_id=str(message.id), error=type(error).__name__)
        else:
            return outcomes.sent_outcome(attempt, receipt, claimed.started)
        return await self.look_up(message, attempt, claimed.started)

    async def look_up(
        self, message: OutboundMessage, attempt: StartedAttempt, began: float | None = None
    ) -> AttemptOutcome | None:
        """Ask the provider whether it has the message of an attempt. None: it does not say, so ask again later."""
        provider = self.channels.get(message.channel)
        if provider is None:
            return outcomes.unknown_outcome(attempt, began)
        try:
            receipt = await provider.find(self._letter(message, attempt))
        except LookupUnsupported:
            return outcomes.unknown_outcome(attempt, began)
        except SendFailed as error:
            log.warning("lookup failed", outbound_id=str(message.id), error=error.message)
            return None
        return self._found(message, attempt, receipt, began)

    def _found(
        self, message: OutboundMessage, attempt: StartedAttempt, receipt: Receipt | None, began: float | None
    ) -> AttemptOutcome:
        if receipt is not None:
            return outcomes.sent_outcome(attempt, receipt, began)
        lost = SendFailed("The call was broken off, and the provider has no such message.")
        return outcomes.failed_outcome(attempt, message, lost, self.retry_backoff, began)

    def _letter(self, message: OutboundMessage, attempt: StartedAttempt | None = None) -> ChannelMessage:
        return ChannelMessage(
            message.id,
            message.project_id,
            self.merged_contacts.get(message.recipient_ref, message.recipient_ref),
            message.payload,
            inbox_ids=self._inboxes(message),
            attempted_at=attempt and attempt.started_at,
        )

    def _inboxes(self, message: OutboundMessage) -> frozenset[int] | None:
        if message.channel != "chatwoot":
            return None
        kind = "contact" if message.recipient_ref.startswith("cwc:") else "conversation"
        return self.inbox_ids.get(ids.parse(message.recipient_ref, kind).account_id, frozenset())


async def load_sender(db: Database, scope: Scope, providers: Channels, patience: RetryBackoff) -> MessageSender:
    """The calls of a project, with what it reads of Chatwoot now."""
    inboxes: dict[int, frozenset[int] | None] = {}
    for source in await sources.list_sources(db, scope):
        known = inboxes.get(source.account_id, frozenset())
        if source.inbox_id is None or known is None:
            inboxes[source.account_id] = None
        else:
            inboxes[source.account_id] = known | {source.inbox_id}
    return MessageSender(providers, inboxes, patience, await merges.load_remaining_contacts(db, scope))
