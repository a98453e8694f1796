"""Walking Chatwoot's lists page by page, up to the first empty page."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from proofdesk.chatwoot import parsing, responses
from proofdesk.chatwoot.client import ChatwootClient, ListPage

# Lists move while they are read, so a page may repeat items of others. So many repeated pages mean a broken list.
_MAX_REPEATED_PAGES = 20


async def iterate_conversations(
    client: ChatwootClient, account_id: int, sort_by: str, inbox_id: int | None, *, first: int = 1, ahead: int = 0
) -> AsyncGenerator[ListPage]:
    """Yield pages of conversations; up to `ahead` more are requested while the caller works on one."""

    async def fetch_page(number: int) -> ListPage:
        return await client.conversations(account_id, number, sort_by, inbox_id)

    async for page in _iterate_pages(fetch_page, first, ahead):
        yield page


async def iterate_contacts(
    client: ChatwootClient, account_id: int, sort: str, *, ahead: int = 0
) -> AsyncGenerator[ListPage]:
    """Yield pages of contacts; up to `ahead` more are requested while the caller works on one."""

    async def fetch_page(number: int) -> ListPage:
        return await client.contacts(account_id, number, sort)

    async for page in _iterate_pages(fetch_page, 1, ahead):
        yield page


async def _iterate_pages(
    fetch_page: Callable[[int], Coroutine[Any, Any, ListPage]], first: int, ahead: int
) -> AsyncGenerator[ListPage]:
    number, last, seen = first + 1, 0, _SeenItems()
    requests = deque([asyncio.create_task(fetch_page(first))])
    try:
        while (page := await requests.popleft()).items:
            seen.add(page)
            last = last or math.ceil((page.total or 0) / len(page.items))
            # Beyond the last page by the list's own count there is only the empty one, which is requested alone.
            while len(requests) < ahead and (number <= last or not requests):
                requests.append(asyncio.create_task(fetch_page(number)))
                number += 1
            yield page
            if not requests:
                requests.append(asyncio.create_task(fetch_page(number)))
                number += 1
    finally:
        for task in requests:
            task.cancel()
        await asyncio.gather(*requests, return_exceptions=True)


@dataclass
class _SeenItems:
    ids: set[int] = field(default_factory=set)
    repeated: int = 0

    def add(self, page: ListPage) -> None:
        """Note a page. Raises `ChatwootError` when the list repeats its pages, since a walk would never end."""
        page_ids = parsing.item_ids(page.items)
        self.repeated = 0 if page_ids - self.ids else self.repeated + 1
        self.ids |= page_ids
        if self.repeated > _MAX_REPEATED_PAGES:
            raise responses.repeating_list_error(page.response)
