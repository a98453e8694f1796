"""Retries and halving, with a scripted provider instead of a network."""

from collections.abc import Callable, Sequence

import pytest
from pgvector import HalfVector

from proofdesk.indexing.embeddings.batches import PROBE, BatchEmbedder, RetryPolicy
from proofdesk.indexing.embeddings.provider import EmbeddingError, ProviderBusy, ProviderFailed, TextsRefused

QUICK = RetryPolicy(3, 0.0, 1.0)


class Scripted:
    """A provider of vectors of two numbers; `refusal` returns the error for texts, if any."""

    name, dimension, max_batch = "scripted", 2, 100
    learned_max_texts: int | None = None

    def __init__(self, refusal: Callable[[Sequence[str]], EmbeddingError | None]):
        self.refusal = refusal
        self.requests: list[Sequence[str]] = []

    async def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        self.requests.append(texts)
        if error := self.refusal(texts):
            raise error
        return [[1.0, float("nan") if text == "nan" else 2.0] for text in texts]

    async def embed_query(self, text: str) -> list[float]:
        return (await self.embed_documents([text]))[0]

    async def aclose(self) -> None:
        pass


def refusing(*bad: str) -> Callable[[Sequence[str]], EmbeddingError | None]:
    return lambda texts: TextsRefused("no") if set(bad) & set(texts) else None


async def test_a_refused_batch_is_halved_down_to_the_bad_texts():
    provider = Scripted(refusing("c", "h"))
    outcomes = await BatchEmbedder(provider, QUICK).embed(list("abcdefgh"))
    assert [outcome.reason for outcome in outcomes] == [None, None, "no", None, None, None, None, "no"]
    assert all((outcome.vector is None) == (outcome.reason is not None) for outcome in outcomes)


async def test_too_many_texts_are_embedded_in_smaller_requests():
    provider = Scripted(lambda texts: TextsRefused("too many") if len(texts) > 3 else None)
    outcomes = await BatchEmbedder(provider, QUICK).embed(list("abcdefgh"))
    assert all(outcome.vector for outcome in outcomes)


async def test_the_text_limit_is_learnt_from_good_texts_only():
    batches = BatchEmbedder(Scripted(lambda texts: TextsRefused("too many") if len(texts) > 3 else None), QUICK)
    assert batches.lowered_to is None
    await batches.embed(list("abcdefgh"))
    assert batches.lowered_to == 2
    one_is_bad = BatchEmbedder(Scripted(refusing("c")), QUICK)
    await one_is_bad.embed(list("abcd"))
    assert one_is_bad.lowered_to is None


async def test_a_refused_plain_sentence_fails_the_run():
    provider = Scripted(lambda texts: TextsRefused("unknown parameter"))
    with pytest.raises(ProviderFailed, match="unknown parameter It refuses any text"):
        await BatchEmbedder(provider, QUICK).embed(["a", "b"])
    assert provider.requests == [["a", "b"], [PROBE]]


async def test_no_probe_follows_a_successful_batch():
    provider = Scripted(refusing("b"))
    batches = BatchEmbedder(provider, QUICK)
    await batches.embed(["a"])
    await batches.embed(["b"])
    assert [PROBE] not in provider.requests


async def test_throttling_stops_the_run_without_a_probe():
    provider = Scripted(lambda texts: ProviderBusy("slow down", throttled=True) if texts != [PROBE] else None)
    with pytest.raises(ProviderBusy, match="Tried 3 times"):
        await BatchEmbedder(provider, QUICK).embed(["a"])
    assert len(provider.requests) == 3


async def test_a_text_that_crashes_the_provider_fails_alone():
    provider = Scripted(lambda texts: ProviderBusy("500") if "bad" in texts else None)
    good, bad = await BatchEmbedder(provider, QUICK).embed(["good", "bad"])
    assert good.vector and bad.reason == "500 Tried 3 times."


async def test_a_vector_with_nan_is_not_stored():
    good, bad = await BatchEmbedder(Scripted(refusing()), QUICK).embed(["good", "nan"])
    assert good.vector and good.vector == HalfVector([1, 2]) and bad.reason
