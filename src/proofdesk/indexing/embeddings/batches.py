"""Embedding one batch whatever the provider answers: wait when it is busy, halve what it refuses. No database."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pgvector import HalfVector

from proofdesk.indexing.embeddings.provider import (
    EmbeddingError,
    EmbeddingProvider,
    ProviderBusy,
    ProviderFailed,
    TextsRefused,
    Vector,
)
from proofdesk.indexing.embeddings.responses import to_storable

PROBE = "A plain sentence."
_MAX_CRASHES = 20  # texts in a row on which a provider breaks before it is the provider that is at fault


@dataclass(frozen=True)
class RetryPolicy:
    """How often one request is tried, and how long to wait between: doubling from `first_wait`, in seconds.

    A provider that asks for more than `longest_wait` is not waited for.
    """

    max_attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 120.0


@dataclass(frozen=True)
class EmbeddingOutcome:
    """What became of one text: a vector as the database holds it, or the reason why there is none."""

    vector: HalfVector | None
    reason: str | None = None


class BatchEmbedder:
    """The batches of one run. Whether texts are at fault is judged by whether the provider takes a plain one.

    Only whole batches are tried again and again; parts of a refused one once, and a text alone twice. One batch at a
    time finds out what the provider takes, the others wait for that.
    """

    def __init__(self, provider: EmbeddingProvider, patience: RetryPolicy):
        self._provider = provider
        self._patience = patience
        self._proven = False
        self._crashes = 0
        self._parts_lock = asyncio.Lock()

    @property
    def lowered_to(self) -> int | None:
        """How many texts a request may have, once the provider refused good texts because they were too many."""
        return self._provider.learned_max_texts

    async def embed(self, texts: Sequence[str]) -> list[EmbeddingOutcome]:
        """One outcome for each text. Raises `Failed` or `Busy` when the provider embeds nothing at all."""
        outcomes: list[EmbeddingOutcome] = []
        for piece in _pieces(texts, self.lowered_to):
            try:
                outcomes += await self._embed_piece(piece, whole=True)
            except TextsRefused as refusal:
                async with self._parts_lock:
                    outcomes += await self._embed_parts(piece, refusal)
        return outcomes

    async def _embed_parts(self, texts: Sequence[str], refusal: TextsRefused) -> list[EmbeddingOutcome]:
        await self._check_provider(refusal)
        if len(texts) == 1:
            return [self._failed_outcome(refusal)]
        size = self._part_size(len(texts), refusal.max_texts)
        outcomes: list[EmbeddingOutcome] = []
        for part in _pieces(texts, size):
            outcomes += await self._embed_part(part)
        if all(outcome.vector for outcome in outcomes):
            self._provider.learned_max_texts = min(size, self.lowered_to or size)
        return outcomes

    def _part_size(self, count: int, at_most: int | None) -> int:
        if at_most and at_most < count:
            self._provider.learned_max_texts = min(at_most, self.lowered_to or at_most)
        lowered = self.lowered_to
        return lowered if lowered and lowered < count else (count + 1) // 2

    async def _embed_part(self, texts: Sequence[str]) -> list[EmbeddingOutcome]:
        outcomes: list[EmbeddingOutcome] = []
        for piece in _pieces(texts, self.lowered_to):
            try:
                outcomes += await self._embed_piece(piece, whole=False)
            except TextsRefused as refusal:
                outcomes += await self._embed_parts(piece, refusal)
        return outcomes

    async def _embed_piece(self, texts: Sequence[str], *, whole: bool) -> list[EmbeddingOutcome]:
        vectors = await self._request(texts, whole=whole)
        self._proven, self._crashes = True, 0
        return await asyncio.to_thread(lambda: [_outcome(vector) for vector in vectors])

    def _failed_outcome(self, refusal: TextsRefused) -> EmbeddingOutcome:
        self._crashes += refusal.crashed
        if self._crashes >= _MAX_CRASHES:
            what = f"{refusal.message} It broke on {self._crashes} texts one after the other."
            raise _interrupted(ProviderBusy(what, details=refusal.details), "Check the provider.")
        return EmbeddingOutcome(None, refusal.message)

    async def _check_provider(self, refusal: TextsRefused) -> None:
        # A wrong setting is refused like a bad text. Without this, it would turn every chunk to `failed`.
        if self._proven:
            return
        try:
            await self._request([PROBE], whole=True)
        except TextsRefused:
            raise ProviderFailed(
                f"{refusal.message} It refuses any text: check EMBEDDING_MODEL and EMBEDDING_DIM.",
                details=refusal.details,
            ) from refusal
        self._proven = True

    async def _request(self, texts: Sequence[str], *, whole: bool) -> Sequence[Vector]:
        wait, tried = self._patience.first_wait, 0
        attempts = self._patience.max_attempts if whole else 1 if len(texts) > 1 else 2
        while True:
            try:
                return await self._provider.embed_documents(texts)
            except ProviderBusy as busy:
                tried += 1
                most = self._patience.max_attempts if busy.throttled else attempts
                if tried >= most or not busy.retryable:
                    raise await self._classify(texts, busy, whole=whole) from busy
                pause = wait if busy.retry_after is None else max(busy.retry_after, self._patience.first_wait)
                if pause > self._patience.longest_wait:
                    raise _interrupted(busy, f"It asks to wait for {math.ceil(pause)} seconds.") from busy
                await asyncio.sleep(pause)
                wait = min(wait * 2, self._patience.longest_wait)

    async def _classify(self, texts: Sequence[str], busy: ProviderBusy, *, whole: bool) -> EmbeddingError:
        tried = (
            f"Tried {self._patience.max_attempts} times." if busy.retryable else "It asks not to be tried again now."
        )
        # A part is simply halved again; only of a text alone must be known whether it is the cause.
        doubtful = whole or len(texts) == 1
        if busy.throttled or texts == [PROBE] or (doubtful and not await self._is_available()):
            return _interrupted(busy, tried)
        # It is up, so these texts are too much for it: the smaller parts may do.
        return TextsRefused(f"{busy.message} {tried}", details=busy.details, crashed=True)

    async def _is_available(self) -> bool:
        try:
            await self._provider.embed_documents([PROBE])
        except EmbeddingError:
            return False
        self._proven = True
        return True


def _pieces(texts: Sequence[str], size: int | None) -> Iterator[Sequence[str]]:
    size = size or len(texts) or 1
    for start in range(0, len(texts), size):
        yield texts[start : start + size]


def _interrupted(busy: ProviderBusy, why: str) -> ProviderBusy:
    message = f"{busy.message} {why} Nothing is lost: the next run goes on from here."
    return ProviderBusy(message, details=busy.details, retry_after=busy.retry_after, throttled=busy.throttled)


def _outcome(vector: Vector) -> EmbeddingOutcome:
    usable = to_storable(vector)
    if usable is None:
        return EmbeddingOutcome(None, "The embedding provider gave no usable vector for this text.")
    return EmbeddingOutcome(HalfVector(list(usable)))
