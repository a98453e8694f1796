"""The last look: before messages are claimed, what their contacts wrote until now is read from Chatwoot.

The gates then see a reply or a STOP that the next sync would have read. One request asks for the conversations of a
contact; messages are read only of those that changed.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from proofdesk import logging
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.importer import AccountImporter
from proofdesk.core.concurrency import run_concurrently
from proofdesk.database.pool import Database
from proofdesk.errors import ProofdeskError
from proofdesk.outbound import recipient_queries
from proofdesk.outbound.opt_outs import opt_outs
from proofdesk.outbound.recipient_queries import RecipientContact
from proofdesk.projects import sources
from proofdesk.projects.scope import Scope
from proofdesk.projects.sources import ReadableInboxes

log = logging.get_logger(__name__)

TIMEOUT = 5.0  # seconds, for all contacts of one look
NOT_CONFIGURED = "Chatwoot is not configured"
TIMED_OUT = f"Chatwoot did not answer within {TIMEOUT:.0f} seconds"

Unconfirmed = Mapping[str, str]
"""The recipients whose latest messages are not known, each with the cause."""


@dataclass(frozen=True)
class LastLook:
    """Reads what contacts wrote. Without a client, no recipient who is a contact of Chatwoot can be confirmed."""

    client: ChatwootClient | None
    opt_out_words: list[str]

    async def read(self, db: Database, scope: Scope, recipients: Collection[str]) -> Unconfirmed:
        """Import the new messages of the recipients' contacts and apply their opt-outs.

        Recipients without a contact in a source of the project have nothing to confirm.
        """
        inboxes = await sources.load_readable_inboxes(db, scope)
        async with db.scoped(scope) as conn:
            known = await recipient_queries.fetch_recipient_contacts(conn, scope, sorted(recipients))
        contacts = [contact for contact in known if contact.account_id in inboxes]
        if not contacts:
            return {}
        if self.client is None:
            return {contact.recipient: NOT_CONFIGURED for contact in contacts}
        reading = _Reading(db, self.client.with_max_attempts(2), scope, inboxes)
        failures = await reading.read_all(contacts)
        if reading.has_imported:
            await opt_outs.apply_opt_outs(db, scope, self.opt_out_words)
        keys = {contact.recipient: (contact.account_id, contact.contact_id) for contact in contacts}
        return {recipient: failures[key] for recipient, key in keys.items() if key in failures}


class _Reading:
    """One look at some contacts."""

    def __init__(self, db: Database, client: ChatwootClient, scope: Scope, inboxes: ReadableInboxes):
        self._client = client
        self._importers = {
            account_id: AccountImporter(db, client, scope, account_id, inbox_ids)
            for account_id, inbox_ids in inboxes.items()
        }

    @property
    def has_imported(self) -> bool:
        """Whether messages were stored."""
        return any(importer.counts.messages for importer in self._importers.values())

    async def read_all(self, contacts: Sequence[RecipientContact]) -> dict[tuple[int, int], str]:
        """Read the contacts concurrently; return those that could not be read in time, with the cause."""
        unread = {(contact.account_id, contact.contact_id): TIMED_OUT for contact in contacts}
        queue = list(unread)

        async def work() -> None:
            while queue:
                account_id, contact_id = key = queue.pop()
                try:
                    listed = await self._client.latest_conversations(account_id, contact_id)
                    await self._importers[account_id].import_conversations(listed)
                except ProofdeskError as error:
                    unread[key] = error.message
                else:
                    del unread[key]

        try:
            async with asyncio.timeout(TIMEOUT):
                await run_concurrently(work, min(self._client.concurrency, len(queue)))
        except TimeoutError:
            log.warning("last look timed out", contacts=len(unread))
        return unread
