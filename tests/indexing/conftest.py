"""A simulated OpenAI on a port, the client that the product uses for it, and chunks to embed."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from proofdesk.database.pool import Database
from proofdesk.indexing import chunks
from proofdesk.indexing.chunking.chunker import Limits
from proofdesk.indexing.embeddings import capabilities, factory
from proofdesk.indexing.embeddings.batches import Patience
from proofdesk.indexing.embeddings.provider import Provider
from proofdesk.indexing.vectors import Options
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings
from proofdesk_simulators.openai import Simulator, create_app
from proofdesk_simulators.serving import running
from tests.indexing.stories import Line, tell

LIMITS = Limits(1000, 30)
OPTIONS = Options(batch_size=4, concurrency=2, patience=Patience(3, 0.01, 1.0))


def settings(**values: Any) -> Settings:
    """Settings that owe nothing to the environment."""
    plain: dict[str, Any] = dict.fromkeys(["openai_api_key", "openai_base_url", "embedding_provider", "embedding_dim"])
    return Settings(**(plain | values))


@pytest.fixture
def simulator() -> Simulator:
    return Simulator()


@pytest.fixture
def url(simulator: Simulator) -> Iterator[str]:
    capabilities.forget()
    with running(create_app(simulator)) as base_url:
        yield f"{base_url}/v1"


@pytest.fixture
async def provider(url: str) -> AsyncIterator[Provider]:
    """OpenAI's small model, shortened to 256 numbers."""
    opened = factory.open_provider(
        settings(openai_api_key="sk-test", openai_base_url=url, embedding_dim=256, openai_timeout_ms=2000)
    )
    yield opened
    await opened.aclose()


@pytest.fixture
async def ten(db: Database, project: Scope) -> list[str]:
    """Ten chunks of one message each, waiting for vectors; their texts, oldest first."""
    texts = [f"Question number {n}: does the blue coat come in size {n + 40}?" for n in range(10)]
    for n, text in enumerate(texts):
        await tell(db, project, Line(text), conversation_id=n + 1)
    await chunks.cut(db, project, LIMITS)
    return texts
