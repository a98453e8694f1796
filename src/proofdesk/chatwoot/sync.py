"""The sync job: first everything, newest first; from then on what changed.

For each Chatwoot account of the project:

    inboxes → another try for what is in quarantine → first reading of the sources that lack it
            → changes since the mark → re-read of what was active lately

A mark moves only when everything before it is stored, so a run may be killed anywhere.
"""

import math
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from proofdesk.chatwoot import cursor_queries, pagination, parsing, quarantine, queries
from proofdesk.chatwoot.binding import SourceBindingError, bound_sources
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.cursor_queries import QuarantinedItem, SourceWatermark
from proofdesk.chatwoot.importer import AccountImporter, ImportCounts
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.chatwoot.windows import ConversationReading
from proofdesk.core.progress import ReportProgress, ShouldStop, is_power_of_two, never_stop
from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope
from proofdesk.projects.source_queries import Source

OVERLAP = timedelta(minutes=5)  # C-06 asks for two minutes or more
CHANGES_RETRY_TIMEOUT = 20.0  # seconds; Chatwoot cuts a request at 15, and the same one would be cut again
MAX_SHOWN = 20  # items of the quarantine that a run tells of
PAGES_AHEAD = 8  # pages of a list that are asked for while one is worked on, where all of it is read
RECHECKED_MESSAGES = 100  # messages at the end of a conversation; what changes further up is reconcile's to find
MAX_CONFIRMATION_WALKS = 3  # how often the list is walked to prove that the first reading left nothing out


@dataclass(frozen=True)
class SyncOptions:
    """What the settings say about syncing."""

    default_account_id: int | None = None
    lookback: timedelta | None = None
    recheck: timedelta = timedelta(minutes=30)


@dataclass(frozen=True)
class SyncResult:
    """What a sync changed, how many items wait in quarantine, and those of them that wait longest.

    `finished` is False when it left off: the next one goes on at the page where this one stopped.
    """

    counts: ImportCounts = field(default_factory=ImportCounts)
    in_quarantine: int = 0
    waiting: list[QuarantinedItem] = field(default_factory=list)
    finished: bool = True


@dataclass(frozen=True)
class QuarantineSummary:
    """How many items wait in quarantine, and those that wait longest."""

    count: int
    longest: list[QuarantinedItem]


async def summarize_quarantine(db: Database, scope: Scope) -> QuarantineSummary:
    """Return what waits in quarantine, of every stage."""
    async with db.scoped(scope) as conn:
        count = await cursor_queries.count_quarantined(conn, scope)
        return QuarantineSummary(count, await cursor_queries.list_quarantined(conn, scope, None, MAX_SHOWN))


class _Stopped(Exception):
    """It was asked to leave off, and did so at a page that is marked."""


async def run(
    db: Database,
    client: ChatwootClient,
    scope: Scope,
    options: SyncOptions,
    report: ReportProgress,
    should_stop: ShouldStop = never_stop,
) -> SyncResult:
    """Bring the mirror of the project up to date. Running it again at once changes nothing.

    A first reading may leave off at each page. Raises `SourceBindingError` when it is not clear what to read, and
    `ChatwootError` when Chatwoot cannot be read.
    """
    counts, finished = ImportCounts(), True
    for account_id, bound in group_by_account(await bound_sources(db, scope, options.default_account_id)):
        whole = any(s.inbox_id is None for s in bound)
        importer = AccountImporter(
            db,
            client,
            scope,
            account_id,
            None if whole else frozenset(s.inbox_id for s in bound if s.inbox_id),
            activity_cutoff(client, options),
            counts,
        )
        try:
            await _sync_account(importer, bound, options, report, should_stop)
        except _Stopped:
            finished = False
            break
    summary = await summarize_quarantine(db, scope)
    return SyncResult(counts, summary.count, summary.longest, finished)


def activity_cutoff(client: ChatwootClient, options: SyncOptions) -> datetime | None:
    """Conversations without activity since then are left out; None: all are read."""
    return client.now() - options.lookback if options.lookback else None


def group_by_account(bound: list[Source]) -> Iterator[tuple[int, list[Source]]]:
    """The sources of each account."""
    for account_id in sorted({s.account_id for s in bound}):
        yield account_id, [s for s in bound if s.account_id == account_id]


async def store_inboxes(importer: AccountImporter, bound: list[Source]) -> None:
    """Store the inboxes; raises `SourceBindingError` when a bound one is not among them."""
    answer = await importer.client.inboxes(importer.account_id)
    listed = parsing.parse_inboxes(answer.list("payload"))
    missing = [s.external_id for s in bound if s.inbox_id and s.inbox_id not in {i["inbox_id"] for i in listed}]
    if missing:
        raise SourceBindingError(
            f"Chatwoot shows no inbox {', '.join(missing)} (account:inbox) to this token: it was deleted, or the"
            " token's user is not an administrator.",
            details=answer.error_details() | {"inbox_id": int(missing[0].split(":")[1])},
        )
    selected = [i for i in listed if importer.inbox_ids is None or i["inbox_id"] in importer.inbox_ids]
    async with importer.db.scoped(importer.scope) as conn:
        await queries.store_inboxes(conn, importer.scope, importer.account_id, selected)


async def _sync_account(
    importer: AccountImporter,
    bound: list[Source],
    options: SyncOptions,
    report: ReportProgress,
    should_stop: ShouldStop,
) -> None:
    await store_inboxes(importer, bound)
    await quarantine.retry_quarantined(importer)
    live: list[tuple[Source, datetime]] = []
    for source in bound:
        mark = await _fetch_watermark(importer, source)
        if mark is None or mark.meta["phase"] != "live" or mark.cursor_ts is None:
            await _initial_sync(importer, source, mark, report, should_stop)
        else:
            live.append((source, mark.cursor_ts))
    if live:
        await _sync_changes(importer, live, report, should_stop)
    if options.recheck:
        await _recheck(importer, options.recheck)


# The first reading ----------------------------------------------------------------------------------------------------


async def _initial_sync(
    importer: AccountImporter,
    source: Source,
    mark: SourceWatermark | None,
    report: ReportProgress,
    should_stop: ShouldStop,
) -> None:
    started = mark.cursor_ts if mark else importer.client.now()
    # Going on after a kill, it starts a page earlier: deletions may have pulled the list up meanwhile.
    number = max(1, mark.meta["page"] - 1) if mark and mark.meta["phase"] == "history" else 1
    done = 0
    listed = pagination.iterate_conversations(
        importer.client, importer.account_id, "created_at_desc", source.inbox_id, first=number, ahead=PAGES_AHEAD
    )
    async with aclosing(importer.import_pages(listed)) as taken:
        async for page in taken:
            number += 1
            done += len(page.items)
            report(done, page.total, "conversations read")
            await _set_watermark(importer, source, started, {"phase": "history", "page": number})
            if is_power_of_two(number):
                async with importer.db.transaction() as conn:
                    await queries.refresh_statistics(conn)
            if await should_stop():
                raise _Stopped
    await _confirm_complete(importer, source)
    if source.inbox_id is None:
        await import_all_contacts(importer)
    await _set_watermark(importer, source, started, {"phase": "live"})


async def _confirm_complete(importer: AccountImporter, source: Source) -> None:
    """Walk the list until a walk shows nothing new: deletions may have pulled it up under the first reading."""
    for _ in range(MAX_CONFIRMATION_WALKS):
        before = importer.counts.conversations
        listed = pagination.iterate_conversations(
            importer.client, importer.account_id, "created_at_asc", source.inbox_id, ahead=PAGES_AHEAD
        )
        async for _ in importer.import_pages(listed):
            pass
        if importer.counts.conversations == before:
            return


async def import_all_contacts(importer: AccountImporter) -> set[int]:
    """Store every contact that has an address, whether or not it has a conversation; the ids that were listed."""
    listed = set[int]()
    async for page in pagination.iterate_contacts(
        importer.client, importer.account_id, "created_at", ahead=PAGES_AHEAD
    ):
        await importer.import_contacts(page.items)
        listed |= parsing.item_ids(page.items)
    return listed


# What changed ---------------------------------------------------------------------------------------------------------


async def _sync_changes(
    importer: AccountImporter, live: list[tuple[Source, datetime]], report: ReportProgress, should_stop: ShouldStop
) -> None:
    """C-07, then C-06, each with an overlap; the new mark is the server's time at the start."""
    since = min(mark for _, mark in live) - OVERLAP
    inbox_id = live[0][0].inbox_id if len(live) == 1 else None
    started = importer.client.now()
    within = math.ceil((started - since).total_seconds())
    try:
        client = importer.client.with_max_retry_timeout(CHANGES_RETRY_TIMEOUT)
        changed = await client.changed_conversations(importer.account_id, within, inbox_id)
    except ChatwootError as error:
        if error.permanent or error.from_proxy or error.status == 429:
            raise
        await _sync_changes_by_pages(importer, live, since, report, should_stop)
        return
    await importer.import_conversations(changed.items)
    report(len(changed.items), None, "conversations read")
    while await _sync_recently_active(importer, inbox_id, since) > 1:
        pass
    if importer.inbox_ids is None:
        await _sync_new_contacts(importer)
    for source, _ in live:
        await _set_watermark(importer, source, started, {"phase": "live"})


async def _sync_changes_by_pages(
    importer: AccountImporter,
    live: list[tuple[Source, datetime]],
    since: datetime,
    report: ReportProgress,
    should_stop: ShouldStop,
) -> None:
    """After a long pause the one answer with all changes is cut at the server's time limit, and would be for ever.

    What was active is read by pages then, newest first, and the whole list as by a first reading, which goes on at its
    page and reads the messages of changed conversations only.
    """
    for source, _ in live:
        await _sync_recently_active(importer, source.inbox_id, since)
    for source, _ in live:
        await _initial_sync(importer, source, None, report, should_stop)


async def _sync_recently_active(importer: AccountImporter, inbox_id: int | None, since: datetime) -> int:
    """Walk the list by activity back to the mark; how many of its pages had messages that were new to us."""
    new_pages = 0
    async for page in pagination.iterate_conversations(
        importer.client, importer.account_id, "last_activity_at_desc", inbox_id
    ):
        before = importer.counts.messages
        await importer.import_conversations(page.items)
        new_pages += importer.counts.messages > before
        if _oldest_activity(page.items) < since.timestamp():
            break
    return new_pages


async def _sync_new_contacts(importer: AccountImporter) -> None:
    async for page in pagination.iterate_contacts(importer.client, importer.account_id, "-created_at"):
        if not await importer.import_contacts(page.items):
            return


async def _recheck(importer: AccountImporter, recheck: timedelta) -> None:
    """Deletions and delivery states move no time in Chatwoot: read the end of what was active lately again."""
    since = importer.client.now() - recheck
    async with importer.db.scoped(importer.scope) as conn:
        tails = await cursor_queries.list_recent_tails(
            conn, importer.scope, importer.account_id, since, RECHECKED_MESSAGES
        )
    await importer.reread_messages(
        [ConversationReading.starting_at(tail.conversation_id, tail.first_id, 0) for tail in tails]
    )


# Marks ----------------------------------------------------------------------------------------------------------------


async def _fetch_watermark(importer: AccountImporter, source: Source) -> SourceWatermark | None:
    async with importer.db.scoped(importer.scope) as conn:
        return await cursor_queries.fetch_watermark(conn, importer.scope, watermark_name(source))


async def _set_watermark(importer: AccountImporter, source: Source, ts: datetime | None, meta: dict[str, Any]) -> None:
    async with importer.db.scoped(importer.scope) as conn:
        await cursor_queries.set_watermark(conn, importer.scope, watermark_name(source), ts, meta)


def watermark_name(source: Source) -> str:
    """What a source is called among the watermarks."""
    return f"{source.source_kind}:{source.external_id}"


def _oldest_activity(listed: list[Any]) -> float:
    times = (i.get("last_activity_at") for i in listed if isinstance(i, dict))
    return min((float(t) for t in times if t is not None and parsing.is_time(t)), default=math.inf)
