"""Settings and limits of embedding for tests, independent of the environment."""

from typing import Any

from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.embeddings.batches import RetryPolicy
from proofdesk.indexing.vectors import EmbeddingOptions
from proofdesk.settings import Settings

DIMENSION = 256
LIMITS = ChunkLimits(1000, 30)
OPTIONS = EmbeddingOptions(batch_size=4, concurrency=2, retry_policy=RetryPolicy(3, 0.01, 1.0))


def settings(**values: Any) -> Settings:
    """Return settings that do not depend on the environment."""
    defaults: dict[str, Any] = dict.fromkeys(
        ["openai_api_key", "openai_base_url", "embedding_provider", "embedding_dim"]
    )
    return Settings(**(defaults | values))
