"""Servers that deviate from OpenAI's protocol: what the provider learns, and which errors it raises."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from proofdesk.database.pool import Database
from proofdesk.indexing import vectors
from proofdesk.indexing.embeddings import capabilities, factory
from proofdesk.indexing.embeddings.batches import PROBE, BatchEmbedder, RetryPolicy
from proofdesk.indexing.embeddings.provider import EmbeddingError, EmbeddingProvider, ProviderBusy, ProviderFailed
from proofdesk.projects.scope import Scope
from proofdesk.search import results
from proofdesk.search.query import SearchQuery
from proofdesk_simulators.openai import OpenAISimulator
from tests.support.embedding import OPTIONS, settings

QUICK = RetryPolicy(3, 0.01, 1.0)
TEXTS = [f"Is the coat number {n} still available?" for n in range(10)]


@asynccontextmanager
async def open_provider(url: str, **values: Any) -> AsyncIterator[EmbeddingProvider]:
    defaults: dict[str, Any] = {"openai_api_key": "sk-test", "openai_base_url": url, "embedding_dim": 256}
    provider = factory.open_provider(settings(**(defaults | values)))
    yield provider
    await provider.aclose()


async def openai_vectors(url: str) -> list[Any]:
    """Return the vectors of the texts as OpenAI computes them."""
    async with open_provider(url) as provider:
        return list(await provider.embed_documents(TEXTS))


async def refusal(provider: EmbeddingProvider, texts: list[str] = TEXTS) -> EmbeddingError:
    with pytest.raises(EmbeddingError) as raised:
        await BatchEmbedder(provider, QUICK).embed(texts)
    return raised.value


def request_values(simulator: OpenAISimulator, name: str) -> list[Any]:
    return [getattr(entry, name) for entry in simulator.requests]


@pytest.mark.parametrize(
    "deviation",
    [
        {"index": "omit_zero"},
        {"index": "omit_zero", "order": "reversed"},
        {"index": "omit"},
        {"index": "text"},
        {"order": "reversed"},
        {"usage": False},
        {"vectors": "text", "base64": False},
        {"vectors": "json", "base64": False},
        {"vectors": "nested", "base64": False},
        {"vectors": "base64", "encoding": "named"},
        {"encoding": "named"},
        {"encoding": "unknown"},
        {"encoding": "unnamed"},
        {"base64": False},
        {"dimension": 300},
    ],
    ids=str,
)
async def test_vectors_match_texts_in_every_response_shape(
    url: str, simulator: OpenAISimulator, deviation: dict[str, Any]
):
    expected = await openai_vectors(url)
    for name, value in deviation.items():
        setattr(simulator.switches, name, value)
    capabilities.reset_capabilities()
    async with open_provider(url) as provider:
        documents = await provider.embed_documents(TEXTS)
        query = await provider.embed_query(TEXTS[3])
    assert len(documents) == 10
    if "dimension" not in deviation:
        assert [list(vector) for vector in documents] == [pytest.approx(list(vector), abs=1e-6) for vector in expected]
    assert list(query) == pytest.approx(list(documents[3]), abs=1e-6)
    assert sum(number * number for number in query) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("encoding", ["named", "unknown", "unnamed"])
async def test_refused_base64_is_requested_once(url: str, simulator: OpenAISimulator, encoding: str):
    simulator.switches.encoding = encoding
    async with open_provider(url) as provider, open_provider(url) as another:
        await asyncio.gather(*[provider.embed_documents(TEXTS) for _ in range(5)])
        await another.embed_query("coat")
    assert request_values(simulator, "encoding_format") == ["base64", *[None] * 6]


async def test_a_refused_text_does_not_disable_base64(url: str, simulator: OpenAISimulator):
    async with open_provider(url) as provider:
        with pytest.raises(EmbeddingError):
            await provider.embed_documents(["[[refuse]]"])
        await provider.embed_documents(TEXTS)
        with pytest.raises(EmbeddingError):
            await provider.embed_documents(["[[refuse]]"])
        await provider.embed_documents(TEXTS)
    assert set(request_values(simulator, "encoding_format")) == {"base64"}


@pytest.mark.parametrize(
    ("model", "values", "sent"),
    [
        ("openai/text-embedding-3-large", {"embedding_dim": 1024}, 1024),
        ("openai/text-embedding-3-large", {"embedding_dim": None}, None),
        ("azure/text-embedding-3-small", {"embedding_dim": 512}, 512),
        ("text-embedding-3-large", {"embedding_dim": 1024}, 1024),
        ("text-embedding-ada-002", {"embedding_dim": None}, None),
    ],
)
async def test_dimensions_are_sent_to_models_that_support_them(
    url: str, simulator: OpenAISimulator, model: str, values: dict[str, Any], sent: int | None
):
    simulator.models[model] = {"large": 3072, "small": 1536}.get(model.rpartition("-")[2], 1536)
    async with open_provider(url, embedding_model=model, **values) as provider:
        assert len(await provider.embed_query("coat")) == (sent or simulator.models[model])
    assert request_values(simulator, "dimensions") == [sent]


@pytest.mark.parametrize("deviation", ["vllm", "litellm"])
async def test_vectors_are_shortened_when_the_server_refuses(url: str, simulator: OpenAISimulator, deviation: str):
    simulator.switches.dimensions = deviation
    async with open_provider(url) as provider:
        vector = await provider.embed_query("coat")
        await provider.embed_query("coat")
    assert len(vector) == 256 and sum(n * n for n in vector) == pytest.approx(1, abs=1e-3)
    assert request_values(simulator, "dimensions") == [256, None, None]


async def test_dimensions_are_requested_after_too_long_vectors(url: str, simulator: OpenAISimulator):
    simulator.models["gemini-embedding-001"] = 3072
    async with open_provider(url, embedding_model="gemini-embedding-001", embedding_dim=768) as provider:
        assert len(await provider.embed_query("coat")) == 768
        await provider.embed_query("coat")
    assert request_values(simulator, "dimensions") == [None, 768, 768]


async def test_vectors_of_other_models_are_never_cut(url: str, simulator: OpenAISimulator):
    simulator.models["bge-m3"] = 1024
    async with open_provider(url, embedding_model="bge-m3", embedding_dim=512) as provider:
        error = await refusal(provider)
    assert (
        isinstance(error, ProviderFailed)
        and "vectors of 1024 numbers, 512 are expected. Set EMBEDDING_DIM" in error.message
    )


@pytest.mark.parametrize("mark", ["[[nan]]", "[[inf]]", "[[zero]]", "[[null]]", "[[empty]]"])
@pytest.mark.parametrize("base64", [True, False])
async def test_a_text_without_a_usable_vector_fails_alone(
    url: str, simulator: OpenAISimulator, mark: str, base64: bool
):
    simulator.switches.base64 = base64
    async with open_provider(url) as provider:
        outcomes = await BatchEmbedder(provider, QUICK).embed([*TEXTS[:3], f"A coat {mark}", *TEXTS[3:]])
    assert [outcome.vector is None for outcome in outcomes] == [n == 3 for n in range(11)]
    assert "no usable vector" in str(outcomes[3].reason)
    assert len(simulator.requests) == 1


@pytest.mark.parametrize("mark", ["[[nan]]", "[[inf]]", "[[null]]"])
async def test_a_query_without_a_usable_vector_is_an_error(url: str, mark: str):
    async with open_provider(url) as provider:
        with pytest.raises(ProviderFailed, match="unusable vector for the query"):
            await provider.embed_query(f"coat {mark}")


@pytest.mark.parametrize("scale", [1e-6, 5.0, 1e6])
async def test_vectors_of_any_norm_are_stored_and_found(
    db: Database, project: Scope, url: str, simulator: OpenAISimulator, ten_texts: list[str], scale: float
):
    simulator.switches.scale = scale
    async with open_provider(url) as provider:
        done = await vectors.embed_pending(db, project, provider, OPTIONS)
        assert (done.processed, done.failed) == (10, 0)
        answer = await results.search(
            db, project, provider, settings(), SearchQuery(ten_texts[4], mode="vector", top_k=1)
        )
    assert ten_texts[4] in answer.results[0].text


LIMITED = [
    ("tei", True),
    ("litellm", True),
    ("siliconflow", True),
    ("dashscope", True),
    ("gemini", True),
    ("azure", True),
    ("mistral", False),
    ("nginx", False),
    ("text", False),
]


@pytest.mark.parametrize(("wording", "numbered"), LIMITED)
async def test_the_text_limit_of_a_server_is_learnt_once(
    url: str, simulator: OpenAISimulator, wording: str, numbered: bool
):
    simulator.switches.most_texts, simulator.switches.wording = 3, wording
    async with open_provider(url) as provider, open_provider(url) as another:
        for each in (provider, provider, another):
            outcomes = await BatchEmbedder(each, QUICK).embed(TEXTS)
            assert all(outcome.vector for outcome in outcomes)
    refused = [entry.texts for entry in simulator.requests if entry.status >= 400]
    assert refused == ([10] if numbered else [10, 5])
    assert provider.learned_max_texts == another.learned_max_texts == 3


async def test_concurrent_batches_share_a_learnt_limit(url: str, simulator: OpenAISimulator):
    simulator.switches.most_texts, simulator.switches.wording = 2, "mistral"
    async with open_provider(url) as provider:
        batches = BatchEmbedder(provider, QUICK)
        outcome_lists = await asyncio.gather(*[batches.embed(TEXTS) for _ in range(4)])
    assert all(outcome.vector for outcomes in outcome_lists for outcome in outcomes)
    refused = sorted(entry.texts for entry in simulator.requests if entry.status >= 400)
    assert refused == [3, 5, 10, 10, 10, 10]


@pytest.mark.parametrize("wording", ["openai", "mistral"])
async def test_too_many_tokens_are_split_over_requests(url: str, simulator: OpenAISimulator, wording: str):
    simulator.switches.max_tokens_a_request, simulator.switches.wording = 35, wording
    async with open_provider(url) as provider:
        outcomes = await BatchEmbedder(provider, QUICK).embed(TEXTS)
    assert all(outcome.vector for outcome in outcomes)


async def test_a_server_that_fails_on_batches_costs_few_requests(url: str, simulator: OpenAISimulator):
    simulator.fail("server_error", beyond=1)
    async with open_provider(url) as provider:
        outcomes = await BatchEmbedder(provider, QUICK).embed(TEXTS * 10)
        outcomes += await BatchEmbedder(provider, QUICK).embed(TEXTS)
    assert all(outcome.vector for outcome in outcomes)
    failed = [entry.texts for entry in simulator.requests if entry.status == 500]
    assert failed == [100, 100, 100, 50, 25, 13, 7, 4, 2]


async def test_a_server_that_fails_on_every_text_ends_the_run(url: str, simulator: OpenAISimulator):
    simulator.fail("server_error", containing="coat")
    async with open_provider(url) as provider:
        error = await refusal(provider, TEXTS * 10)
    assert isinstance(error, ProviderBusy) and "failed on 20 texts in a row" in error.message
    assert PROBE in simulator.embedded and len(simulator.requests) < 120


async def test_an_outage_during_halving_fails_no_text(url: str, simulator: OpenAISimulator):
    simulator.fail("server_error", containing="coat number 7")
    simulator.fail("unavailable", skip=5)
    async with open_provider(url) as provider:
        error = await refusal(provider)
    assert isinstance(error, ProviderBusy) and "Nothing is lost" in error.message


@pytest.mark.parametrize(
    ("kind", "values", "says"),
    [
        ("error_in_200", {}, "failing (502): Provider returned error."),
        ("empty", {}, "gave 0 vectors for 10 texts"),
        ("short", {}, "gave 9 vectors for 10 texts"),
        ("surplus", {}, "The response has 11 vectors or wrong indexes for 10 texts."),
        ("page", {}, "Check OPENAI_BASE_URL. The response is a web page."),
        ("challenge", {}, "(403): a web page (Just a moment...) instead of a response"),
        ("redirect", {}, "redirects to https://elsewhere.example.com/v1/embeddings (308). Set OPENAI_BASE_URL"),
        ("rate_limit", {"should_retry": False}, "asked for no retry"),
        ("rate_limit", {"retry_after": 900}, "asked to wait for 900 seconds"),
        ("key_not_valid", {}, "refused the key (400). Check OPENAI_API_KEY"),
        ("no_connected_db", {}, "refused the key (400). Check OPENAI_API_KEY"),
        ("insufficient_quota", {}, "quota of the OpenAI account is used up (429). Raise it"),
    ],
)
async def test_errors_name_the_cause(
    url: str, simulator: OpenAISimulator, kind: str, values: dict[str, Any], says: str
):
    simulator.fail(kind, **values)
    async with open_provider(url) as provider:
        assert says in (await refusal(provider)).message


@pytest.mark.parametrize("kind", ["error_in_200", "empty", "short", "rate_limit", "wait_in_words", "server_error"])
async def test_a_single_failure_is_retried(url: str, simulator: OpenAISimulator, kind: str):
    simulator.fail(kind, times=1)
    async with open_provider(url) as provider:
        outcomes = await BatchEmbedder(provider, QUICK).embed(TEXTS)
    assert all(outcome.vector for outcome in outcomes) and len(simulator.requests) == 2


async def test_should_retry_overrides_the_status(url: str, simulator: OpenAISimulator):
    simulator.fail("bad_request", times=1, should_retry=True)
    async with open_provider(url) as provider:
        outcomes = await BatchEmbedder(provider, QUICK).embed(TEXTS)
    assert all(outcome.vector for outcome in outcomes) and request_values(simulator, "texts") == [10, 10]


async def test_the_wait_is_read_from_the_message(url: str, simulator: OpenAISimulator):
    simulator.fail("wait_in_words")
    async with open_provider(url) as provider:
        with pytest.raises(ProviderBusy) as raised:
            await provider.embed_query("coat")
    assert raised.value.retry_after == 0.02 and raised.value.throttled


AZURE = "/openai/deployments/text-embedding-3-small?api-version=2024-10-21"


async def test_azure_deployments_are_supported(url: str, simulator: OpenAISimulator):
    simulator.switches.azure, simulator.switches.key = True, "sk-test"
    async with open_provider(url.removesuffix("/v1") + AZURE) as provider:
        assert len(await provider.embed_query("coat")) == 256
    async with open_provider(url.removesuffix("/v1") + AZURE.partition("?")[0]) as provider:
        assert "for Azure that of the deployment, with ?api-version=" in (await refusal(provider)).message
    async with open_provider(url.removesuffix("/v1") + AZURE, openai_api_key="sk-wrong") as provider:
        assert "Check OPENAI_API_KEY" in (await refusal(provider)).message


@pytest.mark.parametrize("end", ["", "/", "/embeddings", "/embeddings/"])
async def test_the_base_url_may_end_with_embeddings(url: str, end: str):
    async with open_provider(url + end) as provider:
        assert len(await provider.embed_query("coat")) == 256


async def test_a_server_without_keys_needs_no_key(url: str, simulator: OpenAISimulator):
    simulator.switches.key = ""
    chosen = settings(openai_base_url=url)
    assert (chosen.provider, factory.model_name(chosen)) == ("openai", "openai:text-embedding-3-small")
    async with open_provider(url, openai_api_key=None) as provider:
        assert len(await provider.embed_query("coat")) == 256
    assert settings(openai_base_url=url, embedding_provider="local").provider == "local"


async def test_messages_are_not_masked_without_a_key(url: str, simulator: OpenAISimulator):
    simulator.switches.key = ""
    async with open_provider(url, openai_api_key=None, embedding_model="none-such") as provider:
        assert "`none-such` does not exist" in (await refusal(provider)).message


@pytest.mark.parametrize("address", ["localhost:11434/v1", "ftp://host/v1", "http://", "/v1"])
def test_a_base_url_needs_scheme_and_host(address: str):
    with pytest.raises(ValidationError, match="begin with http:// or https://"):
        settings(openai_base_url=address)


@pytest.mark.parametrize(
    "deviation", [{"index": "omit_zero"}, {"encoding": "named"}, {"most_texts": 2, "wording": "gemini"}], ids=str
)
@pytest.mark.fidelity(
    "Embedding servers",
    "Servers omit `index`, refuse base64 or `dimensions`, and send strings, NaN or other lengths.",
    "GitHub issues named in `proofdesk_simulators.openai.habits`",
)
async def test_runs_and_searches_work_with_deviating_servers(
    db: Database, project: Scope, url: str, simulator: OpenAISimulator, ten_texts: list[str], deviation: dict[str, Any]
):
    for name, value in deviation.items():
        setattr(simulator.switches, name, value)
    async with open_provider(url) as provider:
        for run in ("first", "second"):
            done = await vectors.embed_pending(db, project, provider, OPTIONS)
            assert (done.failed, done.pending, done.lowered_to) == (0, 0, deviation.get("most_texts")), run
        answer = await results.search(
            db, project, provider, settings(), SearchQuery(ten_texts[7], mode="vector", top_k=1)
        )
    assert ten_texts[7] in answer.results[0].text and answer.degraded is None
    assert sum(entry.status >= 400 for entry in simulator.requests) <= 2
