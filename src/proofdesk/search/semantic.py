"""The vector of a question, by the model whose vectors the project has."""

import math
import time
from contextlib import aclosing, suppress
from dataclasses import dataclass
from uuid import UUID

from pgvector import HalfVector

from proofdesk.errors import ProofdeskError, Unavailable
from proofdesk.indexing.embeddings import factory
from proofdesk.indexing.embeddings.provider import Provider
from proofdesk.projects.scope import Scope
from proofdesk.search.queries import QueryVector
from proofdesk.search.query import SearchMode
from proofdesk.settings import Settings


class EmbeddingUnavailable(Unavailable):
    """The question cannot be embedded, and nothing but its vector was asked for."""

    code = "embedding_unavailable"


@dataclass(frozen=True)
class EmbeddedQuery:
    """A question's vector. `model` is None when there is none: not wanted, no provider, or it failed (`failure`)."""

    vector: QueryVector | None = None
    failure: Unavailable | None = None
    milliseconds: float = 0.0


# The model that served the last search of a project: nearly always the one that serves the next.
_served: dict[UUID, str] = {}


def last_served_model(scope: Scope, configured: str) -> str:
    """The model that served the last search of the project; `configured` before the first."""
    return _served.get(scope.project_id, configured)


def remember_served_model(scope: Scope, model: str) -> None:
    """Note that this model serves."""
    _served[scope.project_id] = model


async def embed_query(text: str, model: str, provider: Provider | None, settings: Settings) -> EmbeddedQuery:
    """The vector of a text by that model. `provider` is the one that is configured, perhaps of another model."""
    if provider is None or provider.name != model:
        earlier = _earlier(settings, model)
        if earlier is not None:
            async with aclosing(earlier):
                return await _vector(earlier, text)
    return await _vector(provider, text) if provider else EmbeddedQuery()


def require_vector(embedded: EmbeddedQuery, mode: SearchMode) -> None:
    """Raises `EmbeddingUnavailable` when the provider failed and nothing but the vector was asked for."""
    if embedded.failure and mode == "vector":
        raise EmbeddingUnavailable(
            f"The question could not be embedded: {embedded.failure.message} Text search still works.",
            details=embedded.failure.details,
        ) from embedded.failure


def _earlier(settings: Settings, name: str) -> Provider | None:
    # The present settings may not know how to reach it any more.
    with suppress(ProofdeskError):
        return factory.open_provider(settings, name) if name else None
    return None


async def _vector(provider: Provider, text: str) -> EmbeddedQuery:
    started = time.perf_counter()
    try:
        vector = await provider.embed_query(text)
    except Unavailable as error:
        return EmbeddedQuery(failure=error, milliseconds=_since(started))
    known = math.hypot(*vector) >= 1e-6  # else nothing in it that the model knows
    return EmbeddedQuery(
        QueryVector(provider.name, len(vector), HalfVector(list(vector))) if known else None, milliseconds=_since(started)
    )


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
