"""Reading parts of conversations again, for delivery states, which no list shows (C-40)."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from proofdesk import logging
from proofdesk.chatwoot import cursor_queries, parsing, queries
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope

log = logging.get_logger(__name__)

_BATCH_SIZE = 50  # conversations that are read before they are stored


class MessageRange(Protocol):
    """Messages of a conversation from one id to another."""

    @property
    def account_id(self) -> int: ...
    @property
    def conversation_id(self) -> int: ...
    @property
    def first_id(self) -> int: ...
    @property
    def last_id(self) -> int: ...


async def reread_ranges(db: Database, client: ChatwootClient, scope: Scope, ranges: Sequence[MessageRange]) -> None:
    """Read these messages again, with one request for each conversation, and store what is different.

    A message that is absent is not removed. A conversation that cannot be read now stays unchanged.
    """
    for start in range(0, len(ranges), _BATCH_SIZE):
        part = ranges[start : start + _BATCH_SIZE]
        pages = await asyncio.gather(*(_fetch_range(client, window) for window in part))
        for account_id in sorted({w.account_id for w in part}):
            read = [(w.conversation_id, p) for w, p in zip(part, pages, strict=True) if w.account_id == account_id]
            await _store(db, scope, account_id, [(i, page) for i, page in read if page])


async def _fetch_range(client: ChatwootClient, message_range: MessageRange) -> list[Any]:
    try:
        page = await client.messages(
            message_range.account_id, message_range.conversation_id, message_range.first_id, message_range.last_id + 1
        )
    except ChatwootError as error:  # the next run tries again
        log.warning("delivery states not read", conversation_id=message_range.conversation_id, error=error.message)
        return []
    return page or []


async def _store(db: Database, scope: Scope, account_id: int, pages: list[tuple[int, list[Any]]]) -> None:
    rows = [row for conversation_id, page in pages for row in parsing.parse_messages(page, conversation_id).rows]
    if not rows:
        return
    async with db.scoped(scope) as conn:
        ids = [conversation_id for conversation_id, _ in pages]
        await cursor_queries.lock_conversations(conn, scope, account_id, ids)
        present = {
            state.conversation_id for state in await cursor_queries.list_read_states(conn, scope, account_id, ids)
        }
        kept = [row for row in rows if row["conversation_id"] in present]
        await queries.store_messages(conn, scope, account_id, sorted(kept, key=lambda row: row["message_id"]))
