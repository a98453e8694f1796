"""Reading the messages of conversations window by window, and storing them with the cursors that stand for them."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from proofdesk.chatwoot import (
    cursor_queries,
    deletion_queries,
    item_storage,
    parsing,
    permissions,
    quarantine_queries,
    queries,
    removals,
)
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.parsing import InvalidItem
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.chatwoot.windows import ConversationReading, UnsplittableWindow
from proofdesk.database.pool import Database
from proofdesk.projects import sources
from proofdesk.projects.scope import Scope

STORE_BATCH_SIZE = 2_000  # messages that are collected before they are stored; bounds the memory
SLOW_ATTEMPTS = 3  # of a window, before it is read in halves, or skipped if it is one message (C-13)


@dataclass
class ImportCounts:
    """What a run changed here, in rows."""

    contacts: int = 0
    conversations: int = 0
    messages: int = 0
    removed: int = 0
    invalid: set[tuple[str, str]] = field(default_factory=set)

    @property
    def quarantined(self) -> int:
        """The number of items that could not be stored."""
        return len(self.invalid)


@dataclass(frozen=True)
class _WindowResponse:
    """The answer to one window: a page, None if the conversation is deleted, or the error."""

    reading: ConversationReading
    page: list[Any] | ChatwootError | None

    @property
    def rows(self) -> int:
        return len(self.page) if isinstance(self.page, list) else 0


@dataclass
class _Batch:
    """What is stored in one transaction: pages with the readings after them, and what could not be read."""

    pages: list[tuple[ConversationReading, list[Any]]] = field(default_factory=list)
    unread: list[ConversationReading] = field(default_factory=list)
    invalid: list[InvalidItem] = field(default_factory=list)

    @property
    def readings(self) -> list[ConversationReading]:
        return [*(reading for reading, _ in self.pages), *self.unread]


@dataclass(frozen=True)
class MessageImporter:
    """Imports messages of one account into one project, of all inboxes (`inbox_ids` None) or some."""

    db: Database
    client: ChatwootClient
    scope: Scope
    account_id: int
    inbox_ids: frozenset[int] | None
    counts: ImportCounts

    async def read_all(self, readings: Iterable[ConversationReading]) -> dict[int, set[int]]:
        """Read every window of these conversations and store the messages; return the ids that exist, by conversation.

        A conversation that is deleted, or that cannot be read, is not among them.
        """
        present, queue = dict[int, set[int]](), deque(readings)
        running, done = set[asyncio.Task[_WindowResponse]](), set[asyncio.Task[_WindowResponse]]()
        responses = list[_WindowResponse]()
        try:
            while queue or running:
                while queue and len(running) < self.client.concurrency:
                    running.add(asyncio.create_task(self._fetch_window(queue.popleft())))
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                responses += [task.result() for task in done]
                if not (queue or running) or sum(r.rows for r in responses) >= STORE_BATCH_SIZE:
                    advanced = await self._store_responses(responses)
                    present |= {r.conversation_id: r.present for r in advanced if r.finished}
                    queue.extend(r for r in advanced if not r.finished)
                    responses = []
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, *done, return_exceptions=True)  # several may have failed together
        return present

    async def _fetch_window(self, reading: ConversationReading) -> _WindowResponse:
        window = reading.window
        attempts = 1 if reading.failures and not reading.is_single else SLOW_ATTEMPTS
        client = self.client.with_max_slow_attempts(attempts)
        try:
            page = await client.messages(self.account_id, reading.conversation_id, window.first, window.end)
        except ChatwootError as error:
            if not (error.forbidden or error.too_slow):
                raise
            return _WindowResponse(reading, error)
        return _WindowResponse(reading, page)

    async def _store_responses(self, responses: list[_WindowResponse]) -> list[ConversationReading]:
        """Store the pages; return the readings after them, without conversations that are deleted or unreadable."""
        batch = _Batch()
        errors = [(r.reading, r.page) for r in responses if isinstance(r.page, ChatwootError)]
        refusals = [(reading, error) for reading, error in errors if error.forbidden]
        failures = [(reading, error) for reading, error in errors if not error.forbidden]
        success_count = len(responses) - len(errors)
        await permissions.check_refusals(self.client, self.account_id, [e for _, e in refusals], success_count)
        await self._check_failures([error for reading, error in failures if not reading.failures], success_count)
        batch.invalid += [_unread_conversation(reading, error.message) for reading, error in refusals]
        for reading, error in failures:
            _make_smaller(batch, reading, error)
        for reading, page in ((r.reading, r.page) for r in responses if isinstance(r.page, list)):
            try:
                batch.pages.append((reading.after_page(page), page))
            except UnsplittableWindow:
                batch.invalid.append(_unread_conversation(reading, "a full answer whose messages have no ids"))
        for reading in (r for r in batch.readings if r.misses_newest):
            await self.client.check_not_truncated(self.account_id, reading.conversation_id, reading.newest_id)
        missing = [r.reading.conversation_id for r in responses if r.page is None]
        await self._store(batch, await removals.find_deleted_conversations(self.client, self.account_id, missing))
        return batch.readings

    async def _check_failures(self, failures: list[ChatwootError], success_count: int) -> None:
        """Raise a failure unless it can be a matter of single windows: most were answered, and Chatwoot works."""
        if len(failures) > max(1, success_count):
            raise failures[0]
        if failures:
            await self.client.inboxes(self.account_id)

    async def _store(self, batch: _Batch, deleted: list[int]) -> None:
        parsed = parsing.ParsedItems()
        for reading, page in batch.pages:
            page_items = parsing.parse_messages(page, reading.conversation_id)
            parsed.rows += page_items.rows
            parsed.invalid += page_items.invalid
        unread = {entity: [i for i in batch.invalid if i.entity == entity] for entity in ("message", "conversation")}
        parsed.invalid += unread["message"]
        item_storage.reject_duplicates(parsed, "message")
        cursors = [_cursor_row(r) for r in batch.readings if r.read_mark is not None]

        async def write(conn: queries.Conn, put: item_storage.PutRows) -> int:
            await sources.lock_sources(conn, self.scope, self.account_id, self.inbox_ids)
            touched = [r.conversation_id for r in batch.readings] + deleted
            await cursor_queries.lock_conversations(conn, self.scope, self.account_id, touched)
            if deleted:
                await deletion_queries.delete_conversations(conn, self.scope, self.account_id, deleted)
            elsewhere = await cursor_queries.find_stored_elsewhere(conn, self.scope, self.account_id, parsed.rows)
            item_storage.reject_moved_messages(parsed, {m.message_id: m.conversation_id for m in elsewhere})
            stored = await put(
                conn, "message", parsed, lambda rows: queries.store_messages(conn, self.scope, self.account_id, rows)
            )
            await self.update_quarantine(conn, "message", parsed)
            await self.update_quarantine(conn, "conversation", parsing.ParsedItems(invalid=unread["conversation"]))
            await cursor_queries.store_cursors(conn, self.scope, self.account_id, cursors)
            return stored

        stored = await item_storage.store_items(self.db, self.scope, write)
        self.counts.messages += stored  # read after the wait: other pages are counted meanwhile
        self.counts.removed += len(deleted)

    async def update_quarantine(self, conn: queries.Conn, entity: str, parsed: parsing.ParsedItems) -> None:
        """Release the items that are stored now, and quarantine the invalid ones."""
        self.counts.invalid.update((item.entity, item.entity_id) for item in parsed.invalid)
        stored = [row[f"{entity}_id"] for row in parsed.rows]
        if stored:
            await quarantine_queries.release_items(conn, self.scope, self.account_id, entity, stored)
        if parsed.invalid:
            await quarantine_queries.quarantine_items(conn, self.scope, self.account_id, parsed.invalid)


def _make_smaller(batch: _Batch, reading: ConversationReading, error: ChatwootError) -> None:
    """Read a failed window in halves; skip and quarantine the message if it is a single one."""
    try:
        if not reading.is_single:
            batch.unread.append(reading.after_failure())
            return
        batch.unread.append(reading.after_skip())
    except UnsplittableWindow:
        batch.invalid.append(_unread_conversation(reading, error.message))
    else:
        message_id = str(reading.window.first)
        batch.invalid.append(InvalidItem("message", message_id, reading.conversation_id, error.message[:500], "{}"))


def _cursor_row(reading: ConversationReading) -> dict[str, Any]:
    return {
        "conversation_id": reading.conversation_id,
        "message_cursor": reading.cursor,
        "read_mark": reading.read_mark if reading.finished else None,
    }


def _unread_conversation(reading: ConversationReading, reason: str) -> InvalidItem:
    return InvalidItem("conversation", str(reading.conversation_id), None, reason[:500], "{}")
