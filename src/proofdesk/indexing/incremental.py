"""Incremental indexing: one loop reads each stale conversation once and updates its chunks and its terms.

Work is bounded: a transaction takes `BATCH` conversations, and reads at most `PART_MESSAGES` messages at a time unless
a single conversation has more.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from proofdesk.chatwoot import progress_queries
from proofdesk.core.concurrency import run_concurrently
from proofdesk.core.progress import ReportProgress, ignore_progress, is_power_of_two
from proofdesk.database.bisect import process_in_halves
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.indexing import chunk_queries, transcript_queries, transcripts
from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.chunks import ChunkStage
from proofdesk.indexing.stage import IndexingStage
from proofdesk.indexing.terms import TermStage
from proofdesk.indexing.transcript_queries import ConversationKey, StaleConversation
from proofdesk.projects.scope import Scope

BATCH = 200
PART_MESSAGES = 20_000
_CONCURRENT_BATCHES = 2  # one batch is prepared while another is stored

Stages = Sequence[IndexingStage[Any]]


@dataclass(frozen=True)
class IndexingTotals:
    """Conversations that were indexed, chunks stored (new or changed) and removed.

    `set_aside` counts the conversations of which no chunks could be made.
    """

    conversations: int = 0
    stored: int = 0
    removed: int = 0
    set_aside: int = 0


async def index_conversations(
    db: Database, scope: Scope, limits: ChunkLimits, report: ReportProgress = ignore_progress
) -> IndexingTotals:
    """Update the chunks and terms of every conversation whose content changed, or that other rules indexed.

    Several workers may run this at the same time. Progress is reported in conversations.
    """
    chunks, terms = ChunkStage(limits), TermStage()
    stages: Stages = (chunks, terms)
    async with db.scoped(scope) as conn:
        for stage in stages:
            await progress_queries.adopt_rules(conn, scope, stage.index, stage.rules)
        total = await transcript_queries.count_stale(conn, scope)
    conversations = await _run_batches(db, partial(_index_batch, db, scope, stages), total, report)
    return IndexingTotals(conversations, chunks.stored, chunks.removed, len(chunks.quarantined))


async def refresh_statistics(db: Database) -> None:
    """Analyze the tables that search reads: a job that writes many rows must not wait for autovacuum."""
    async with db.transaction() as conn:
        await chunk_queries.refresh_statistics(conn)


async def _run_batches(db: Database, batch: Callable[[], Awaitable[int]], total: int, report: ReportProgress) -> int:
    """Run batches until one is empty and return how many conversations they had.

    Statistics are refreshed each time the number of batches has doubled, and after the last of several.
    """
    done = batches = 0

    async def run() -> None:
        nonlocal done, batches
        while count := await batch():
            done += count
            batches += 1
            if batches > 1 and is_power_of_two(batches):
                await refresh_statistics(db)
            report(done, max(total, done), "conversations indexed")

    await run_concurrently(run, _CONCURRENT_BATCHES)
    if batches > 1 and not is_power_of_two(batches):
        await refresh_statistics(db)
    return done


async def _index_batch(db: Database, scope: Scope, stages: Stages) -> int:
    async with db.scoped(scope) as conn:
        conversations = await _lock_stale(conn, scope, stages)
        for part in _parts(conversations):
            read, unreadable = await process_in_halves(conn, part, partial(transcripts.read_transcripts, conn, scope))
            for stage in stages:
                await stage.process(conn, scope, list(chain.from_iterable(read)), unreadable)
    return len(conversations)


async def _lock_stale(conn: Conn, scope: Scope, stages: Stages) -> list[StaleConversation]:
    for stage in stages:
        while locked := await transcript_queries.lock_stale(conn, scope, stage.index, BATCH, _quarantined(stages)):
            quarantined = set(_quarantined(stages))  # another batch may have added some while the query ran
            if conversations := [c for c in locked if c.key not in quarantined]:
                return conversations
    return []


def _quarantined(stages: Stages) -> list[ConversationKey]:
    return [key for stage in stages for key in stage.quarantined]


def _parts(conversations: Sequence[StaleConversation]) -> Iterator[list[StaleConversation]]:
    part: list[StaleConversation] = []
    messages = 0
    for conversation in conversations:
        if part and messages + conversation.message_count > PART_MESSAGES:
            yield part
            part, messages = [], 0
        part.append(conversation)
        messages += conversation.message_count
    if part:
        yield part
