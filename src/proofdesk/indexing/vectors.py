"""Embedding: claims pending chunks, requests their vectors from the provider and stores them.

No database connection is held while the provider answers. A run that fails or is cancelled releases its claims; a later
run requeues the claims of a lost worker.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import psycopg

from proofdesk.audit import events
from proofdesk.core.concurrency import run_concurrently, run_to_completion
from proofdesk.core.progress import ReportProgress, ShouldStop, ignore_progress, is_power_of_two, never_stop
from proofdesk.database import errors
from proofdesk.database.bisect import process_in_halves
from proofdesk.database.pool import Database
from proofdesk.errors import Unavailable
from proofdesk.indexing import vector_queries
from proofdesk.indexing.embeddings.batches import BatchEmbedder, EmbeddingOutcome, RetryPolicy
from proofdesk.indexing.embeddings.provider import EmbeddingError, EmbeddingProvider
from proofdesk.indexing.incremental import refresh_statistics
from proofdesk.indexing.vector_queries import ChunkCounts, ClaimedChunk, SettledCounts
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings

_ROWS_PER_TRANSACTION = 5000  # a change of the model touches every chunk
_LARGE_SHARE = 0.1  # of a project's vectors; a run that stores more refreshes statistics, as autovacuum would


@dataclass(frozen=True)
class EmbeddingOptions:
    """Texts per request, concurrent requests, minutes until a claim counts as lost, and when to retry."""

    batch_size: int = 100
    concurrency: int = 4
    stale_minutes: int = 30
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)

    @staticmethod
    def from_settings(settings: Settings) -> "EmbeddingOptions":
        """Return the options of the settings."""
        return EmbeddingOptions(
            settings.embed_batch_size,
            settings.embed_concurrency,
            settings.embed_stale_recovery_minutes,
            RetryPolicy(settings.embed_max_attempts),
        )


@dataclass(frozen=True)
class EmbeddingControl:
    """What a caller decides about a run.

    It reports chunks, on top of those `previously_done` by a run that stopped early. It embeds at most `limit` chunks,
    and stops after a batch when `should_stop` says so.
    """

    report: ReportProgress = ignore_progress
    limit: int | None = None
    should_stop: ShouldStop = never_stop
    previously_done: int = 0


@dataclass(frozen=True)
class EmbeddingTotals:
    """Chunks that a run embedded and that failed, the model, and how many chunks are still pending.

    `batch_size` is the configured number of texts per request, `lowered_to` the lower limit that the provider turned
    out to have. `finished` is False when the run stopped early.
    """

    processed: int
    failed: int
    model: str
    pending: int
    batch_size: int
    lowered_to: int | None
    finished: bool = True

    @property
    def status(self) -> str:
        return "pending" if self.pending else "ok"


_TO_THE_END = EmbeddingControl()


async def count_chunks(db: Database, scope: Scope) -> ChunkCounts:
    """Count the chunks of the project by embedding status."""
    async with db.scoped(scope) as conn:
        return await vector_queries.count_by_status(conn, scope)


async def retry_failed(db: Database, scope: Scope) -> int:
    """Make every failed chunk pending again and return how many."""
    scope.require("editor")
    async with db.scoped(scope) as conn:
        reset = await vector_queries.requeue_failed(conn, scope)
        if reset:
            payload = {"reset": reset}
            action = "embeddings.retry_failed"
            await events.record(conn, scope.actor, action, "rag_chunks", None, scope=scope, payload=payload)
    return reset


async def embed_pending(
    db: Database,
    scope: Scope,
    provider: EmbeddingProvider,
    options: EmbeddingOptions,
    control: EmbeddingControl = _TO_THE_END,
) -> EmbeddingTotals:
    """Embed the pending chunks, newest first.

    Chunks that another model embedded become pending; search uses their old vectors until every chunk has a new one.
    Raises `EmbeddingError` when the provider stops answering or refuses everything; the claimed chunks are pending
    again.
    """
    await _prepare(db, scope, provider, options)
    run = _EmbeddingRun(db, scope, provider, options, control)
    await run.run((await count_chunks(db, scope)).pending)
    await _finish(db, scope, provider.name)
    remaining = await count_chunks(db, scope)
    if run.ready > _LARGE_SHARE * remaining.ready:
        await refresh_statistics(db)
    return EmbeddingTotals(
        processed=run.ready,
        failed=run.failed,
        model=provider.name,
        pending=remaining.pending,
        batch_size=run.batch_size,
        lowered_to=run.lowered_to,
        finished=not run.stopped_early,
    )


async def _prepare(db: Database, scope: Scope, provider: EmbeddingProvider, options: EmbeddingOptions) -> None:
    async with db.scoped(scope) as conn:
        await vector_queries.register_model(conn, scope, provider.name, provider.dimension)
        await vector_queries.requeue_lost_claims(conn, scope, options.stale_minutes, options.retry_policy.max_attempts)
    touched = _ROWS_PER_TRANSACTION
    while touched:
        async with db.scoped(scope) as conn:
            touched = await vector_queries.requeue_other_models(conn, scope, provider.name, _ROWS_PER_TRANSACTION)


async def _finish(db: Database, scope: Scope, model: str) -> None:
    async with db.scoped(scope) as conn:
        if not await vector_queries.mark_complete(conn, scope, model):
            return
    touched = _ROWS_PER_TRANSACTION
    while touched:
        async with db.scoped(scope) as conn:
            touched = await vector_queries.delete_other_vectors(conn, scope, model, _ROWS_PER_TRANSACTION)
    async with db.scoped(scope) as conn:
        await vector_queries.delete_other_models(conn, scope, model)


class _EmbeddingRun:
    """Concurrent loops that each claim, embed and settle one batch at a time."""

    def __init__(
        self,
        db: Database,
        scope: Scope,
        provider: EmbeddingProvider,
        options: EmbeddingOptions,
        control: EmbeddingControl,
    ):
        self._db, self._scope, self._provider = db, scope, provider
        self._concurrency, self._control = options.concurrency, control
        self._batches = BatchEmbedder(provider, options.retry_policy)
        self.batch_size = min(options.batch_size, provider.max_batch)
        self._remaining = control.limit
        self._total = 0
        self._claims: list[list[ClaimedChunk]] = []
        self.ready = self.failed = self._settled = 0
        self.stopped_early = False

    @property
    def lowered_to(self) -> int | None:
        return self._batches.lowered_to

    async def run(self, pending: int) -> None:
        self._total = pending if self._remaining is None else min(pending, self._remaining)
        try:
            await run_concurrently(self._loop, self._concurrency)
        finally:
            await run_to_completion(self._release_claims())

    async def _loop(self) -> None:
        while limit := self._reserve():
            chunks = await run_to_completion(self._claim(limit))
            if self._remaining is not None:
                self._remaining += limit - len(chunks)
            if not chunks:
                return
            outcomes = await self._embed(chunks)
            await run_to_completion(self._settle(chunks, outcomes))
            self._settled += 1
            if is_power_of_two(self._settled):
                await refresh_statistics(self._db)
            if await self._control.should_stop():
                self.stopped_early = True
                return

    def _reserve(self) -> int:
        limit = min(self.batch_size, self.lowered_to or self.batch_size)
        if self._remaining is not None:
            limit = min(limit, self._remaining)
            self._remaining -= limit
        return limit

    async def _claim(self, limit: int) -> list[ClaimedChunk]:
        async with self._db.scoped(self._scope) as conn:
            chunks = await vector_queries.claim_chunks(conn, self._scope, limit)
        self._claims.append(chunks)
        return chunks

    async def _embed(self, chunks: Sequence[ClaimedChunk]) -> list[EmbeddingOutcome]:
        try:
            return await self._batches.embed([c.embedding_input for c in chunks])
        except EmbeddingError as error:
            error.details["batch_size"] = len(chunks)
            raise

    async def _settle(self, chunks: list[ClaimedChunk], outcomes: Sequence[EmbeddingOutcome]) -> None:
        settled = await _store(self._db, self._scope, self._provider.name, chunks, outcomes)
        self._claims.remove(chunks)
        self.ready += settled.ready
        self.failed += settled.failed
        done, before = self.ready + self.failed, self._control.previously_done
        self._control.report(before + done, before + max(self._total, done), "chunks")

    async def _release_claims(self) -> None:
        # While the database is away the claims stay; a later run requeues them when they are old enough.
        with contextlib.suppress(Unavailable):
            for chunks in filter(None, self._claims):
                async with self._db.scoped(self._scope) as conn:
                    await vector_queries.release_chunks(conn, self._scope, chunks)


async def _store(
    db: Database, scope: Scope, model: str, chunks: Sequence[ClaimedChunk], outcomes: Sequence[EmbeddingOutcome]
) -> SettledCounts:
    """Store the outcomes of claimed chunks. A chunk whose vector the database refuses fails with the reason."""
    try:
        async with db.scoped(scope) as conn:
            return await vector_queries.settle_chunks(conn, scope, model, chunks, outcomes)
    except psycopg.Error as error:
        if not errors.is_data_error(error):
            raise
    async with db.scoped(scope) as conn:

        async def settle(part: Sequence[tuple[ClaimedChunk, EmbeddingOutcome]]) -> SettledCounts:
            return await vector_queries.settle_chunks(conn, scope, model, [c for c, _ in part], [o for _, o in part])

        settled, refused = await process_in_halves(conn, list(zip(chunks, outcomes, strict=True)), settle)
        if refused:
            settled.append(await settle([(chunk, EmbeddingOutcome(None, reason)) for (chunk, _), reason in refused]))
    return SettledCounts(sum(s.ready for s in settled), sum(s.failed for s in settled))
