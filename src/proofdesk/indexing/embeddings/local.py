"""The local model, which needs no key and no network: WordLlama, whose 256-dimensional weights are in its wheel."""

import asyncio
import importlib.util
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proofdesk.indexing.embeddings.provider import ProviderFailed, Vector

NAME = "local:wordllama-l2-256"
DIMENSION = 256

_lock = threading.Lock()
_loaded: list[Any] = []


class LocalModel:
    """An `EmbeddingProvider` that computes in a thread. The weights are loaded once per process, on first use."""

    dimension = DIMENSION
    max_batch = 512
    learned_max_texts: int | None = None

    def __init__(self, name: str = NAME, query_prefix: str = "", document_prefix: str = ""):
        self.name = name
        self._query_prefix = query_prefix
        self._document_prefix = document_prefix

    async def embed_documents(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Return vectors of length 1. Raises `ProviderFailed` when the weights cannot be loaded."""
        return await asyncio.to_thread(_embed, [self._document_prefix + text for text in texts])

    async def embed_query(self, text: str) -> Vector:
        """Return a vector of length 1. Raises `ProviderFailed` when the weights cannot be loaded."""
        return (await asyncio.to_thread(_embed, [self._query_prefix + text]))[0]

    async def aclose(self) -> None:
        """Do nothing: the weights stay loaded."""


def _embed(texts: list[str]) -> list[list[float]]:
    import numpy as np

    model = _model()
    # The package pads each text to the longest before it averages, which costs time and memory.
    sums = np.empty((len(texts), DIMENSION), np.float32)
    for row, encoded in enumerate(model.tokenizer.encode_batch(texts, add_special_tokens=False)):
        sums[row] = model.embedding[encoded.ids].sum(axis=0)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return (sums / np.where(lengths == 0, 1, lengths)).tolist()


def _model() -> Any:
    with _lock:
        if not _loaded:
            _loaded.append(_load())
        return _loaded[0]


def _load() -> Any:
    try:
        package = importlib.util.find_spec("wordllama")
        if package is None or package.origin is None:
            raise ImportError("wordllama is not installed")
        # The package looks for its tokenizer in the cache only: the cache is therefore its own folder.
        folder = Path(package.origin).parent
        model = _imported_quietly().WordLlama.load(dim=DIMENSION, cache_dir=folder, disable_download=True)
    except (ImportError, OSError) as error:
        raise ProviderFailed(
            f"The local embedding model cannot be loaded: {error}. Install the package wordllama again.",
            details={"upstream": {"service": "local", "method": "load", "endpoint": "wordllama"}},
        ) from error
    model.tokenizer.no_padding()
    return model


def _imported_quietly() -> Any:
    # The package configures the root logger when it is imported.
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    import wordllama

    root.handlers[:], root.level = handlers, level
    return wordllama
