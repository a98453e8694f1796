"""Chunks follow the conversations: what changed is cut anew, what did not is left alone.

A conversation that cannot be cut is set aside with the reason, and tried again by the next run.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from proofdesk.chatwoot import progress_queries
from proofdesk.core.progress import ReportProgress, ignore_progress
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.indexing.chunking import chunker, queries
from proofdesk.indexing.chunking.chunker import Chunk, Limits
from proofdesk.indexing.chunking.queries import Conversation, Mark
from proofdesk.indexing.incremental import catch_up
from proofdesk.indexing.quarantine import SetAside
from proofdesk.indexing.transcripts import Said
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings

BATCH = 200  # conversations a transaction


@dataclass(frozen=True)
class Cut:
    """What cutting did: conversations looked at, chunks stored (new or changed) and chunks removed.

    `set_aside` are those of the conversations that could not be cut.
    """

    conversations: int = 0
    stored: int = 0
    removed: int = 0
    set_aside: int = 0


def limits_of(settings: Settings) -> Limits:
    """The limits that the settings ask for."""
    return Limits(settings.chunk_size, settings.min_embed_chars)


async def cut(db: Database, scope: Scope, limits: Limits, report: ReportProgress = ignore_progress) -> Cut:
    """Cut every conversation whose content changed since it was cut, or that was cut by other rules.

    Several workers may do so at once: each takes conversations that nobody has. Reports conversations.
    """
    async with db.scoped(scope) as conn:
        await progress_queries.adopt_rules(
            conn, scope, "chunks", f"{chunker.VERSION}/{limits.chunk_size}/{limits.min_embed_chars}"
        )
        total = await queries.unchunked(conn, scope)
    done, aside = Cut(), SetAside("chunks")

    async def batch() -> int:
        nonlocal done
        cut = await _cut_batch(db, scope, limits, aside)
        done = Cut(done.conversations + cut.conversations, done.stored + cut.stored, done.removed + cut.removed)
        return cut.conversations

    await catch_up(db, batch, total, report, "conversations cut")
    return replace(done, set_aside=len(aside))


async def _cut_batch(db: Database, scope: Scope, limits: Limits, aside: SetAside) -> Cut:
    async with db.scoped(scope) as conn:
        conversations = await queries.take_unchunked(conn, scope, BATCH, aside.keys)
        if not conversations:
            return Cut()

        async def work(part: Sequence[Conversation]) -> tuple[int, int]:
            said = await queries.said(conn, scope, part)
            chunks = await asyncio.to_thread(_chunks, part, said, limits, aside)
            cut = aside.without(part)
            counts = await _store(conn, scope, cut, chunks)
            await progress_queries.mark_indexed(conn, scope, "chunks", cut)
            return counts

        counts = await aside.each(conn, scope, conversations, work)
    return Cut(len(conversations), sum(stored for stored, _ in counts), sum(removed for _, removed in counts))


async def _store(
    conn: Conn, scope: Scope, conversations: Sequence[Conversation], chunks: Sequence[Chunk]
) -> tuple[int, int]:
    before = {_key(mark): mark for mark in await queries.lock_chunks(conn, scope, conversations)}
    wanted = {(c.anchor.account_id, c.anchor.message_id, c.index): c for c in chunks}
    changed = [chunk for key, chunk in sorted(wanted.items()) if not _same(before.get(key), chunk)]
    gone = [mark for key, mark in before.items() if key not in wanted]
    stored = await queries.put_chunks(conn, scope, changed) if changed else 0
    removed = await queries.drop_chunks(conn, scope, gone) if gone else 0
    return stored, removed


def _chunks(
    conversations: Sequence[Conversation], said: Sequence[Said], limits: Limits, aside: SetAside
) -> list[Chunk]:
    threads: dict[tuple[int, int], list[Said]] = defaultdict(list)
    for message in said:
        threads[message.account_id, message.conversation_id].append(message)

    def cut(one: Conversation) -> list[Chunk]:
        return chunker.cut(threads[one.account_id, one.conversation_id], one.inbox, limits)

    return [chunk for chunks in aside.make(conversations, cut) for chunk in chunks]


def _key(mark: Mark) -> tuple[int, int, int]:
    return mark.account_id, mark.message_id, mark.chunk_index


def _same(mark: Mark | None, chunk: Chunk) -> bool:
    wanted = (chunk.content_hash, chunk.covers, chunk.anchor.quoted_from)
    return mark is not None and (mark.content_hash, mark.covers, mark.quoted_from) == wanted
