"""Bringing conversations of one account into the mirror: what the lists tell, then the messages.

A page of conversations is stored in one transaction, then their messages are read at the same time, window by window,
and stored together with the cursors that stand for them. A run that is killed in between goes on from there.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from proofdesk.chatwoot import cursor_queries, item_storage, parsing, permissions, queries, removals
from proofdesk.chatwoot.client import ChatwootClient, ListPage
from proofdesk.chatwoot.parsing import InvalidItem
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.chatwoot.windows import ConversationReading, UnsplittableWindow
from proofdesk.database.pool import Database
from proofdesk.projects import sources
from proofdesk.projects.scope import Scope

PARALLEL_PAGES = 2  # while the messages of one are stored, those of the next are read
BATCH_SIZE = 50  # conversations whose messages are read together
STORE_BATCH_SIZE = 2_000  # messages that are waited for before they are stored; bounds the memory


@dataclass
class ImportCounts:
    """What a run changed in the mirror, counted in rows."""

    contacts: int = 0
    conversations: int = 0
    messages: int = 0
    removed: int = 0
    invalid: set[tuple[str, str]] = field(default_factory=set)

    @property
    def quarantined(self) -> int:
        """How many items could not be stored."""
        return len(self.invalid)


@dataclass(frozen=True)
class _WindowResponse:
    """What came of one request for messages: a page, None when the conversation is gone, or why it was refused."""

    reading: ConversationReading
    page: list[Any] | ChatwootError | None

    @property
    def rows(self) -> int:
        return len(self.page) if isinstance(self.page, list) else 0


@dataclass(frozen=True)
class AccountImporter:
    """One account as one project sees it: all its inboxes (`inbox_ids` None) or some."""

    db: Database
    client: ChatwootClient
    scope: Scope
    account_id: int
    inbox_ids: frozenset[int] | None
    active_since: datetime | None = None  # older conversations are left out
    counts: ImportCounts = field(default_factory=ImportCounts)

    async def import_conversations(self, listed: list[Any]) -> None:
        """Store listed conversations of our inboxes and read the messages that are new to us."""
        for part in _batches(parsing.filter_by_inbox(listed, self.inbox_ids)):
            await self._read_windows(await self._store_listed(part))

    async def import_pages(self, pages: AsyncGenerator[ListPage]) -> AsyncGenerator[ListPage]:
        """Take what the pages list, each while the one before is being stored; gives those that are, in their order."""
        taking: deque[tuple[ListPage, asyncio.Task[None]]] = deque()
        try:
            async with aclosing(pages):
                async for page in pages:
                    taking.append((page, asyncio.create_task(self.import_conversations(page.items))))
                    if len(taking) == PARALLEL_PAGES:
                        yield await _wait_for_first(taking)
            while taking:
                yield await _wait_for_first(taking)
        finally:
            for _, task in taking:
                task.cancel()
            await asyncio.gather(*(task for _, task in taking), return_exceptions=True)

    async def import_contacts(self, listed: list[Any]) -> int:
        """Store listed contacts; how many rows changed."""
        parsed = parsing.parse_contacts(listed)

        async def store(conn: queries.Conn, put: item_storage.PutRows) -> int:
            await sources.lock_sources(conn, self.scope, self.account_id, self.inbox_ids)
            changed = await put(conn, "contact", parsed, self._bind_store(queries.store_contacts, conn))
            await self._update_quarantine(conn, "contact", parsed)
            return changed

        changed = await item_storage.store_items(self.db, self.scope, store)
        self.counts.contacts += changed
        return changed

    def _bind_store(self, store: Callable[..., Awaitable[int]], conn: queries.Conn) -> item_storage.StoreRows:
        return lambda rows: store(conn, self.scope, self.account_id, rows)

    async def reread_messages(self, readings: list[ConversationReading]) -> dict[int, set[int]]:
        """Read messages of stored conversations again; the ids that Chatwoot has there, by conversation.

        A conversation that is gone, or that the token may not see, is not among them.
        """
        present: dict[int, set[int]] = {}
        for part in _batches(readings):
            present |= await self._read_windows(part)
        return present

    async def _store_listed(self, listed: list[Any]) -> list[ConversationReading]:
        parsed, people = parsing.parse_conversations(listed), parsing.parse_contacts(parsing.list_senders(listed))
        parsed.rows = [r for r in parsed.rows if self._is_recent(r)]

        async def store(
            conn: queries.Conn, put: item_storage.PutRows
        ) -> tuple[int, int, list[cursor_queries.ReadState]]:
            await sources.lock_sources(conn, self.scope, self.account_id, self.inbox_ids)
            contacts = await put(conn, "contact", people, self._bind_store(queries.store_contacts, conn))
            conversations = await put(conn, "conversation", parsed, self._bind_store(queries.store_conversations, conn))
            await self._update_quarantine(conn, "contact", people)
            await self._update_quarantine(conn, "conversation", parsed)
            ids = [r["conversation_id"] for r in parsed.rows]
            return (
                contacts,
                conversations,
                await cursor_queries.list_read_states(conn, self.scope, self.account_id, ids),
            )

        contacts, conversations, states = await item_storage.store_items(self.db, self.scope, store)
        self.counts.contacts += contacts
        self.counts.conversations += conversations
        cursors = {s.conversation_id: s for s in states}
        return [
            ConversationReading.starting_at(
                i, cursors[i].message_cursor, cursors[i].message_cursor, row["newest_id"], row["read_mark"]
            )
            for row in parsed.rows
            if cursors[i := row["conversation_id"]].read_mark != row["read_mark"]
        ]

    def _is_recent(self, row: dict[str, Any]) -> bool:
        return self.active_since is None or datetime.fromisoformat(row["last_activity_at"]) >= self.active_since

    async def _read_windows(self, readings: list[ConversationReading]) -> dict[int, set[int]]:
        """Read every window of these, some at a time; the ids that are there, by conversation."""
        present, queue = dict[int, set[int]](), deque(readings)
        running, responses = set[asyncio.Task[_WindowResponse]](), list[_WindowResponse]()
        try:
            while queue or running:
                while queue and len(running) < self.client.concurrency:
                    running.add(asyncio.create_task(self._fetch_window(queue.popleft())))
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                responses += [task.result() for task in done]
                if not (queue or running) or sum(a.rows for a in responses) >= STORE_BATCH_SIZE:
                    advanced = await self._store_responses(responses)
                    present |= {r.conversation_id: r.present for r in advanced if r.finished}
                    queue.extend(r for r in advanced if not r.finished)
                    responses = []
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        return present

    async def _fetch_window(self, reading: ConversationReading) -> _WindowResponse:
        window = reading.window
        try:
            page = await self.client.messages(self.account_id, reading.conversation_id, window.first, window.end)
        except ChatwootError as error:
            if not error.forbidden:
                raise
            return _WindowResponse(reading, error)
        return _WindowResponse(reading, page)

    async def _store_responses(self, responses: list[_WindowResponse]) -> list[ConversationReading]:
        """Store what came; the readings after it, but those of conversations that are gone or refused."""
        refused = [(a.reading, a.page) for a in responses if isinstance(a.page, ChatwootError)]
        await permissions.check_refusals(
            self.client, self.account_id, [e for _, e in refused], len(responses) - len(refused)
        )
        invalid = [_unread_conversation(reading, error.message) for reading, error in refused]
        read: list[tuple[ConversationReading, list[Any]]] = []
        for reading, page in ((a.reading, a.page) for a in responses if isinstance(a.page, list)):
            try:
                read.append((reading.after_page(page), page))
            except UnsplittableWindow:
                invalid.append(_unread_conversation(reading, "a full answer whose messages have no ids"))
        for reading in (r for r, _ in read if r.misses_newest):
            await self.client.check_not_truncated(self.account_id, reading.conversation_id, reading.newest_id)
        gone = [a.reading.conversation_id for a in responses if a.page is None]
        await self._store_messages(
            read, await removals.find_deleted_conversations(self.client, self.account_id, gone), invalid
        )
        return [reading for reading, _ in read]

    async def _store_messages(
        self, pages: list[tuple[ConversationReading, list[Any]]], gone: list[int], refused: list[InvalidItem]
    ) -> None:
        parsed = parsing.ParsedItems()
        for reading, page in pages:
            one = parsing.parse_messages(page, reading.conversation_id)
            parsed.rows += one.rows
            parsed.invalid += one.invalid
        cursors = [_cursor_row(r) for r, _ in pages if r.read_mark is not None]
        touched = [r.conversation_id for r, _ in pages] + gone
        item_storage.reject_duplicates(parsed, "message")

        async def store(conn: queries.Conn, put: item_storage.PutRows) -> int:
            await sources.lock_sources(conn, self.scope, self.account_id, self.inbox_ids)
            await cursor_queries.lock_conversations(conn, self.scope, self.account_id, touched)
            if gone:
                await queries.delete_conversations(conn, self.scope, self.account_id, gone)
            elsewhere = await cursor_queries.find_stored_elsewhere(conn, self.scope, self.account_id, parsed.rows)
            item_storage.reject_moved_messages(parsed, {m.message_id: m.conversation_id for m in elsewhere})
            stored = await put(conn, "message", parsed, self._bind_store(queries.store_messages, conn))
            await self._update_quarantine(conn, "message", parsed)
            await self._update_quarantine(conn, "conversation", parsing.ParsedItems(invalid=refused))
            await cursor_queries.store_cursors(conn, self.scope, self.account_id, cursors)
            return stored

        stored = await item_storage.store_items(self.db, self.scope, store)
        self.counts.messages += stored  # read after the wait: other pages count meanwhile
        self.counts.removed += len(gone)

    async def _update_quarantine(self, conn: queries.Conn, entity: str, parsed: parsing.ParsedItems) -> None:
        self.counts.invalid.update((b.entity, b.entity_id) for b in parsed.invalid)
        stored = [row[f"{entity}_id"] for row in parsed.rows]
        if stored:
            await cursor_queries.release_items(conn, self.scope, self.account_id, entity, stored)
        if parsed.invalid:
            await cursor_queries.quarantine_items(conn, self.scope, self.account_id, parsed.invalid)


def _cursor_row(reading: ConversationReading) -> dict[str, Any]:
    return {
        "conversation_id": reading.conversation_id,
        "message_cursor": reading.cursor,
        "read_mark": reading.read_mark if reading.finished else None,
    }


def _unread_conversation(reading: ConversationReading, reason: str) -> InvalidItem:
    return InvalidItem("conversation", str(reading.conversation_id), None, reason, "{}")


async def _wait_for_first(pending: deque[tuple[ListPage, asyncio.Task[None]]]) -> ListPage:
    page, task = pending[0]
    await task
    pending.popleft()
    return page


def _batches(items: list[Any]) -> Iterable[list[Any]]:
    return (items[at : at + BATCH_SIZE] for at in range(0, len(items), BATCH_SIZE))
