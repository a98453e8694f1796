"""Walking Chatwoot's lists page by page, to an empty page, and no further than there is something to see."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from proofdesk.chatwoot import answers, items
from proofdesk.chatwoot.client import Chatwoot, Page

# Lists move while they are read, so a page may show what others showed; so many in a row are no list any more.
_MOST_REPEATED = 20


async def ahead(
    client: Chatwoot, account_id: int, sort_by: str, inbox_id: int | None = None, first: int = 1
) -> AsyncIterator[Page]:
    """Pages of conversations until an empty one; while one is worked on, the next is asked for."""

    def ask(number: int) -> asyncio.Task[Page]:
        return asyncio.create_task(client.conversations(account_id, number, sort_by, inbox_id))

    number, asked, seen = first, ask(first), _Seen()
    try:
        while (page := await asked).items:
            seen.add(page)
            number += 1
            asked = ask(number)
            yield page
    finally:
        asked.cancel()


async def conversations(client: Chatwoot, account_id: int, sort_by: str, inbox_id: int | None) -> AsyncIterator[Page]:
    """Pages of conversations until an empty one, each asked for when it is wanted."""
    number, seen = 1, _Seen()
    while (page := await client.conversations(account_id, number, sort_by, inbox_id)).items:
        seen.add(page)
        yield page
        number += 1


async def contacts(client: Chatwoot, account_id: int, sort: str) -> AsyncIterator[Page]:
    """Pages of contacts until an empty one, each asked for when it is wanted."""
    number, seen = 1, _Seen()
    while (page := await client.contacts(account_id, number, sort)).items:
        seen.add(page)
        yield page
        number += 1


@dataclass
class _Seen:
    ids: set[int] = field(default_factory=set)
    repeated: int = 0

    def add(self, page: Page) -> None:
        """Raises `ChatwootError` when the list goes round in circles: it would be walked for ever."""
        shown = items.ids(page.items)
        self.repeated = 0 if shown - self.ids else self.repeated + 1
        self.ids |= shown
        if self.repeated > _MOST_REPEATED:
            raise answers.repeated(page.answer)
