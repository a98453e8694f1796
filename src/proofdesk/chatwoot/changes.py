"""What changed since the watermark: one list of changes where Chatwoot can answer it, else pages."""

import contextlib
import math
from datetime import datetime, timedelta
from typing import Any

from proofdesk.chatwoot import cursor_queries, initial_sync, items, pagination
from proofdesk.chatwoot.importer import AccountImporter
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.chatwoot.watermarks import move_watermark
from proofdesk.chatwoot.windows import ConversationReading
from proofdesk.core.progress import ReportProgress, ShouldStop
from proofdesk.projects.source_queries import Source

OVERLAP = timedelta(minutes=5)  # C-06 requires two minutes or more
CHANGES_RETRY_TIMEOUT = 20.0  # seconds; a request that takes Chatwoot 15 seconds would fail again (C-13)
RECHECKED_MESSAGES = 100  # at the end of a conversation; reconcile finds what changes further up

LiveSource = tuple[Source, datetime]
"""A source that was read completely, and its watermark."""


class _BrokenPage(Exception):
    """Chatwoot cannot show a page of the list by activity; a walk by creation reads its conversations."""


async def sync_changes(
    importer: AccountImporter, live: list[LiveSource], report: ReportProgress, should_stop: ShouldStop
) -> None:
    """Import what changed (C-07), then what was active (C-06); the new watermark is the server's time at the start."""
    since = min(watermark for _, watermark in live) - OVERLAP
    inbox_id = live[0][0].inbox_id if len(live) == 1 else None
    started = importer.client.now()
    within = math.ceil((started - since).total_seconds())
    try:
        client = importer.client.with_max_retry_timeout(CHANGES_RETRY_TIMEOUT)
        changed = await client.changed_conversations(importer.account_id, within, inbox_id)
    except ChatwootError as error:
        if error.permanent or error.from_proxy or error.status == 429:
            raise
        await _sync_by_pages(importer, live, since, report, should_stop)
        return
    await importer.import_conversations(changed.items)
    report(len(changed.items), None, "conversations read")
    try:
        while await _sync_recently_active(importer, inbox_id, since) > 1:
            pass
    except _BrokenPage:
        await _sync_by_pages(importer, live, since, report, should_stop)
        return
    if importer.inbox_ids is None:
        await _sync_new_contacts(importer)
    for source, _ in live:
        await move_watermark(importer, source, started, {"phase": "live"})


async def recheck_recent(importer: AccountImporter, recheck: timedelta) -> None:
    """Read the end of recently active conversations again: deletions and delivery states move no time (C-40)."""
    since = importer.client.now() - recheck
    async with importer.db.scoped(importer.scope) as conn:
        tails = await cursor_queries.list_recent_tails(
            conn, importer.scope, importer.account_id, since, RECHECKED_MESSAGES
        )
    await importer.reread_messages(
        [ConversationReading.starting_at(tail.conversation_id, tail.first_id, tail.last_id) for tail in tails]
    )


async def _sync_by_pages(
    importer: AccountImporter,
    live: list[LiveSource],
    since: datetime,
    report: ReportProgress,
    should_stop: ShouldStop,
) -> None:
    """Import the changes by pages, because after a long pause one list of all changes takes Chatwoot too long.

    Active conversations come first. Then the whole list is walked as in a first sync, which continues at its page and
    reads only the messages of changed conversations.
    """
    for source, _ in live:
        with contextlib.suppress(_BrokenPage):
            await _sync_recently_active(importer, source.inbox_id, since)
    for source, _ in live:
        await initial_sync.sync_source(importer, source, None, report, should_stop)


async def _sync_recently_active(importer: AccountImporter, inbox_id: int | None, since: datetime) -> int:
    """Walk the list by activity back to a time; return how many pages held new messages. Raises `_BrokenPage`."""
    new_pages = 0
    async for page in pagination.iterate_conversations(
        importer.client, importer.account_id, "last_activity_at_desc", inbox_id
    ):
        if page.broken:
            raise _BrokenPage
        before = importer.counts.messages
        await importer.import_conversations(page.items)
        new_pages += importer.counts.messages > before
        if _oldest_activity(page.items) < since.timestamp():
            break
    return new_pages


async def _sync_new_contacts(importer: AccountImporter) -> None:
    async for page in pagination.iterate_contacts(importer.client, importer.account_id, "-created_at"):
        if not (await importer.import_contact_page(page) or page.broken):
            return


def _oldest_activity(listed: list[Any]) -> float:
    times = (item.get("last_activity_at") for item in listed if isinstance(item, dict))
    return min((float(t) for t in times if t is not None and items.is_time(t)), default=math.inf)
