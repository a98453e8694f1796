"""Embedding one batch whatever the provider answers: wait when it is busy, halve what it refuses. No database."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass

from proofdesk.db.halfvec import Halfvec
from proofdesk.embeddings.provider import Busy, EmbeddingError, Failed, Provider, Refused, Vector

PROBE = "A plain sentence."
_SHORTEST, _LONGEST = 1e-3, 65504.0  # what 16-bit numbers hold; cosine is not defined for a vector of zeros


@dataclass(frozen=True)
class Patience:
    """How often one request is tried, and how long to wait between: doubling from `first_wait`, in seconds.

    A provider that asks for more than `longest_wait` is not waited for.
    """

    max_attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 120.0


@dataclass(frozen=True)
class Outcome:
    """What became of one text: a vector as the database holds it, or the reason why there is none."""

    vector: Halfvec | None
    reason: str | None = None


class Batches:
    """The batches of one run. Whether texts are at fault is judged by whether the provider takes a plain one.

    `lowered_to` is how many texts a request may have, once the provider refused good texts because they were too many.
    """

    def __init__(self, provider: Provider, patience: Patience):
        self._provider = provider
        self._patience = patience
        self._proven = False
        self.lowered_to: int | None = None

    async def embed(self, texts: Sequence[str]) -> list[Outcome]:
        """One outcome for each text. Raises `Failed` or `Busy` when the provider embeds nothing at all."""
        try:
            vectors = await self._patiently(texts)
        except Refused as refusal:
            return await self._halved(texts, refusal)
        self._proven = True
        return await asyncio.to_thread(lambda: [_outcome(vector) for vector in vectors])

    async def _halved(self, texts: Sequence[str], refusal: Refused) -> list[Outcome]:
        await self._prove(refusal)
        if len(texts) == 1:
            return [Outcome(None, refusal.message)]
        middle = (len(texts) + 1) // 2
        outcomes = [*await self.embed(texts[:middle]), *await self.embed(texts[middle:])]
        if all(outcome.vector for outcome in outcomes):
            self.lowered_to = min(middle, self.lowered_to or middle)
        return outcomes

    async def _prove(self, refusal: Refused) -> None:
        # A wrong setting is refused like a bad text. Without this, it would turn every chunk to `failed`.
        if self._proven:
            return
        try:
            await self._patiently([PROBE])
        except Refused:
            raise Failed(
                f"{refusal.message} It refuses any text: check EMBEDDING_MODEL and EMBEDDING_DIM.",
                details=refusal.details,
            ) from refusal
        self._proven = True

    async def _patiently(self, texts: Sequence[str]) -> Sequence[Vector]:
        wait = self._patience.first_wait
        for _ in range(self._patience.max_attempts - 1):
            try:
                return await self._provider.embed_documents(texts)
            except Busy as busy:
                pause = wait if busy.retry_after is None else max(busy.retry_after, self._patience.first_wait)
                if pause > self._patience.longest_wait:
                    raise _given_up(busy, f"It asks to wait for {math.ceil(pause)} seconds.") from busy
                await asyncio.sleep(pause)
                wait = min(wait * 2, self._patience.longest_wait)
        return await self._at_last(texts)

    async def _at_last(self, texts: Sequence[str]) -> Sequence[Vector]:
        try:
            return await self._provider.embed_documents(texts)
        except Busy as busy:
            tried = f"Tried {self._patience.max_attempts} times."
            if busy.throttled or texts == [PROBE] or not await self._answers():
                raise _given_up(busy, tried) from busy
            # It is up, so these texts are too much for it: the smaller halves may do.
            raise Refused(f"{busy.message} {tried}", details=busy.details) from busy

    async def _answers(self) -> bool:
        try:
            await self._provider.embed_documents([PROBE])
        except EmbeddingError:
            return False
        return True


def _given_up(busy: Busy, why: str) -> Busy:
    message = f"{busy.message} {why} Nothing is lost: the next run goes on from here."
    return Busy(message, details=busy.details, retry_after=busy.retry_after, throttled=busy.throttled)


def _outcome(vector: Vector) -> Outcome:
    if not _SHORTEST < math.hypot(*vector) < _LONGEST:  # false for NaN, too
        return Outcome(None, "The embedding provider gave no usable vector for this text.")
    return Outcome(Halfvec(vector))
