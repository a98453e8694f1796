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
from proofdesk.chatwoot.importer import Mirror, Tally
from proofdesk.chatwoot.windows import Reading
from proofdesk.core.progress import LeaveOff, Report, never
from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope
from proofdesk.projects.source_queries import Source


@dataclass
class InboxProof:
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
    def from_dict(stored: dict[str, Any]) -> "InboxProof":
        """The proof that was put into dictionaries."""
        theirs, ours = Counter(stored["theirs"]), Counter(stored["ours"])
        return InboxProof(stored["inbox_id"], theirs, ours, stored["missing"], stored["removed"])


@dataclass(frozen=True)
class Reconciled:
    """The proof by inbox, of each source that was walked to its end; `finished` when that is all of them."""

    walked: dict[str, list[InboxProof]]
    changes: Tally
    finished: bool = True

    @property
    def inboxes(self) -> list[InboxProof]:
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
    options: sync.Options,
    per_minute: int,
    report: Report,
    should_stop: LeaveOff = never,
    walked: dict[str, list[InboxProof]] | None = None,
) -> Reconciled:
    """Walk every source of the project but those that were `walked` before it left off, which it does at a page.

    Raises what `sync.run` raises; a later run goes on where this one stopped.
    """
    changes, walked = Tally(), dict(walked or {})
    client = client.with_rate_limit(per_minute)
    for account_id, bound in sync.by_account(await sync.bound_sources(db, scope, options.default_account_id)):
        for source in bound:
            if sync.name(source) in walked:
                continue
            inboxes = None if source.inbox_id is None else frozenset([source.inbox_id])
            importer = Mirror(db, client, scope, account_id, inboxes, sync.oldest(client, options), changes)
            await sync.store_inboxes(importer, [source])
            walk = await _resume(importer, source)
            if not await _walk(walk, report, should_stop):
                return Reconciled(walked, changes, finished=False)
            await _remove_unlisted(walk)
            await _remove_contacts(walk)
            walked[sync.name(source)] = list(walk.comparisons.values())
            await _store(walk, finished=True)
    return Reconciled(walked, changes)


@dataclass
class _Walk:
    importer: Mirror
    source: Source
    page: int
    comparisons: dict[int, InboxProof]

    def comparison(self, inbox_id: int) -> InboxProof:
        return self.comparisons.setdefault(inbox_id, InboxProof(inbox_id))


async def _walk(walk: _Walk, report: Report, should_stop: LeaveOff) -> bool:
    """Walk the pages that are left; False when it left off after one."""
    done = 0
    async for page in pagination.conversations(
        walk.importer.client, walk.importer.account_id, "created_at_asc", walk.source.inbox_id, first=walk.page, ahead=1
    ):
        listed = parsing.conversations(parsing.in_inboxes(page.items, walk.importer.inbox_ids)).rows
        await _check(walk, page.items, listed)
        done += len(page.items)
        walk.page += 1
        await _store(walk)
        report(done, page.total, "conversations")
        if await should_stop():
            return False
    return True


async def _check(walk: _Walk, page: list[Any], listed: list[dict[str, Any]]) -> None:
    """Compare a page of conversations with ours, message by message, and repair."""
    importer = walk.importer
    ids = [row["conversation_id"] for row in listed]
    before = await _ours(importer, ids)
    await importer.import_conversations(page)
    states = await _states(importer, ids)
    theirs = await importer.reread_messages([Reading.starting_at(s.conversation_id, 0, s.message_cursor) for s in states])
    gone = await _remove_absent(importer, theirs)
    after = await _ours(importer, list(theirs))
    for row in listed:
        _count_theirs(walk.comparison(row["inbox_id"]), row["conversation_id"], theirs.get(row["conversation_id"], set()))
    for inbox_id, stored in after.items():
        proof, removed = walk.comparison(inbox_id), gone.get(inbox_id, 0)
        _add(proof.ours, stored)
        proof.removed += removed
        proof.missing += stored.messages - (before[inbox_id].messages if inbox_id in before else 0) + removed


async def _remove_absent(importer: Mirror, theirs: dict[int, set[int]]) -> dict[int, int]:
    """Remove messages that two readings by complete windows do not hold; how many went, by inbox."""
    present = [message for messages in theirs.values() for message in messages]
    async with importer.db.scoped(importer.scope) as conn:
        missing = await queries.missing_messages(conn, importer.scope, importer.account_id, list(theirs), present)
    proofs = await asyncio.gather(
        *(
            removals.messages(importer.client, importer.account_id, conversation_id, messages, theirs[conversation_id])
            for conversation_id, messages in missing.items()
        )
    )
    async with importer.db.scoped(importer.scope) as conn:
        await cursor_queries.lock(conn, importer.scope, importer.account_id, sorted(missing))
        gone = await queries.delete_messages(conn, importer.scope, importer.account_id, [i for ids in proofs for i in ids])
    importer.counts.removed += sum(gone.values())
    return gone


async def _ours(importer: Mirror, ids: list[int]) -> dict[int, queries.InboxTally]:
    async with importer.db.scoped(importer.scope) as conn:
        return {t.inbox_id: t for t in await queries.tally(conn, importer.scope, importer.account_id, ids)}


async def _states(importer: Mirror, ids: list[int]) -> list[cursor_queries.State]:
    async with importer.db.scoped(importer.scope) as conn:
        return await cursor_queries.states(conn, importer.scope, importer.account_id, ids)


async def _remove_unlisted(walk: _Walk) -> None:
    """What a whole walk does not list and what Chatwoot then answers with 404, twice, is gone: remove it here."""
    importer, listed = walk.importer, set[int]()
    async for page in pagination.conversations(
        importer.client, importer.account_id, "created_at_asc", walk.source.inbox_id, ahead=1
    ):
        listed |= {row["conversation_id"] for row in parsing.conversations(page.items).rows}
    async with importer.db.scoped(importer.scope) as conn:
        inboxes = sorted(importer.inbox_ids) if importer.inbox_ids is not None else None
        stored = await queries.stored_conversations(conn, importer.scope, importer.account_id, inboxes)
    unlisted = [i for i in stored if i not in listed]
    gone = await removals.conversations(importer.client, importer.account_id, unlisted)
    lost = await _ours(importer, gone)
    async with importer.db.scoped(importer.scope) as conn:
        await cursor_queries.lock(conn, importer.scope, importer.account_id, gone)
        await queries.delete_conversations(conn, importer.scope, importer.account_id, gone)
    importer.counts.removed += len(gone)
    for inbox_id, tally in lost.items():
        walk.comparison(inbox_id).removed += tally.messages


async def _remove_contacts(walk: _Walk) -> None:
    """Contacts: edits move no time either, and a merge lets one disappear."""
    importer = walk.importer
    listed = await sync.all_contacts(importer) if importer.inbox_ids is None else set[int]()
    async with importer.db.scoped(importer.scope) as conn:
        unseen = set(await queries.unseen_contacts(conn, importer.scope, importer.account_id)) - listed
    gone = await removals.contacts(importer.client, importer.account_id, sorted(unseen))
    async with importer.db.scoped(importer.scope) as conn:
        await queries.delete_contacts(conn, importer.scope, importer.account_id, gone)
    importer.counts.removed += len(gone)


def _count_theirs(proof: InboxProof, conversation_id: int, messages: set[int]) -> None:
    proof.theirs["conversations"] += 1
    proof.theirs["messages"] += len(messages)
    _raise(proof.theirs, "highest_conversation_id", conversation_id)
    _raise(proof.theirs, "highest_message_id", max(messages, default=0))


def _add(ours: Counter[str], stored: queries.InboxTally) -> None:
    ours["conversations"] += stored.conversations
    ours["messages"] += stored.messages
    _raise(ours, "highest_conversation_id", stored.highest_conversation_id)
    _raise(ours, "highest_message_id", stored.highest_message_id)


def _raise(counts: Counter[str], name: str, number: int) -> None:
    counts[name] = max(counts[name], number)


async def _resume(importer: Mirror, source: Source) -> _Walk:
    async with importer.db.scoped(importer.scope) as conn:
        mark = await cursor_queries.watermark(conn, importer.scope, _name(source))
    if mark is None or not mark.meta.get("proofs"):
        return _Walk(importer, source, 1, {})
    comparisons = [InboxProof.from_dict(stored) for stored in mark.meta["proofs"]]
    return _Walk(importer, source, mark.meta["page"], {p.inbox_id: p for p in comparisons})


async def _store(walk: _Walk, *, finished: bool = False) -> None:
    comparisons = [] if finished else [proof.as_dict() for proof in walk.comparisons.values()]
    meta = {"page": 1 if finished else walk.page, "proofs": comparisons}
    async with walk.importer.db.scoped(walk.importer.scope) as conn:
        await cursor_queries.set_watermark(conn, walk.importer.scope, _name(walk.source), walk.importer.client.now(), meta)


def _name(source: Source) -> str:
    return f"{sync.name(source)}:reconcile"
