"""Embeds a batch whatever the provider answers: retries when it is busy, halves what it refuses. No database."""

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
_MAX_CRASHES = 20  # consecutive texts on which the provider crashes before the run stops


@dataclass(frozen=True)
class RetryPolicy:
    """Attempts per request, and the wait between them, which doubles from `first_wait`, in seconds.

    A provider that asks for more than `longest_wait` stops the run.
    """

    max_attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 120.0


@dataclass(frozen=True)
class EmbeddingOutcome:
    """The vector of a text in half precision, or the reason why there is none."""

    vector: HalfVector | None
    reason: str | None = None


class BatchEmbedder:
    """Embeds the batches of one run. Texts are at fault when the provider embeds a plain sentence.

    Whole batches are retried by the policy, the parts of a refused batch are tried once, and a single text twice. One
    batch at a time is split, so that the others use the limit that it finds.
    """

    def __init__(self, provider: EmbeddingProvider, policy: RetryPolicy):
        self._provider = provider
        self._policy = policy
        self._provider_works = False
        self._crashes = 0
        self._parts_lock = asyncio.Lock()

    @property
    def lowered_to(self) -> int | None:
        """The limit of texts per request, once the provider refused good texts because of their number."""
        return self._provider.learned_max_texts

    async def embed(self, texts: Sequence[str]) -> list[EmbeddingOutcome]:
        """Return one outcome for each text. Raises `ProviderFailed` or `ProviderBusy` when none can be embedded."""
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
        self._provider_works, self._crashes = True, 0
        return await asyncio.to_thread(lambda: [_outcome(vector) for vector in vectors])

    def _failed_outcome(self, refusal: TextsRefused) -> EmbeddingOutcome:
        self._crashes += refusal.crashed
        if self._crashes >= _MAX_CRASHES:
            what = f"{refusal.message} It failed on {self._crashes} texts in a row."
            raise _interrupted(ProviderBusy(what, details=refusal.details), "Check the provider.")
        return EmbeddingOutcome(None, refusal.message)

    async def _check_provider(self, refusal: TextsRefused) -> None:
        # A wrong setting is refused like a bad text. Without this check every chunk would become `failed`.
        if self._provider_works:
            return
        try:
            await self._request([PROBE], whole=True)
        except TextsRefused:
            raise ProviderFailed(
                f"{refusal.message} It refuses any text: check EMBEDDING_MODEL and EMBEDDING_DIM.",
                details=refusal.details,
            ) from refusal
        self._provider_works = True

    async def _request(self, texts: Sequence[str], *, whole: bool) -> Sequence[Vector]:
        wait, attempt = self._policy.first_wait, 0
        attempts = self._policy.max_attempts if whole else 1 if len(texts) > 1 else 2
        while True:
            try:
                return await self._provider.embed_documents(texts)
            except ProviderBusy as busy:
                attempt += 1
                limit = self._policy.max_attempts if busy.throttled else attempts
                if attempt >= limit or not busy.retryable:
                    raise await self._classify(texts, busy, whole=whole) from busy
                pause = wait if busy.retry_after is None else max(busy.retry_after, self._policy.first_wait)
                if pause > self._policy.longest_wait:
                    raise _interrupted(busy, f"It asked to wait for {math.ceil(pause)} seconds.") from busy
                await asyncio.sleep(pause)
                wait = min(wait * 2, self._policy.longest_wait)

    async def _classify(self, texts: Sequence[str], busy: ProviderBusy, *, whole: bool) -> EmbeddingError:
        attempts = f"Tried {self._policy.max_attempts} times." if busy.retryable else "It asked for no retry."
        # A part is halved again anyway. Only for a batch or a single text it matters whether the provider works.
        uncertain = whole or len(texts) == 1
        if busy.throttled or texts == [PROBE] or (uncertain and not await self._is_available()):
            return _interrupted(busy, attempts)
        # The provider works, so these texts are too much for it; smaller parts may not be.
        return TextsRefused(f"{busy.message} {attempts}", details=busy.details, crashed=True)

    async def _is_available(self) -> bool:
        try:
            await self._provider.embed_documents([PROBE])
        except EmbeddingError:
            return False
        self._provider_works = True
        return True


def _pieces(texts: Sequence[str], size: int | None) -> Iterator[Sequence[str]]:
    size = size or len(texts) or 1
    for start in range(0, len(texts), size):
        yield texts[start : start + size]


def _interrupted(busy: ProviderBusy, why: str) -> ProviderBusy:
    message = f"{busy.message} {why} Nothing is lost: the next run continues here."
    return ProviderBusy(message, details=busy.details, retry_after=busy.retry_after, throttled=busy.throttled)


def _outcome(vector: Vector) -> EmbeddingOutcome:
    usable = to_storable(vector)
    if usable is None:
        return EmbeddingOutcome(None, "The embedding provider gave no usable vector for this text.")
    return EmbeddingOutcome(HalfVector(list(usable)))
