"""Vectors follow the chunks: claim what waits, have it embedded, write what came back.

No connection is held while the provider answers. A claim that is not settled is given back when the run fails or is
cancelled, and taken back by a later run when its worker is lost.
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

_ROWS_PER_TRANSACTION = 5000  # rows a transaction, where a model change touches all there are
_LARGE_SHARE = (
    0.1  # share of a project's vectors that a run makes before it refreshes statistics, as autovacuum's default
)


@dataclass(frozen=True)
class EmbeddingOptions:
    """Texts of a request, requests in flight, minutes after which a claim is taken back, and how to wait."""

    batch_size: int = 100
    concurrency: int = 4
    stale_minutes: int = 30
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)

    @staticmethod
    def from_settings(settings: Settings) -> "EmbeddingOptions":
        """The options that the settings ask for."""
        return EmbeddingOptions(
            settings.embed_batch_size,
            settings.embed_concurrency,
            settings.embed_stale_recovery_minutes,
            RetryPolicy(settings.embed_max_attempts),
        )


@dataclass(frozen=True)
class EmbeddingTotals:
    """What a run did: chunks that got a vector, chunks that were refused one, by which model, and what still waits.

    `batch_size` is how many texts a request was to have, `lowered_to` how many the provider turned out to take.
    `finished` is False when it left off.
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


async def count_chunks(db: Database, scope: Scope) -> ChunkCounts:
    """The chunks of the project by the state of their vectors."""
    async with db.scoped(scope) as conn:
        return await vector_queries.count_by_status(conn, scope)


async def retry_failed(db: Database, scope: Scope) -> int:
    """Let every chunk that was refused wait for another try; how many there are."""
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
    report: ReportProgress = ignore_progress,
    limit: int | None = None,
    should_stop: ShouldStop = never_stop,
    previously_done: int = 0,
) -> EmbeddingTotals:
    """Embed what waits, newest first, until nothing does, `limit` chunks are done, or it leaves off after a batch.

    Reports chunks, those counted that `already` were done before it left off. `limit` is for what is left.

    Chunks that another model embedded wait again; their old vectors answer until every chunk has a new one. Raises
    `EmbeddingError` when the provider stops answering or refuses everything: then what was claimed waits again.
    """
    await _prepare(db, scope, provider, options)
    run = _EmbeddingRun(db, scope, provider, options, _with_offset(previously_done, report), limit, should_stop)
    await run.run((await count_chunks(db, scope)).pending)
    await _finish(db, scope, provider.name)
    left = await count_chunks(db, scope)
    if run.ready > _LARGE_SHARE * left.ready:
        await refresh_statistics(db)
    done = run.ready, run.failed, provider.name, left.pending
    return EmbeddingTotals(*done, run.batch_size, run.lowered_to, not run.stopped_early)


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
    """Several loops over one supply: each claims, embeds and settles a batch at a time."""

    def __init__(
        self,
        db: Database,
        scope: Scope,
        provider: EmbeddingProvider,
        options: EmbeddingOptions,
        report: ReportProgress,
        limit: int | None,
        leave_off: ShouldStop,
    ):
        self._db, self._scope, self._provider = db, scope, provider
        self._options, self._report, self._leave_off = options, report, leave_off
        self._batches = BatchEmbedder(provider, options.retry_policy)
        self.batch_size = min(options.batch_size, provider.max_batch)
        self._remaining = limit
        self._total = 0
        self._claims: list[list[ClaimedChunk]] = []
        self.ready = self.failed = self._settled = 0
        self.stopped_early = False

    @property
    def lowered_to(self) -> int | None:
        return self._batches.lowered_to

    async def run(self, waiting: int) -> None:
        self._total = waiting if self._remaining is None else min(waiting, self._remaining)
        try:
            await run_concurrently(self._loop, self._options.concurrency)
        finally:
            await run_to_completion(self._release_claims())

    async def _loop(self) -> None:
        while most := self._reserve():
            chunks = await run_to_completion(self._claim(most))
            if self._remaining is not None:
                self._remaining += most - len(chunks)
            if not chunks:
                return
            outcomes = await self._embed(chunks)
            await run_to_completion(self._settle(chunks, outcomes))
            self._settled += 1
            if is_power_of_two(self._settled):
                await refresh_statistics(self._db)
            if await self._leave_off():
                self.stopped_early = True
                return

    def _reserve(self) -> int:
        most = min(self.batch_size, self.lowered_to or self.batch_size)
        if self._remaining is not None:
            most = min(most, self._remaining)
            self._remaining -= most
        return most

    async def _claim(self, most: int) -> list[ClaimedChunk]:
        async with self._db.scoped(self._scope) as conn:
            chunks = await vector_queries.claim_chunks(conn, self._scope, most)
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
        self._report(self.ready + self.failed, max(self._total, self.ready + self.failed), "chunks")

    async def _release_claims(self) -> None:
        # Without a database the claims stay, and are taken back when they are old enough.
        with contextlib.suppress(Unavailable):
            for chunks in filter(None, self._claims):
                async with self._db.scoped(self._scope) as conn:
                    await vector_queries.release_chunks(conn, self._scope, chunks)


async def _store(
    db: Database, scope: Scope, model: str, chunks: Sequence[ClaimedChunk], outcomes: Sequence[EmbeddingOutcome]
) -> SettledCounts:
    """Write what became of claimed chunks; one whose vector the database refuses is failed with the reason."""
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


def _with_offset(already: int, report: ReportProgress) -> ReportProgress:
    def beyond(done: int, total: int | None, unit: str) -> None:
        report(already + done, None if total is None else already + total, unit)

    return beyond
