import pytest
from pydantic import SecretStr

from proofdesk.errors import Invalid
from proofdesk.indexing.embeddings import factory
from proofdesk.indexing.embeddings.provider import (
    EmbeddingError,
    EmbeddingProvider,
    ProviderBusy,
    ProviderFailed,
    ProviderNotConfigured,
    TextsRefused,
)
from proofdesk_simulators.openai import OpenAISimulator
from tests.support.embedding import settings

PAGES = ("page", "bad_gateway")  # of a proxy, which sends no request id


async def refusal(provider: EmbeddingProvider) -> EmbeddingError:
    with pytest.raises(EmbeddingError) as raised:
        await provider.embed_documents(["a text"])
    return raised.value


async def test_vectors_follow_the_order_of_texts(provider: EmbeddingProvider, simulator: OpenAISimulator):
    vectors = await provider.embed_documents(["blue coat", "red shoes"])
    assert [len(vector) for vector in vectors] == [256, 256]
    assert vectors[0] == await provider.embed_query("blue coat")
    assert len(simulator.requests) == 2


async def test_vectors_as_floats_are_parsed(provider: EmbeddingProvider, simulator: OpenAISimulator):
    as_base64 = await provider.embed_query("blue coat")
    simulator.switches.base64 = False
    assert await provider.embed_query("blue coat") == pytest.approx(as_base64, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "expected", "status"),
    [
        ("invalid_api_key", ProviderFailed, 401),
        ("forbidden", ProviderFailed, 403),
        ("insufficient_quota", ProviderFailed, 429),
        ("bad_request", TextsRefused, 400),
        ("rate_limit", ProviderBusy, 429),
        ("server_error", ProviderBusy, 500),
        ("unavailable", ProviderBusy, 503),
        ("cut", ProviderBusy, None),
        ("page", ProviderFailed, 200),
        ("garbled", ProviderFailed, 200),
        ("short", ProviderBusy, 200),
        ("misnumbered", ProviderFailed, 200),
        ("bad_gateway", ProviderBusy, 502),
        ("half", ProviderBusy, None),
    ],
)
async def test_each_error_describes_request_and_response(
    provider: EmbeddingProvider, simulator: OpenAISimulator, kind: str, expected: type, status: int | None
):
    simulator.fail(kind)
    error = await refusal(provider)
    assert type(error) is expected
    upstream = error.details["upstream"]
    assert (upstream["service"], upstream["method"], upstream["status"]) == ("openai", "POST", status)
    assert upstream["endpoint"].endswith("/v1/embeddings")
    assert (upstream["request_id"] or "").startswith("req_") == (status is not None and kind not in PAGES)
    assert error.details["batch_size"] == 1
    assert "sk-test" not in error.message and error.code == "embeddings_job_failed"


async def test_retry_after_is_read(provider: EmbeddingProvider, simulator: OpenAISimulator):
    simulator.fail("rate_limit", retry_after=7)
    error = await refusal(provider)
    assert isinstance(error, ProviderBusy) and error.retry_after == 7 and error.throttled


async def test_a_slow_response_times_out(url: str, simulator: OpenAISimulator):
    simulator.fail("delay", delay=0.3)
    provider = factory.open_provider(settings(openai_api_key="k", openai_base_url=url, openai_timeout_ms=100))
    assert isinstance(await refusal(provider), ProviderBusy)
    await provider.aclose()


async def test_a_refused_connection_is_an_outage():
    provider = factory.open_provider(settings(openai_base_url="http://127.0.0.1:1/v1", embedding_provider="openai"))
    error = await refusal(provider)
    assert isinstance(error, ProviderBusy) and "cannot be reached" in error.message
    await provider.aclose()


async def test_an_unknown_model_is_a_permanent_failure(url: str):
    provider = factory.open_provider(
        settings(openai_base_url=url, embedding_provider="openai", embedding_model="bge-m3", embedding_dim=1024)
    )
    error = await refusal(provider)
    assert isinstance(error, ProviderFailed) and "EMBEDDING_MODEL" in error.message
    await provider.aclose()


async def test_prefixes_precede_queries_and_texts(url: str, simulator: OpenAISimulator):
    provider = factory.open_provider(
        settings(
            openai_base_url=url,
            embedding_provider="openai",
            embedding_query_prefix="query: ",
            embedding_document_prefix="passage: ",
        )
    )
    await provider.embed_documents(["coat"])
    await provider.embed_query("coat")
    assert set(simulator.embedded) == {"passage: coat", "query: coat"}
    assert provider.name == "openai:text-embedding-3-small+passage:"
    await provider.aclose()


async def test_the_local_model_needs_no_network():
    provider = factory.open_provider(settings())
    assert (provider.name, provider.dimension) == ("local:e5-small", 384)
    query = await provider.embed_query("when does my parcel arrive")
    near, far = await provider.embed_documents(["Your package will be delivered on Friday.", "We sell blue coats."])
    assert sum(a * b for a, b in zip(query, near, strict=True)) > sum(a * b for a, b in zip(query, far, strict=True))
    assert sum(a * a for a in query) == pytest.approx(1, abs=1e-3)


def test_openai_without_a_key_is_not_configured():
    with pytest.raises(ProviderNotConfigured) as raised:
        factory.open_provider(settings(embedding_provider="openai"))
    assert raised.value.code == "openai_not_configured" and not raised.value.configured


@pytest.mark.parametrize(
    ("values", "name", "dimension"),
    [
        ({}, "local:e5-small", 384),
        ({"embedding_dim": 1536}, "local:e5-small", 384),
        ({"embedding_model": "local:use"}, "local:use", 512),
        ({"embedding_model": "local:use", "openai_api_key": "k"}, "local:use", 512),
        ({"embedding_provider": "local", "openai_api_key": "k"}, "local:e5-small", 384),
        ({"openai_api_key": "k"}, "openai:text-embedding-3-small", 1536),
        ({"openai_api_key": "k", "embedding_dim": 1536}, "openai:text-embedding-3-small", 1536),
        ({"openai_api_key": "k", "embedding_dim": 512}, "openai:text-embedding-3-small@512", 512),
        ({"openai_api_key": "k", "embedding_model": "text-embedding-3-large"}, "openai:text-embedding-3-large", 3072),
        ({"openai_api_key": "k", "embedding_model": "bge-m3", "embedding_dim": 1024}, "openai:bge-m3@1024", 1024),
    ],
)
def test_model_names_contain_all_that_changes_vectors(values: dict, name: str, dimension: int):
    configured = settings(**values)
    assert (factory.model_name(configured), factory.model_dimension(configured)) == (name, dimension)
    assert factory.open_provider(configured).name == name


def test_the_provider_of_stored_vectors_can_be_opened():
    configured = settings(openai_api_key=SecretStr("k"), embedding_document_prefix="passage: ")
    assert factory.open_provider(configured, "local:use").dimension == 512
    assert factory.open_provider(configured, "openai:text-embedding-3-large@512").dimension == 512
    with pytest.raises(Invalid):
        factory.open_provider(configured, "elsewhere:model")


def test_an_unknown_dimension_must_be_configured():
    with pytest.raises(Invalid, match="set EMBEDDING_DIM"):
        factory.model_dimension(settings(openai_api_key="k", embedding_model="bge-m3"))
