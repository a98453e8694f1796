"""What is proven to be deleted in Chatwoot: Chatwoot says so itself, twice. A page that lacks a record proves nothing.

See C-42 in `docs/chatwoot.md`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from proofdesk.chatwoot import permissions, windows
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.responses import ChatwootError

MAX_GAPS = 10  # windows between present messages that are read one by one

_ATTEMPTS = 3  # of a record that Chatwoot cannot show

FetchRecord = Callable[[int, int], Awaitable[dict[str, Any] | None]]


async def find_deleted_conversations(client: ChatwootClient, account_id: int, ids: list[int]) -> list[int]:
    """Return the conversations that Chatwoot answers with its own 404, twice, while the account exists.

    Raises `ChatwootError` when most of them are refused to the token.
    """
    return await _confirm_deleted(client, account_id, _quick(client).conversation, ids)


async def find_deleted_contacts(client: ChatwootClient, account_id: int, ids: list[int]) -> list[int]:
    """Return the contacts that Chatwoot answers with its own 404, twice, while the account exists."""
    return await _confirm_deleted(client, account_id, _quick(client).contact, ids)


async def find_deleted_messages(
    client: ChatwootClient, account_id: int, conversation_id: int, missing: list[int], present: set[int]
) -> list[int]:
    """Return the missing messages that a second reading by complete windows does not hold either.

    The windows lie between the messages that are present, so each should be empty. A server that ignores windows
    returns none empty, and then no message counts as deleted.
    """
    gaps = windows.find_gaps(missing, present)
    if len(gaps) > MAX_GAPS:
        return await _find_deleted_in_range(client, account_id, conversation_id, missing, gaps[0])
    pages = await asyncio.gather(*(client.messages(account_id, conversation_id, w.first, w.end) for w in gaps))
    empty = [window for window, page in zip(gaps, pages, strict=True) if page == []]
    return [i for i in missing if any(window.first <= i < window.end for window in empty)]


async def _find_deleted_in_range(
    client: ChatwootClient, account_id: int, conversation_id: int, missing: list[int], gap: windows.MessageWindow
) -> list[int]:
    """Do the same for messages missing in many places: read all windows again, after one that should be empty is."""
    if await client.messages(account_id, conversation_id, gap.first, gap.end) != []:
        return []
    whole = windows.MessageWindow(min(missing), max(missing) + 1)
    reading = windows.ConversationReading(conversation_id, known_id=whole.end, remaining=(whole,))
    while not reading.finished:
        page = await client.messages(account_id, conversation_id, reading.window.first, reading.window.end)
        if page is None:
            return []
        try:
            reading = reading.after_page(page)
        except windows.UnsplittableWindow:
            return []
    return [i for i in missing if i not in reading.present]


def _quick(client: ChatwootClient) -> ChatwootClient:
    return client.with_max_slow_attempts(_ATTEMPTS)


async def _confirm_deleted(client: ChatwootClient, account_id: int, fetch: FetchRecord, ids: list[int]) -> list[int]:
    deleted = await _find_deleted(client, account_id, fetch, ids)
    if deleted:
        # In a deleted account every record is answered with 404. So is the list of inboxes, which raises.
        await client.inboxes(account_id)
    return await _find_deleted(client, account_id, fetch, deleted)


async def _find_deleted(client: ChatwootClient, account_id: int, fetch: FetchRecord, ids: list[int]) -> list[int]:
    results = await asyncio.gather(*(_fetch_or_refusal(fetch, account_id, i) for i in ids))
    refusals = [result for result in results if isinstance(result, ChatwootError)]
    await permissions.check_refusals(client, account_id, refusals, len(results) - len(refusals))
    return [i for i, result in zip(ids, results, strict=True) if result is None]


async def _fetch_or_refusal(
    fetch: FetchRecord, account_id: int, record_id: int
) -> dict[str, Any] | ChatwootError | None:
    try:
        return await fetch(account_id, record_id)
    except ChatwootError as error:
        # A record that Chatwoot cannot show exists, or it may.
        if not (error.forbidden or error.cannot_render):
            raise
        return error
