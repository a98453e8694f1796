"""Walking Chatwoot's lists page by page, up to the first empty page."""

import asyncio
import functools
import itertools
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from proofdesk.chatwoot import parsing, responses
from proofdesk.chatwoot.client import ChatwootClient, ListPage
from proofdesk.chatwoot.responses import ChatwootError

# Lists move while they are read, so a page may repeat items of others. So many repeated pages mean a broken list.
_MAX_REPEATED_PAGES = 20
_ATTEMPTS = 3  # of a page, before the pages after it are tried
_MAX_BROKEN_PAGES = 3  # in a row; more mean that Chatwoot is down
_MAX_SINGLE_RECORDS = 1000  # read one by one in place of a page; an inbox has a part of the ids of its account
_SINGLE_BATCH = 100  # so many ids without a record mean that there is no newer one


async def iterate_conversations(
    client: ChatwootClient, account_id: int, sort_by: str, inbox_id: int | None, *, first: int = 1, ahead: int = 0
) -> AsyncGenerator[ListPage]:
    """Yield pages of conversations; up to `ahead` more are requested while the caller works on one.

    A page that Chatwoot cannot show is yielded as `broken`. Its conversations are read one by one when the list is
    sorted by creation; they have no known ids in a list by activity.
    """

    async def fetch_page(client: ChatwootClient, number: int) -> ListPage:
        return await client.conversations(account_id, number, sort_by, inbox_id)

    is_by_creation = sort_by.startswith("created_at")
    fetch_record = functools.partial(_quick(client).conversation, account_id) if is_by_creation else None
    pages = _PageRequests(client, fetch_page, fetch_record, newest_first=sort_by.endswith("desc"))
    async for page in _iterate_pages(pages, first, ahead):
        yield page


async def iterate_contacts(
    client: ChatwootClient, account_id: int, sort: str, *, ahead: int = 0
) -> AsyncGenerator[ListPage]:
    """Yield pages of contacts; up to `ahead` more are requested while the caller works on one."""

    async def fetch_page(client: ChatwootClient, number: int) -> ListPage:
        return await client.contacts(account_id, number, sort)

    fetch_record = functools.partial(_quick(client).contact, account_id)
    pages = _PageRequests(client, fetch_page, fetch_record, newest_first=sort.startswith("-"))
    async for page in _iterate_pages(pages, 1, ahead):
        yield page


async def _iterate_pages(pages: "_PageRequests", first: int, ahead: int) -> AsyncGenerator[ListPage]:
    number, last, seen, previous = first + 1, 0, _SeenItems(), None
    requests = deque([asyncio.create_task(pages.fetch(first))])
    try:
        for current in itertools.count(first):
            page = await requests.popleft() or await pages.fetch_around(current, previous)
            if not (page.items or page.broken):
                return
            seen.add(page)
            last = last or math.ceil((page.total or 0) / max(len(page.items), 1))
            # Beyond the last page by the list's own count there is only the empty one, which is requested alone.
            while len(requests) < ahead and (number <= last or not requests):
                requests.append(asyncio.create_task(pages.fetch(number)))
                number += 1
            yield page
            previous = page if page.items else previous
            if not requests:
                requests.append(asyncio.create_task(pages.fetch(number)))
                number += 1
    finally:
        for task in requests:
            task.cancel()
        await asyncio.gather(*requests, return_exceptions=True)


@dataclass
class _PageRequests:
    """Requests of the pages of one list, also around pages that Chatwoot cannot show.

    `fetch_record` reads one item by its id; None when ids do not tell what a page holds.
    """

    client: ChatwootClient
    fetch_page: Callable[[ChatwootClient, int], Coroutine[Any, Any, ListPage]]
    fetch_record: Callable[[int], Coroutine[Any, Any, dict[str, Any] | None]] | None
    newest_first: bool

    async def fetch(self, number: int) -> ListPage | None:
        """Fetch a page; None if Chatwoot answered 500 several times."""
        try:
            return await self.fetch_page(_quick(self.client), number)
        except ChatwootError as error:
            if error.cannot_render:
                return None
            if error.too_slow:
                return await self.fetch_page(self.client, number)
            raise

    async def fetch_around(self, number: int, previous: ListPage | None) -> ListPage:
        """Return what a failed page should have held. Raises when the pages around it fail, too.

        One record that cannot be shown, such as a conversation without its contact, breaks each page with it (C-43).
        """
        following = await self._find_page(range(number + 1, number + 1 + _MAX_BROKEN_PAGES))
        previous = previous or await self._find_page(range(number - 1, max(0, number - 1 - _MAX_BROKEN_PAGES), -1))
        if following and (page := await self.fetch(number)):
            return page
        if following is None or (previous is None and number > 1):
            return await self.fetch_page(self.client, number)  # with all patience: Chatwoot may be down
        broken = replace(following, items=[], broken=True)
        if self.fetch_record is None:
            return broken
        newer, older = (previous, following) if self.newest_first else (following, previous)
        first, end = max(_ids(older), default=0) + 1, min(_ids(newer), default=None)
        if end is not None and end - first > _MAX_SINGLE_RECORDS:
            return await self.fetch_page(self.client, number)  # raises
        return await self._read_singly(broken, first, end)

    async def _find_page(self, numbers: Iterable[int]) -> ListPage | None:
        for number in numbers:
            if page := await self.fetch(number):
                return page
        return None

    async def _read_singly(self, broken: ListPage, first: int, end: int | None) -> ListPage:
        """Read the records with `first <= id < end`, or with `end` None those up to the newest."""
        items, unreadable = list[Any](), dict[int, str]()
        ids = range(first, first + _MAX_SINGLE_RECORDS if end is None else end)
        for at in range(0, len(ids), _SINGLE_BATCH):
            batch = ids[at : at + _SINGLE_BATCH]
            records = await asyncio.gather(*(self._fetch_record(i) for i in batch))
            if end is None and not any(records):
                break
            items += [record for record in records if isinstance(record, dict)]
            unreadable |= {i: r for i, r in zip(batch, records, strict=True) if isinstance(r, str)}
        return replace(broken, items=items, unreadable=unreadable)

    async def _fetch_record(self, record_id: int) -> dict[str, Any] | str | None:
        """Fetch a record: the reason when it cannot be read, and None when it does not exist."""
        assert self.fetch_record
        try:
            return await self.fetch_record(record_id)
        except ChatwootError as error:
            if not (error.cannot_render or error.forbidden):
                raise
            return error.message if error.cannot_render else None


def _ids(page: ListPage | None) -> set[int]:
    return parsing.item_ids(page.items) if page else set()


def _quick(client: ChatwootClient) -> ChatwootClient:
    return client.with_max_slow_attempts(_ATTEMPTS)


@dataclass
class _SeenItems:
    ids: set[int] = field(default_factory=set)
    repeated: int = 0

    def add(self, page: ListPage) -> None:
        """Note a page. Raises `ChatwootError` when the list repeats its pages, since a walk would never end."""
        page_ids = parsing.item_ids(page.items)
        self.repeated = 0 if page_ids - self.ids or page.broken else self.repeated + 1
        self.ids |= page_ids
        if self.repeated > _MAX_REPEATED_PAGES:
            raise responses.repeating_list_error(page.response)
