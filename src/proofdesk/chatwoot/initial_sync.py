"""The first sync of a source: all conversations, newest first, then a second walk that proves the list complete."""

from contextlib import aclosing

from proofdesk.chatwoot import pagination, parsing, queries
from proofdesk.chatwoot.cursor_queries import SourceWatermark
from proofdesk.chatwoot.importer import AccountImporter
from proofdesk.chatwoot.watermarks import move_watermark
from proofdesk.core.progress import ReportProgress, ShouldStop, is_power_of_two
from proofdesk.projects.source_queries import Source

PAGES_AHEAD = 8  # pages of a list that are requested while one is imported
MAX_CONFIRMATION_WALKS = 3


class SyncStopped(Exception):
    """The sync was asked to stop, and stopped after a page that is stored."""


async def sync_source(
    importer: AccountImporter,
    source: Source,
    watermark: SourceWatermark | None,
    report: ReportProgress,
    should_stop: ShouldStop,
) -> None:
    """Import a whole source, or continue at the page of its watermark. Raises `SyncStopped`."""
    started = watermark.cursor_ts if watermark else importer.client.now()
    # After a kill, it continues one page earlier: deletions may have moved items to earlier pages meanwhile.
    number = max(1, watermark.meta["page"] - 1) if watermark and watermark.meta["phase"] == "history" else 1
    done = 0
    listed = pagination.iterate_conversations(
        importer.client, importer.account_id, "created_at_desc", source.inbox_id, first=number, ahead=PAGES_AHEAD
    )
    async with aclosing(importer.import_pages(listed)) as pages:
        async for page in pages:
            number += 1
            done += len(page.items)
            report(done, page.total, "conversations read")
            await move_watermark(importer, source, started, {"phase": "history", "page": number})
            if is_power_of_two(number):
                async with importer.db.transaction() as conn:
                    await queries.refresh_statistics(conn)
            if await should_stop():
                raise SyncStopped
    await _confirm_complete(importer, source)
    if source.inbox_id is None:
        await import_all_contacts(importer)
    await move_watermark(importer, source, started, {"phase": "live"})


async def import_all_contacts(importer: AccountImporter) -> set[int]:
    """Store every contact that has an address, with or without conversations; return the ids that were listed."""
    listed = set[int]()
    async for page in pagination.iterate_contacts(
        importer.client, importer.account_id, "created_at", ahead=PAGES_AHEAD
    ):
        await importer.import_contact_page(page)
        listed |= parsing.item_ids(page.items) | page.unreadable.keys()
    return listed


async def _confirm_complete(importer: AccountImporter, source: Source) -> None:
    """Walk the list until a walk finds nothing new: a deletion during the first walk can hide a conversation (C-05)."""
    for _ in range(MAX_CONFIRMATION_WALKS):
        before = importer.counts.conversations
        listed = pagination.iterate_conversations(
            importer.client, importer.account_id, "created_at_asc", source.inbox_id, ahead=PAGES_AHEAD
        )
        async for _ in importer.import_pages(listed):
            pass
        if importer.counts.conversations == before:
            return
