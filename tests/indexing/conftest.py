"""A simulated OpenAI server, a provider that uses it, and pending chunks."""

from collections.abc import AsyncIterator, Iterator

import pytest

from proofdesk.database.pool import Database
from proofdesk.indexing.embeddings import capabilities, factory
from proofdesk.indexing.embeddings.provider import EmbeddingProvider
from proofdesk.indexing.incremental import index_conversations
from proofdesk.projects.scope import Scope
from proofdesk_simulators.openai import OpenAISimulator, create_app
from proofdesk_simulators.serving import running
from tests.support.embedding import LIMITS, settings
from tests.support.transcripts import Line, store_messages


@pytest.fixture
def simulator() -> OpenAISimulator:
    return OpenAISimulator()


@pytest.fixture
def url(simulator: OpenAISimulator) -> Iterator[str]:
    capabilities.reset_capabilities()
    with running(create_app(simulator)) as base_url:
        yield f"{base_url}/v1"


@pytest.fixture
async def provider(url: str) -> AsyncIterator[EmbeddingProvider]:
    """OpenAI's small model, shortened to 256 numbers."""
    provider = factory.open_provider(
        settings(openai_api_key="sk-test", openai_base_url=url, embedding_dim=256, openai_timeout_ms=2000)
    )
    yield provider
    await provider.aclose()


@pytest.fixture
async def ten_texts(db: Database, project: Scope) -> list[str]:
    """Store ten pending chunks of one message each, and return their texts, oldest first."""
    texts = [f"Question number {n}: does the blue coat come in size {n + 40}?" for n in range(10)]
    for n, text in enumerate(texts):
        await store_messages(db, project, Line(text), conversation_id=n + 1)
    await index_conversations(db, project, LIMITS)
    return texts
