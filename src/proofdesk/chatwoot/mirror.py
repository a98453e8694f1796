"""Bringing conversations of one account into the mirror: what the lists tell, then the messages.

A page of conversations is stored in one transaction, then their messages are read at the same time, one page each,
and stored together with the cursors that stand for them. A run that is killed in between goes on from there.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from proofdesk.chatwoot import items, queries, reading_queries
from proofdesk.chatwoot.answers import ChatwootError
from proofdesk.chatwoot.client import MESSAGES_A_PAGE, Chatwoot, Page
from proofdesk.chatwoot.items import BadItem
from proofdesk.db.pool import Database
from proofdesk.projects import sources
from proofdesk.projects.scope import Scope

OVERLAP = 11  # C-09, C-10: ids can become visible out of order, so reading resumes ten messages back
PAGES_AT_ONCE = 2  # while the messages of one are stored, those of the next are read
AT_ONCE = 50  # conversations whose messages are read together; bounds the memory


@dataclass
class Tally:
    """What a run changed in the mirror, counted in rows."""

    contacts: int = 0
    conversations: int = 0
    messages: int = 0
    removed: int = 0
    bad: set[tuple[str, str]] = field(default_factory=set)

    @property
    def quarantined(self) -> int:
        """How many items could not be stored."""
        return len(self.bad)


@dataclass(frozen=True)
class Reading:
    """How far one conversation is being read. `mark` is stored at the end; None: leave cursor and mark alone."""

    conversation_id: int
    start: int
    after: int
    newest_id: int = 0
    mark: str | None = None
    tail: tuple[int, ...] = ()  # the greatest ids read, ascending, at most OVERLAP
    finished: bool = False

    @property
    def cursor(self) -> int:
        """Where the next run goes on."""
        return self.tail[0] if len(self.tail) == OVERLAP else self.start

    def went_on(self, page: list[Any]) -> "Reading":
        """The reading after one more page."""
        ids = sorted(items.ids(page))
        top = ids[-1] if ids else 0
        is_new = top > (self.tail[-1] if self.tail else self.after)
        finished = not is_new or (len(page) < MESSAGES_A_PAGE and top >= self.newest_id)
        tail = tuple(sorted({*self.tail, *ids})[-OVERLAP:])
        after = ids[-OVERLAP] if len(ids) >= OVERLAP and ids[-OVERLAP] > self.after else top
        return replace(self, after=after, tail=tail, finished=finished)


@dataclass(frozen=True)
class Mirror:
    """One account as one project sees it: all its inboxes (`inbox_ids` None) or some."""

    db: Database
    client: Chatwoot
    scope: Scope
    account_id: int
    inbox_ids: frozenset[int] | None
    active_since: datetime | None = None  # older conversations are left out
    tally: Tally = field(default_factory=Tally)

    async def take(self, listed: list[Any]) -> None:
        """Store listed conversations of our inboxes and read the messages that are new to us."""
        for part in _parts(items.in_inboxes(listed, self.inbox_ids)):
            await self._read(await self._store_listed(part))

    async def take_pages(self, pages: AsyncGenerator[Page]) -> AsyncGenerator[Page]:
        """Take what the pages list, each while the one before is being stored; gives those that are, in their order."""
        taking: deque[tuple[Page, asyncio.Task[None]]] = deque()
        try:
            async with aclosing(pages):
                async for page in pages:
                    taking.append((page, asyncio.create_task(self.take(page.items))))
                    if len(taking) == PAGES_AT_ONCE:
                        yield await _first(taking)
            while taking:
                yield await _first(taking)
        finally:
            for _, task in taking:
                task.cancel()
            await asyncio.gather(*(task for _, task in taking), return_exceptions=True)

    async def take_contacts(self, listed: list[Any]) -> int:
        """Store listed contacts; how many rows changed."""
        parsed = items.contacts(listed)
        async with self.db.scoped(self.scope) as conn:
            await sources.hold(conn, self.scope, self.account_id, self.inbox_ids)
            changed = await queries.store_contacts(conn, self.scope, self.account_id, parsed.rows)
            await self._keep_bad(conn, "contact", parsed)
        self.tally.contacts += changed
        return changed

    async def reread(self, conversation_ids: list[int]) -> dict[int, set[int]]:
        """Read all messages of stored conversations again; the message ids that Chatwoot has, by conversation.

        A conversation that is gone, or that the token may not see, is not among them.
        """
        present: dict[int, set[int]] = {}
        for part in _parts(conversation_ids):
            present |= await self._read([Reading(i, 0, 0) for i in part])
        return present

    async def _store_listed(self, listed: list[Any]) -> list[Reading]:
        parsed, people = items.conversations(listed), items.contacts(items.senders(listed))
        rows = [r for r in parsed.rows if self._is_recent(r)]
        async with self.db.scoped(self.scope) as conn:
            await sources.hold(conn, self.scope, self.account_id, self.inbox_ids)
            contacts = await queries.store_contacts(conn, self.scope, self.account_id, people.rows)
            conversations = await queries.store_conversations(conn, self.scope, self.account_id, rows)
            await self._keep_bad(conn, "contact", people)
            await self._keep_bad(conn, "conversation", parsed)
            ids = [r["conversation_id"] for r in rows]
            states = await reading_queries.states(conn, self.scope, self.account_id, ids)
        self.tally.contacts += contacts
        self.tally.conversations += conversations
        cursors = {s.conversation_id: s for s in states}
        return [
            Reading(i, cursors[i].message_cursor, cursors[i].message_cursor, row["newest_id"], row["read_mark"])
            for row in rows
            if cursors[i := row["conversation_id"]].read_mark != row["read_mark"]
        ]

    def _is_recent(self, row: dict[str, Any]) -> bool:
        return self.active_since is None or datetime.fromisoformat(row["last_activity_at"]) >= self.active_since

    async def _read(self, readings: list[Reading]) -> dict[int, set[int]]:
        present: dict[int, set[int]] = {r.conversation_id: set() for r in readings}
        while readings:
            pages = await asyncio.gather(*(self._page(r) for r in readings))
            asked = list(zip(readings, pages, strict=True))
            read = [(r.went_on(page), page) for r, page in asked if isinstance(page, list)]
            gone = [r.conversation_id for r, page in asked if page is None]
            refused = [page for page in pages if isinstance(page, BadItem)]
            await self._store_messages(read, gone, refused)
            for reading, page in read:
                present[reading.conversation_id] |= items.ids(page)
            for conversation_id in [*gone, *(int(bad.entity_id) for bad in refused)]:
                del present[conversation_id]
            readings = [r for r, _ in read if not r.finished]
        return present

    async def _page(self, reading: Reading) -> list[Any] | BadItem | None:
        """A page of messages; None when the conversation is gone; a bad item when it is not for this token."""
        try:
            return await self.client.messages(self.account_id, reading.conversation_id, reading.after)
        except ChatwootError as error:
            if not error.forbidden:
                raise
            return BadItem("conversation", str(reading.conversation_id), None, error.message, "{}")

    async def _store_messages(
        self, pages: list[tuple[Reading, list[Any]]], gone: list[int], refused: list[BadItem]
    ) -> None:
        parsed = items.Parsed()
        for reading, page in pages:
            one = items.messages(page, reading.conversation_id)
            parsed.rows += one.rows
            parsed.bad += one.bad
        cursors = [_cursor_row(r) for r, _ in pages if r.mark is not None]
        touched = [r.conversation_id for r, _ in pages] + gone
        async with self.db.scoped(self.scope) as conn:
            await sources.hold(conn, self.scope, self.account_id, self.inbox_ids)
            await reading_queries.lock(conn, self.scope, self.account_id, touched)
            if gone:
                await queries.delete_conversations(conn, self.scope, self.account_id, gone)
            stored = await queries.store_messages(conn, self.scope, self.account_id, parsed.rows)
            await self._keep_bad(conn, "message", parsed)
            await self._keep_bad(conn, "conversation", items.Parsed(bad=refused))
            await reading_queries.advance(conn, self.scope, self.account_id, cursors)
        self.tally.messages += stored
        self.tally.removed += len(gone)

    async def _keep_bad(self, conn: queries.Conn, entity: str, parsed: items.Parsed) -> None:
        self.tally.bad.update((b.entity, b.entity_id) for b in parsed.bad)
        stored = [row[f"{entity}_id"] for row in parsed.rows]
        if stored:
            await reading_queries.release(conn, self.scope, self.account_id, entity, stored)
        if parsed.bad:
            await reading_queries.quarantine(conn, self.scope, self.account_id, parsed.bad)


def _cursor_row(reading: Reading) -> dict[str, Any]:
    return {
        "conversation_id": reading.conversation_id,
        "message_cursor": reading.cursor if reading.finished else reading.after,
        "read_mark": reading.mark if reading.finished else None,
    }


async def _first(taking: deque[tuple[Page, asyncio.Task[None]]]) -> Page:
    page, task = taking[0]
    await task
    taking.popleft()
    return page


def _parts(things: list[Any]) -> Iterable[list[Any]]:
    return (things[at : at + AT_ONCE] for at in range(0, len(things), AT_ONCE))
