"""The sync job: first all conversations, newest first; later what changed.

For each Chatwoot account of the project:

    inboxes → retry of quarantined items → first sync of new sources → changes since the watermark
            → re-read of recently active conversations

A watermark moves only when everything before it is stored, so a run may be killed anywhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from proofdesk.chatwoot import changes, initial_sync, parsing, quarantine, quarantine_queries, queries
from proofdesk.chatwoot.binding import SourceBindingError, bound_sources
from proofdesk.chatwoot.changes import LiveSource
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.importer import AccountImporter
from proofdesk.chatwoot.initial_sync import SyncStopped
from proofdesk.chatwoot.message_importer import ImportCounts
from proofdesk.chatwoot.quarantine_queries import QuarantinedItem
from proofdesk.chatwoot.watermarks import load_watermark
from proofdesk.core.progress import ReportProgress, ShouldStop, never_stop
from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope
from proofdesk.projects.source_queries import Source

MAX_SHOWN = 20  # quarantined items in the result of a run


@dataclass(frozen=True)
class SyncOptions:
    """The settings of a sync."""

    default_account_id: int | None = None
    lookback: timedelta | None = None
    recheck: timedelta = timedelta(minutes=30)


@dataclass(frozen=True)
class SyncResult:
    """What a sync changed, the number of quarantined items, and those that wait longest.

    `finished` is False when it stopped early: the next one continues at that page. `binding_error` names bound inboxes
    that Chatwoot does not show, when there were others to read.
    """

    counts: ImportCounts = field(default_factory=ImportCounts)
    in_quarantine: int = 0
    waiting: list[QuarantinedItem] = field(default_factory=list)
    finished: bool = True
    binding_error: SourceBindingError | None = None


@dataclass(frozen=True)
class QuarantineSummary:
    """The number of quarantined items, and those that wait longest."""

    count: int
    longest: list[QuarantinedItem]


@dataclass(frozen=True)
class SourceCheck:
    """The sources whose inboxes Chatwoot shows, the ids of all inboxes that it shows, and an error for the others."""

    visible: list[Source]
    listed: list[int]
    error: SourceBindingError | None = None


async def summarize_quarantine(db: Database, scope: Scope) -> QuarantineSummary:
    """Return what waits in quarantine, of every stage."""
    async with db.scoped(scope) as conn:
        count = await quarantine_queries.count_quarantined(conn, scope)
        return QuarantineSummary(count, await quarantine_queries.list_quarantined(conn, scope, None, MAX_SHOWN))


async def run(
    db: Database,
    client: ChatwootClient,
    scope: Scope,
    options: SyncOptions,
    report: ReportProgress,
    should_stop: ShouldStop = never_stop,
) -> SyncResult:
    """Import the conversations of the project's sources. Running it again at once changes nothing.

    A first sync may stop after each page. Raises `SourceBindingError` when no source can be read, and `ChatwootError`
    when Chatwoot cannot be read.
    """
    counts, finished, errors, read = ImportCounts(), True, list[SourceBindingError](), 0
    for account_id, bound in group_by_account(await bound_sources(db, scope, options.default_account_id)):
        importer = _account_importer(db, client, scope, account_id, bound, options, counts)
        check = await store_inboxes(importer, bound)
        errors += [check.error] if check.error else []
        read += len(check.visible)
        try:
            if check.visible:
                await _sync_account(importer, check.visible, options, report, should_stop)
        except SyncStopped:
            finished = False
            break
    if errors and not read:
        raise errors[0]
    summary = await summarize_quarantine(db, scope)
    return SyncResult(counts, summary.count, summary.longest, finished, next(iter(errors), None))


def activity_cutoff(client: ChatwootClient, options: SyncOptions) -> datetime | None:
    """Return the time since which a conversation must have been active to be read; None reads all."""
    return client.now() - options.lookback if options.lookback else None


def group_by_account(bound: list[Source]) -> Iterator[tuple[int, list[Source]]]:
    """Yield each account with its sources."""
    for account_id in sorted({s.account_id for s in bound}):
        yield account_id, [s for s in bound if s.account_id == account_id]


async def store_inboxes(importer: AccountImporter, bound: list[Source]) -> SourceCheck:
    """Store the selected inboxes, and check that Chatwoot shows every bound one (C-17)."""
    response = await importer.client.inboxes(importer.account_id)
    listed = parsing.parse_inboxes(response.list("payload"))
    listed_ids = {i["inbox_id"] for i in listed}
    selected = [i for i in listed if importer.inbox_ids is None or i["inbox_id"] in importer.inbox_ids]
    async with importer.db.scoped(importer.scope) as conn:
        await queries.store_inboxes(conn, importer.scope, importer.account_id, selected)
    missing = [s for s in bound if s.inbox_id and s.inbox_id not in listed_ids]
    if not missing:
        return SourceCheck(bound, sorted(listed_ids))
    names = ", ".join(s.external_id for s in missing)
    error = SourceBindingError(
        f"Chatwoot shows no inbox {names} (account:inbox) to this token. If it was deleted, unbind it; if not, make the"
        " token's user an administrator.",
        details=response.error_details() | {"inbox_id": missing[0].inbox_id},
    )
    return SourceCheck([s for s in bound if s not in missing], sorted(listed_ids), error)


def _account_importer(
    db: Database,
    client: ChatwootClient,
    scope: Scope,
    account_id: int,
    bound: list[Source],
    options: SyncOptions,
    counts: ImportCounts,
) -> AccountImporter:
    whole_account = any(s.inbox_id is None for s in bound)
    inbox_ids = None if whole_account else frozenset(s.inbox_id for s in bound if s.inbox_id)
    return AccountImporter(db, client, scope, account_id, inbox_ids, activity_cutoff(client, options), counts)


async def _sync_account(
    importer: AccountImporter,
    sources: list[Source],
    options: SyncOptions,
    report: ReportProgress,
    should_stop: ShouldStop,
) -> None:
    await quarantine.retry_quarantined(importer)
    live: list[LiveSource] = []
    for source in sources:
        watermark = await load_watermark(importer, source)
        if watermark is None or watermark.meta["phase"] != "live" or watermark.cursor_ts is None:
            await initial_sync.sync_source(importer, source, watermark, report, should_stop)
        else:
            live.append((source, watermark.cursor_ts))
    if live:
        await changes.sync_changes(importer, live, report, should_stop)
    if options.recheck:
        await changes.recheck_recent(importer, options.recheck)
