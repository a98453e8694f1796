"""Settings and limits of embedding for tests, independent of the environment."""

import os
import tempfile
from pathlib import Path
from typing import Any

from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.embeddings.batches import RetryPolicy
from proofdesk.indexing.embeddings.local import LocalModel
from proofdesk.indexing.vectors import EmbeddingOptions
from proofdesk.settings import Settings

DIMENSION = 256
# The local model is converted into this folder once, for all test processes and sessions of a user.
HOME = Path(tempfile.gettempdir()) / f"proofdesk-tests-models-{os.getuid()}"
LIMITS = ChunkLimits(1000, 30)
OPTIONS = EmbeddingOptions(batch_size=4, concurrency=2, retry_policy=RetryPolicy(3, 0.01, 1.0))


def settings(**values: Any) -> Settings:
    """Return settings that do not depend on the environment."""
    defaults: dict[str, Any] = dict.fromkeys(
        ["openai_api_key", "openai_base_url", "embedding_provider", "embedding_dim"]
    )
    return Settings(**(defaults | values))


def local_model() -> LocalModel:
    """Return the local model."""
    return LocalModel(HOME)
