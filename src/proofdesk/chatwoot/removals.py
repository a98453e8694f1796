"""What is proven to be gone from Chatwoot: it says so itself, twice. A page that lacks something proves nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from proofdesk.chatwoot import permissions, windows
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.responses import ChatwootError

MAX_GAPS = 10  # windows between present messages that are read one by one

FetchRecord = Callable[[int, int], Awaitable[dict[str, Any] | None]]


async def find_deleted_conversations(client: ChatwootClient, account_id: int, ids: list[int]) -> list[int]:
    """Those of these conversations that Chatwoot answers with its own 404, twice, while the account is there.

    Raises `ChatwootError` when most of them are refused to the token.
    """
    return await _confirm_deleted(client, account_id, client.conversation, ids)


async def find_deleted_contacts(client: ChatwootClient, account_id: int, ids: list[int]) -> list[int]:
    """Those of these contacts that Chatwoot answers with its own 404, twice, while the account is there."""
    return await _confirm_deleted(client, account_id, client.contact, ids)


async def find_deleted_messages(
    client: ChatwootClient, account_id: int, conversation_id: int, missing: list[int], present: set[int]
) -> list[int]:
    """Those of the missing messages that a second reading by complete windows does not hold either.

    The windows lie between the messages that are there, so each should be empty. From a server that does not keep
    to them none is, and then nothing counts as gone.
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
    """The same for messages missing in many places: all windows once more, after one that should be empty is."""
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


async def _confirm_deleted(client: ChatwootClient, account_id: int, get: FetchRecord, ids: list[int]) -> list[int]:
    gone = await _find_deleted(client, account_id, get, ids)
    if gone:
        # Of an account that is gone, everything is: its inboxes, too, are answered with 404 then, which raises.
        await client.inboxes(account_id)
    return await _find_deleted(client, account_id, get, gone)


async def _find_deleted(client: ChatwootClient, account_id: int, get: FetchRecord, ids: list[int]) -> list[int]:
    results = await asyncio.gather(*(_fetch_or_refusal(get, account_id, i) for i in ids))
    refusals = [answer for answer in results if isinstance(answer, ChatwootError)]
    await permissions.check_refusals(client, account_id, refusals, len(results) - len(refusals))
    return [i for i, answer in zip(ids, results, strict=True) if answer is None]


async def _fetch_or_refusal(get: FetchRecord, account_id: int, number: int) -> dict[str, Any] | ChatwootError | None:
    try:
        return await get(account_id, number)
    except ChatwootError as error:
        if not error.forbidden:
            raise
        return error
