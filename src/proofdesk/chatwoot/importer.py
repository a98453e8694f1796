"""Importing conversations of one account: what the lists show, then the messages.

A page of conversations is stored in one transaction. Then their messages are read at the same time, window by window,
and stored together with the cursors that stand for them. A run that is killed in between continues there.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from proofdesk.chatwoot import cursor_queries, item_storage, parsing, queries
from proofdesk.chatwoot.client import ChatwootClient, ListPage
from proofdesk.chatwoot.message_importer import ImportCounts, MessageImporter
from proofdesk.chatwoot.windows import ConversationReading
from proofdesk.database.pool import Database
from proofdesk.projects import sources
from proofdesk.projects.scope import Scope

PARALLEL_PAGES = 2  # while the messages of one are stored, those of the next are read
BATCH_SIZE = 50  # conversations whose messages are read together


@dataclass(frozen=True)
class AccountImporter:
    """Imports one account into one project: all inboxes (`inbox_ids` None) or some."""

    db: Database
    client: ChatwootClient
    scope: Scope
    account_id: int
    inbox_ids: frozenset[int] | None
    active_since: datetime | None = None  # older conversations are left out
    counts: ImportCounts = field(default_factory=ImportCounts)

    @property
    def messages(self) -> MessageImporter:
        """The importer of messages into the same project."""
        return MessageImporter(self.db, self.client, self.scope, self.account_id, self.inbox_ids, self.counts)

    async def import_conversations(self, listed: list[Any]) -> None:
        """Store listed conversations of the selected inboxes and read their new messages."""
        for batch in _batches(parsing.filter_by_inbox(listed, self.inbox_ids)):
            await self.messages.read_all(await self._store_listed(batch))

    async def import_page(self, page: ListPage) -> None:
        """Import a page of conversations, and quarantine those that Chatwoot cannot show."""
        await self.import_conversations(page.items)
        await self._quarantine_unreadable("conversation", page)

    async def import_pages(self, pages: AsyncGenerator[ListPage]) -> AsyncGenerator[ListPage]:
        """Import pages, each while the one before is being stored; yield those that are stored, in their order."""
        pending: deque[tuple[ListPage, asyncio.Task[None]]] = deque()
        try:
            async with aclosing(pages):
                async for page in pages:
                    pending.append((page, asyncio.create_task(self.import_page(page))))
                    if len(pending) == PARALLEL_PAGES:
                        yield await _wait_for_first(pending)
            while pending:
                yield await _wait_for_first(pending)
        finally:
            for _, task in pending:
                task.cancel()
            await asyncio.gather(*(task for _, task in pending), return_exceptions=True)

    async def import_contacts(self, listed: list[Any]) -> int:
        """Store listed contacts; return how many rows changed."""
        parsed = parsing.parse_contacts(listed)

        async def write(conn: queries.Conn, put: item_storage.PutRows) -> int:
            await sources.lock_sources(conn, self.scope, self.account_id, self.inbox_ids)
            changed = await put(conn, "contact", parsed, self._bind_store(queries.store_contacts, conn))
            await self.messages.update_quarantine(conn, "contact", parsed)
            return changed

        changed = await item_storage.store_items(self.db, self.scope, write)
        self.counts.contacts += changed
        return changed

    async def import_contact_page(self, page: ListPage) -> int:
        """Store a page of contacts, and quarantine those that Chatwoot cannot show; return how many rows changed."""
        await self._quarantine_unreadable("contact", page)
        return await self.import_contacts(page.items)

    async def _quarantine_unreadable(self, entity: str, page: ListPage) -> None:
        if page.unreadable:
            items = [parsing.InvalidItem(entity, str(i), None, text[:500], "{}") for i, text in page.unreadable.items()]
            async with self.db.scoped(self.scope) as conn:
                await self.messages.update_quarantine(conn, entity, parsing.ParsedItems(invalid=items))

    async def reread_messages(self, readings: list[ConversationReading]) -> dict[int, set[int]]:
        """Read messages of stored conversations again; return the ids that exist in Chatwoot, by conversation.

        A conversation that is deleted, or that the token may not see, is not among them.
        """
        present: dict[int, set[int]] = {}
        for batch in _batches(readings):
            present |= await self.messages.read_all(batch)
        return present

    def _bind_store(self, store: Callable[..., Awaitable[int]], conn: queries.Conn) -> item_storage.StoreRows:
        return lambda rows: store(conn, self.scope, self.account_id, rows)

    async def _store_listed(self, listed: list[Any]) -> list[ConversationReading]:
        """Store conversations and their contacts; return the readings of those that may have new messages."""
        parsed, senders = parsing.parse_conversations(listed), parsing.parse_contacts(parsing.list_senders(listed))
        parsed.rows = [r for r in parsed.rows if self._is_recent(r)]

        async def write(
            conn: queries.Conn, put: item_storage.PutRows
        ) -> tuple[int, int, list[cursor_queries.ReadState]]:
            await sources.lock_sources(conn, self.scope, self.account_id, self.inbox_ids)
            contacts = await put(conn, "contact", senders, self._bind_store(queries.store_contacts, conn))
            conversations = await put(conn, "conversation", parsed, self._bind_store(queries.store_conversations, conn))
            await self.messages.update_quarantine(conn, "contact", senders)
            await self.messages.update_quarantine(conn, "conversation", parsed)
            ids = [r["conversation_id"] for r in parsed.rows]
            states = await cursor_queries.list_read_states(conn, self.scope, self.account_id, ids)
            return contacts, conversations, states

        contacts, conversations, states = await item_storage.store_items(self.db, self.scope, write)
        self.counts.contacts += contacts
        self.counts.conversations += conversations
        by_id = {state.conversation_id: state for state in states}
        return [
            _reading(row, state)
            for row in parsed.rows
            if (state := by_id[row["conversation_id"]]).read_mark != row["read_mark"]
        ]

    def _is_recent(self, row: dict[str, Any]) -> bool:
        return self.active_since is None or datetime.fromisoformat(row["last_activity_at"]) >= self.active_since


def _reading(row: dict[str, Any], state: cursor_queries.ReadState) -> ConversationReading:
    cursor = state.message_cursor
    return ConversationReading.starting_at(state.conversation_id, cursor, cursor, row["newest_id"], row["read_mark"])


async def _wait_for_first(pending: deque[tuple[ListPage, asyncio.Task[None]]]) -> ListPage:
    page, task = pending[0]
    await task
    pending.popleft()
    return page


def _batches(items: list[Any]) -> Iterable[list[Any]]:
    return (items[at : at + BATCH_SIZE] for at in range(0, len(items), BATCH_SIZE))
