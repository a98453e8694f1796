"""The reconcile job: walk everything (C-41), repair what differs, and prove that nothing is missing.

Slow on purpose, since Chatwoot limits requests by address, and resumable: after each page it stores how far it is
and what it has counted. At the end the list is walked once more, for what it does not show (any more).
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from proofdesk.chatwoot import cursor_queries, pagination, parsing, queries, removals, sync
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.importer import AccountImporter, ImportCounts
from proofdesk.chatwoot.windows import ConversationReading
from proofdesk.core.progress import ReportProgress, ShouldStop, never_stop
from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope
from proofdesk.projects.source_queries import Source


@dataclass
class InboxComparison:
    """One inbox: what Chatwoot has, what we have, what was missing here, and what was gone there (in messages)."""

    inbox_id: int
    theirs: Counter[str] = field(default_factory=Counter)
    ours: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    removed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The same in plain dictionaries."""
        return vars(self) | {"theirs": dict(self.theirs), "ours": dict(self.ours)}

    @staticmethod
    def from_dict(stored: dict[str, Any]) -> "InboxComparison":
        """The proof that was put into dictionaries."""
        theirs, ours = Counter(stored["theirs"]), Counter(stored["ours"])
        return InboxComparison(stored["inbox_id"], theirs, ours, stored["missing"], stored["removed"])


@dataclass(frozen=True)
class ReconcileResult:
    """The proof by inbox, of each source that was walked to its end; `finished` when that is all of them."""

    walked: dict[str, list[InboxComparison]]
    changes: ImportCounts
    finished: bool = True

    @property
    def inboxes(self) -> list[InboxComparison]:
        """The proofs of all sources."""
        return sorted((proof for proofs in self.walked.values() for proof in proofs), key=lambda p: p.inbox_id)

    @property
    def complete(self) -> bool:
        """Whether what we have is what Chatwoot has, all of it."""
        return self.finished and all(proof.theirs == proof.ours for proof in self.inboxes)


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
    """Walk every source of the project but those that were `walked` before it left off, which it does at a page.

    Raises what `sync.run` raises; a later run goes on where this one stopped.
    """
    changes, walked = ImportCounts(), dict(walked or {})
    client = client.with_rate_limit(per_minute)
    for account_id, bound in sync.group_by_account(await sync.bound_sources(db, scope, options.default_account_id)):
        for source in bound:
            if sync.watermark_name(source) in walked:
                continue
            inboxes = None if source.inbox_id is None else frozenset([source.inbox_id])
            importer = AccountImporter(
                db, client, scope, account_id, inboxes, sync.activity_cutoff(client, options), changes
            )
            await sync.store_inboxes(importer, [source])
            walk = await _resume(importer, source)
            if not await _walk_pages(walk, report, should_stop):
                return ReconcileResult(walked, changes, finished=False)
            await _remove_deleted_conversations(walk)
            await _remove_deleted_contacts(walk)
            walked[sync.watermark_name(source)] = list(walk.comparisons.values())
            await _store_progress(walk, finished=True)
    return ReconcileResult(walked, changes)


@dataclass
class _Walk:
    importer: AccountImporter
    source: Source
    page: int
    comparisons: dict[int, InboxComparison]

    def comparison(self, inbox_id: int) -> InboxComparison:
        return self.comparisons.setdefault(inbox_id, InboxComparison(inbox_id))


async def _walk_pages(walk: _Walk, report: ReportProgress, should_stop: ShouldStop) -> bool:
    """Walk the pages that are left; False when it left off after one."""
    done = 0
    async for page in pagination.iterate_conversations(
        walk.importer.client, walk.importer.account_id, "created_at_asc", walk.source.inbox_id, first=walk.page, ahead=1
    ):
        listed = parsing.parse_conversations(parsing.filter_by_inbox(page.items, walk.importer.inbox_ids)).rows
        await _check_page(walk, page.items, listed)
        done += len(page.items)
        walk.page += 1
        await _store_progress(walk)
        report(done, page.total, "conversations")
        if await should_stop():
            return False
    return True


async def _check_page(walk: _Walk, page: list[Any], listed: list[dict[str, Any]]) -> None:
    """Compare a page of conversations with ours, message by message, and repair."""
    importer = walk.importer
    ids = [row["conversation_id"] for row in listed]
    before = await _count_stored(importer, ids)
    await importer.import_conversations(page)
    states = await _states(importer, ids)
    theirs = await importer.reread_messages(
        [ConversationReading.starting_at(s.conversation_id, 0, s.message_cursor) for s in states]
    )
    gone = await _remove_deleted_messages(importer, theirs)
    after = await _count_stored(importer, list(theirs))
    for row in listed:
        _count_theirs(
            walk.comparison(row["inbox_id"]), row["conversation_id"], theirs.get(row["conversation_id"], set())
        )
    for inbox_id, stored in after.items():
        proof, removed = walk.comparison(inbox_id), gone.get(inbox_id, 0)
        _add_stored(proof.ours, stored)
        proof.removed += removed
        proof.missing += stored.messages - (before[inbox_id].messages if inbox_id in before else 0) + removed


async def _remove_deleted_messages(importer: AccountImporter, theirs: dict[int, set[int]]) -> dict[int, int]:
    """Remove messages that two readings by complete windows do not hold; how many went, by inbox."""
    present = [message for messages in theirs.values() for message in messages]
    async with importer.db.scoped(importer.scope) as conn:
        missing = await queries.find_missing_messages(conn, importer.scope, importer.account_id, list(theirs), present)
    proofs = await asyncio.gather(
        *(
            removals.find_deleted_messages(
                importer.client, importer.account_id, conversation_id, messages, theirs[conversation_id]
            )
            for conversation_id, messages in missing.items()
        )
    )
    async with importer.db.scoped(importer.scope) as conn:
        await cursor_queries.lock_conversations(conn, importer.scope, importer.account_id, sorted(missing))
        gone = await queries.delete_messages(
            conn, importer.scope, importer.account_id, [i for ids in proofs for i in ids]
        )
    importer.counts.removed += sum(gone.values())
    return gone


async def _count_stored(importer: AccountImporter, ids: list[int]) -> dict[int, queries.InboxCounts]:
    async with importer.db.scoped(importer.scope) as conn:
        return {t.inbox_id: t for t in await queries.count_stored(conn, importer.scope, importer.account_id, ids)}


async def _states(importer: AccountImporter, ids: list[int]) -> list[cursor_queries.ReadState]:
    async with importer.db.scoped(importer.scope) as conn:
        return await cursor_queries.list_read_states(conn, importer.scope, importer.account_id, ids)


async def _remove_deleted_conversations(walk: _Walk) -> None:
    """What a whole walk does not list and what Chatwoot then answers with 404, twice, is gone: remove it here."""
    importer, listed = walk.importer, set[int]()
    async for page in pagination.iterate_conversations(
        importer.client, importer.account_id, "created_at_asc", walk.source.inbox_id, ahead=1
    ):
        listed |= {row["conversation_id"] for row in parsing.parse_conversations(page.items).rows}
    async with importer.db.scoped(importer.scope) as conn:
        inboxes = sorted(importer.inbox_ids) if importer.inbox_ids is not None else None
        stored = await queries.list_conversation_ids(conn, importer.scope, importer.account_id, inboxes)
    unlisted = [i for i in stored if i not in listed]
    gone = await removals.find_deleted_conversations(importer.client, importer.account_id, unlisted)
    lost = await _count_stored(importer, gone)
    async with importer.db.scoped(importer.scope) as conn:
        await cursor_queries.lock_conversations(conn, importer.scope, importer.account_id, gone)
        await queries.delete_conversations(conn, importer.scope, importer.account_id, gone)
    importer.counts.removed += len(gone)
    for inbox_id, tally in lost.items():
        walk.comparison(inbox_id).removed += tally.messages


async def _remove_deleted_contacts(walk: _Walk) -> None:
    """Contacts: edits move no time either, and a merge lets one disappear."""
    importer = walk.importer
    listed = await sync.import_all_contacts(importer) if importer.inbox_ids is None else set[int]()
    async with importer.db.scoped(importer.scope) as conn:
        unseen = (
            set(await queries.list_contacts_without_conversation(conn, importer.scope, importer.account_id)) - listed
        )
    gone = await removals.find_deleted_contacts(importer.client, importer.account_id, sorted(unseen))
    async with importer.db.scoped(importer.scope) as conn:
        await queries.delete_contacts(conn, importer.scope, importer.account_id, gone)
    importer.counts.removed += len(gone)


def _count_theirs(proof: InboxComparison, conversation_id: int, messages: set[int]) -> None:
    proof.theirs["conversations"] += 1
    proof.theirs["messages"] += len(messages)
    _raise_count(proof.theirs, "highest_conversation_id", conversation_id)
    _raise_count(proof.theirs, "highest_message_id", max(messages, default=0))


def _add_stored(ours: Counter[str], stored: queries.InboxCounts) -> None:
    ours["conversations"] += stored.conversations
    ours["messages"] += stored.messages
    _raise_count(ours, "highest_conversation_id", stored.highest_conversation_id)
    _raise_count(ours, "highest_message_id", stored.highest_message_id)


def _raise_count(counts: Counter[str], name: str, number: int) -> None:
    counts[name] = max(counts[name], number)


async def _resume(importer: AccountImporter, source: Source) -> _Walk:
    async with importer.db.scoped(importer.scope) as conn:
        mark = await cursor_queries.fetch_watermark(conn, importer.scope, _watermark_name(source))
    if mark is None or not mark.meta.get("proofs"):
        return _Walk(importer, source, 1, {})
    comparisons = [InboxComparison.from_dict(stored) for stored in mark.meta["proofs"]]
    return _Walk(importer, source, mark.meta["page"], {p.inbox_id: p for p in comparisons})


async def _store_progress(walk: _Walk, *, finished: bool = False) -> None:
    comparisons = [] if finished else [proof.as_dict() for proof in walk.comparisons.values()]
    meta = {"page": 1 if finished else walk.page, "proofs": comparisons}
    async with walk.importer.db.scoped(walk.importer.scope) as conn:
        await cursor_queries.set_watermark(
            conn, walk.importer.scope, _watermark_name(walk.source), walk.importer.client.now(), meta
        )


def _watermark_name(source: Source) -> str:
    return f"{sync.watermark_name(source)}:reconcile"
