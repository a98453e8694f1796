"""Embed a query with the model whose vectors the project has."""

import math
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass
from uuid import UUID

from pgvector import HalfVector

from proofdesk.errors import ProofdeskError, Unavailable
from proofdesk.indexing.embeddings import factory
from proofdesk.indexing.embeddings.provider import EmbeddingProvider
from proofdesk.projects.scope import Scope
from proofdesk.search.queries import QueryVector
from proofdesk.search.query import SearchMode
from proofdesk.settings import Settings

_MIN_NORM = 1e-6  # below, the vector is zero: the model knows no word of the query


class EmbeddingUnavailable(Unavailable):
    """The query cannot be embedded, and the search mode is `vector`."""

    code = "embedding_unavailable"


@dataclass(frozen=True)
class EmbeddedQuery:
    """The vector of a query, or None: not needed, no provider, or the provider failed (`failure`)."""

    vector: QueryVector | None = None
    failure: Unavailable | None = None
    milliseconds: float = 0.0


# The model that served the last search of each project. It nearly always serves the next search too.
_served: dict[UUID, str] = {}


def last_served_model(scope: Scope, configured: str) -> str:
    """Return the model that served the last search of the project, or `configured` before the first search."""
    return _served.get(scope.project_id, configured)


def remember_served_model(scope: Scope, model: str) -> None:
    """Remember the model that serves searches of the project."""
    _served[scope.project_id] = model


async def embed_query(text: str, model: str, provider: EmbeddingProvider | None, settings: Settings) -> EmbeddedQuery:
    """Return the vector of a text by `model`. The configured `provider` may be one of another model."""
    if provider is None or provider.name != model:
        previous = _open_previous(settings, model)
        if previous is not None:
            async with aclosing(previous):
                return await _embed(previous, text)
    return await _embed(provider, text) if provider else EmbeddedQuery()


def require_vector(embedded: EmbeddedQuery, mode: SearchMode) -> None:
    """Raise `EmbeddingUnavailable` when the provider failed and the mode is `vector`."""
    if embedded.failure and mode == "vector":
        raise EmbeddingUnavailable(
            f"The query could not be embedded: {embedded.failure.message} Text search still works.",
            details=embedded.failure.details,
        ) from embedded.failure


def _open_previous(settings: Settings, name: str) -> EmbeddingProvider | None:
    # The present settings may not name the server of the previous model any more.
    with suppress(ProofdeskError):
        return factory.open_provider(settings, name) if name else None
    return None


async def _embed(provider: EmbeddingProvider, text: str) -> EmbeddedQuery:
    started = time.perf_counter()
    try:
        numbers = await provider.embed_query(text)
    except Unavailable as error:
        return EmbeddedQuery(failure=error, milliseconds=_milliseconds_since(started))
    vector = QueryVector(provider.name, len(numbers), HalfVector(list(numbers)))
    is_known = math.hypot(*numbers) >= _MIN_NORM
    return EmbeddedQuery(vector if is_known else None, milliseconds=_milliseconds_since(started))


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
