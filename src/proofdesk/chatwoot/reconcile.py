"""The reconcile job: walk everything (C-41), repair what differs, and prove that nothing is missing.

It is slow on purpose, since Chatwoot limits requests by address (C-12), and resumable: after each page it stores its
position and its counts. At the end it walks the list once more, to find what the list does not show any more.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

from proofdesk.chatwoot import (
    cursor_queries,
    deletion_queries,
    initial_sync,
    pagination,
    parsing,
    permissions,
    queries,
    removals,
    sync,
)
from proofdesk.chatwoot.binding import SourceBindingError
from proofdesk.chatwoot.client import ChatwootClient, ListPage
from proofdesk.chatwoot.comparison import InboxComparison as InboxComparison
from proofdesk.chatwoot.importer import AccountImporter
from proofdesk.chatwoot.message_importer import ImportCounts
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.chatwoot.watermarks import watermark_name
from proofdesk.chatwoot.windows import ConversationReading
from proofdesk.core.progress import ReportProgress, ShouldStop, never_stop
from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope
from proofdesk.projects.source_queries import Source


@dataclass(frozen=True)
class ReconcileResult:
    """The comparisons of each source that was walked to its end; `finished` when that is all of them.

    `binding_error` names bound inboxes that Chatwoot does not show, when there were others to compare. `limited_role`
    is the role of the token's user if it may hide conversations, so that nothing is proved about what Chatwoot has.
    """

    walked: dict[str, list[InboxComparison]]
    changes: ImportCounts
    finished: bool = True
    binding_error: SourceBindingError | None = None
    limited_role: str | None = None

    @property
    def inboxes(self) -> list[InboxComparison]:
        """The comparisons of all sources."""
        return sorted((inbox for inboxes in self.walked.values() for inbox in inboxes), key=lambda i: i.inbox_id)

    @property
    def complete(self) -> bool:
        """Whether all that Chatwoot has is stored, and nothing else."""
        return self.limited_role is None and self.agrees

    @property
    def agrees(self) -> bool:
        """Whether all that the token can see is stored, and nothing else."""
        return self.finished and all(inbox.theirs == inbox.ours for inbox in self.inboxes)


async def run(
    db: Database,
    client: ChatwootClient,
    scope: Scope,
    options: sync.SyncOptions,
    per_minute: int,
    report: ReportProgress,
    should_stop: ShouldStop = never_stop,
    walked: dict[str, list[InboxComparison]] | None = None,
) -> ReconcileResult:
    """Compare every source of the project except those in `walked`. It may stop after each page.

    Raises what `sync.run` raises. A later run continues where this one stopped.
    """
    changes, walked, errors = ImportCounts(), dict(walked or {}), list[SourceBindingError]()
    client = client.with_rate_limit(per_minute)
    accounts = list[int]()
    for account_id, bound in sync.group_by_account(await sync.bound_sources(db, scope, options.default_account_id)):
        accounts.append(account_id)
        for source in bound:
            if watermark_name(source) in walked:
                continue
            inboxes = None if source.inbox_id is None else frozenset([source.inbox_id])
            cutoff = sync.activity_cutoff(client, options)
            importer = AccountImporter(db, client, scope, account_id, inboxes, cutoff, changes)
            check = await sync.store_inboxes(importer, [source])
            if check.error:
                await _remove_deleted_inbox(importer, source)
                await _delete_empty_inboxes(importer, check.listed)
                errors.append(check.error)
                continue
            comparisons = await _reconcile_source(importer, source, report, should_stop)
            if comparisons is None:
                return ReconcileResult(walked, changes, finished=False)
            await _delete_empty_inboxes(importer, check.listed)
            walked[watermark_name(source)] = comparisons
    if errors and not walked:
        raise errors[0]
    role = await permissions.find_limited_role(client, accounts)
    return ReconcileResult(walked, changes, binding_error=next(iter(errors), None), limited_role=role)


@dataclass
class _Walk:
    importer: AccountImporter
    source: Source
    page: int
    comparisons: dict[int, InboxComparison]

    def comparison(self, inbox_id: int) -> InboxComparison:
        return self.comparisons.setdefault(inbox_id, InboxComparison(inbox_id))


async def _reconcile_source(
    importer: AccountImporter, source: Source, report: ReportProgress, should_stop: ShouldStop
) -> list[InboxComparison] | None:
    """Walk one source to its end; None if it stopped early."""
    walk = await _resume(importer, source)
    if not await _walk_pages(walk, report, should_stop):
        return None
    await _remove_deleted_conversations(walk)
    await _remove_deleted_contacts(walk)
    await _store_progress(walk, finished=True)
    return list(walk.comparisons.values())


async def _walk_pages(walk: _Walk, report: ReportProgress, should_stop: ShouldStop) -> bool:
    """Walk the remaining pages; False when it stopped after one."""
    done = 0
    async for page in pagination.iterate_conversations(
        walk.importer.client, walk.importer.account_id, "created_at_asc", walk.source.inbox_id, first=walk.page, ahead=1
    ):
        listed = parsing.parse_conversations(parsing.filter_by_inbox(page.items, walk.importer.inbox_ids)).rows
        await _check_page(walk, page, listed)
        done += len(page.items)
        walk.page += 1
        await _store_progress(walk)
        report(done, page.total, "conversations")
        if await should_stop():
            return False
    return True


async def _check_page(walk: _Walk, page: ListPage, listed: list[dict[str, Any]]) -> None:
    """Compare a page of conversations with the stored ones, message by message, and repair."""
    importer = walk.importer
    ids = [row["conversation_id"] for row in listed]
    before = await _count_stored(importer, ids)
    await importer.import_page(page)
    theirs = await importer.reread_messages(await _whole_readings(importer, ids))
    removed = await _remove_deleted_messages(importer, theirs)
    after = await _count_stored(importer, list(theirs))
    for row in listed:
        messages = theirs.get(row["conversation_id"], set())
        _count_theirs(walk.comparison(row["inbox_id"]), row["conversation_id"], messages)
    for inbox_id, stored in after.items():
        comparison, removed_here = walk.comparison(inbox_id), removed.get(inbox_id, 0)
        _add_stored(comparison.ours, stored)
        stored_before = before[inbox_id].messages if inbox_id in before else 0
        comparison.removed += removed_here
        comparison.missing += stored.messages - stored_before + removed_here


async def _whole_readings(importer: AccountImporter, ids: list[int]) -> list[ConversationReading]:
    async with importer.db.scoped(importer.scope) as conn:
        states = await cursor_queries.list_read_states(conn, importer.scope, importer.account_id, ids)
    return [ConversationReading.starting_at(s.conversation_id, 0, s.message_cursor) for s in states]


async def _remove_deleted_messages(importer: AccountImporter, theirs: dict[int, set[int]]) -> dict[int, int]:
    """Remove messages that two readings by complete windows do not hold; return how many, by inbox."""
    client, account_id = importer.client, importer.account_id
    present = [message for messages in theirs.values() for message in messages]
    async with importer.db.scoped(importer.scope) as conn:
        missing = await deletion_queries.find_missing_messages(conn, importer.scope, account_id, list(theirs), present)
    deleted = await asyncio.gather(
        *(
            removals.find_deleted_messages(client, account_id, conversation_id, messages, theirs[conversation_id])
            for conversation_id, messages in missing.items()
        )
    )
    ids = [message_id for message_ids in deleted for message_id in message_ids]
    async with importer.db.scoped(importer.scope) as conn:
        await cursor_queries.lock_conversations(conn, importer.scope, account_id, sorted(missing))
        removed = await deletion_queries.delete_messages(conn, importer.scope, account_id, ids)
    importer.counts.removed += sum(removed.values())
    return removed


async def _count_stored(importer: AccountImporter, ids: list[int]) -> dict[int, queries.InboxCounts]:
    async with importer.db.scoped(importer.scope) as conn:
        counts = await queries.count_stored(conn, importer.scope, importer.account_id, ids)
    return {inbox.inbox_id: inbox for inbox in counts}


async def _remove_deleted_conversations(walk: _Walk) -> None:
    """Remove conversations that a whole walk does not list and that Chatwoot then answers with 404, twice (C-42)."""
    importer, listed = walk.importer, set[int]()
    async for page in pagination.iterate_conversations(
        importer.client, importer.account_id, "created_at_asc", walk.source.inbox_id, ahead=1
    ):
        listed |= {row["conversation_id"] for row in parsing.parse_conversations(page.items).rows}
        listed |= page.unreadable.keys()
    for inbox_id, counts in (await _remove_conversations(importer, listed)).items():
        walk.comparison(inbox_id).removed += counts.messages


async def _remove_deleted_inbox(importer: AccountImporter, source: Source) -> None:
    """Remove the conversations of a bound inbox that Chatwoot says is deleted, not one that the token may not see."""
    assert source.inbox_id is not None, "only an inbox can be missing"
    try:
        inbox = await importer.client.inbox(importer.account_id, source.inbox_id)
    except ChatwootError as error:
        if not error.forbidden:
            raise
    else:
        if inbox is None:
            await _remove_conversations(importer, set())


async def _delete_empty_inboxes(importer: AccountImporter, listed: list[int]) -> None:
    async with importer.db.scoped(importer.scope) as conn:
        await deletion_queries.delete_empty_inboxes(conn, importer.scope, importer.account_id, listed)


async def _remove_conversations(importer: AccountImporter, listed: set[int]) -> dict[int, queries.InboxCounts]:
    """Remove the deleted ones of the stored conversations that are not listed; return what they held, by inbox."""
    inboxes = sorted(importer.inbox_ids) if importer.inbox_ids is not None else None
    async with importer.db.scoped(importer.scope) as conn:
        stored = await queries.list_conversation_ids(conn, importer.scope, importer.account_id, inboxes)
    unlisted = [i for i in stored if i not in listed]
    deleted = await removals.find_deleted_conversations(importer.client, importer.account_id, unlisted)
    counts = await _count_stored(importer, deleted)
    async with importer.db.scoped(importer.scope) as conn:
        await cursor_queries.lock_conversations(conn, importer.scope, importer.account_id, deleted)
        await deletion_queries.delete_conversations(conn, importer.scope, importer.account_id, deleted)
    importer.counts.removed += len(deleted)
    return counts


async def _remove_deleted_contacts(walk: _Walk) -> None:
    """Import all contacts, whose edits move no time, and remove those that are deleted or were merged into another."""
    importer = walk.importer
    listed = await initial_sync.import_all_contacts(importer) if importer.inbox_ids is None else set[int]()
    async with importer.db.scoped(importer.scope) as conn:
        stored = await queries.list_contacts_without_conversation(conn, importer.scope, importer.account_id)
    deleted = await removals.find_deleted_contacts(importer.client, importer.account_id, sorted(set(stored) - listed))
    async with importer.db.scoped(importer.scope) as conn:
        await deletion_queries.delete_contacts(conn, importer.scope, importer.account_id, deleted)
    importer.counts.removed += len(deleted)


def _count_theirs(comparison: InboxComparison, conversation_id: int, messages: set[int]) -> None:
    theirs = comparison.theirs
    theirs.update(conversations=1, messages=len(messages))
    theirs |= Counter(highest_conversation_id=conversation_id, highest_message_id=max(messages, default=0))


def _add_stored(ours: Counter[str], stored: queries.InboxCounts) -> None:
    ours.update(conversations=stored.conversations, messages=stored.messages)
    # The union of counters takes the larger number.
    ours |= Counter(
        highest_conversation_id=stored.highest_conversation_id, highest_message_id=stored.highest_message_id
    )


async def _resume(importer: AccountImporter, source: Source) -> _Walk:
    async with importer.db.scoped(importer.scope) as conn:
        watermark = await cursor_queries.fetch_watermark(conn, importer.scope, _reconcile_name(source))
    if watermark is None or not watermark.meta.get("proofs"):
        return _Walk(importer, source, 1, {})
    comparisons = [InboxComparison.from_dict(stored) for stored in watermark.meta["proofs"]]
    return _Walk(importer, source, watermark.meta["page"], {c.inbox_id: c for c in comparisons})


async def _store_progress(walk: _Walk, *, finished: bool = False) -> None:
    importer = walk.importer
    meta = {"page": walk.page, "proofs": [comparison.as_dict() for comparison in walk.comparisons.values()]}
    name, meta = _reconcile_name(walk.source), {"page": 1, "proofs": []} if finished else meta
    async with importer.db.scoped(importer.scope) as conn:
        await cursor_queries.set_watermark(conn, importer.scope, name, importer.client.now(), meta)


def _reconcile_name(source: Source) -> str:
    return f"{watermark_name(source)}:reconcile"
