"""The vector of a question, by the model whose vectors the project has."""

import math
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

from proofdesk.db.halfvec import Halfvec
from proofdesk.db.pool import Database
from proofdesk.db.rows import Conn
from proofdesk.embeddings import client
from proofdesk.embeddings import queries as embedding_queries
from proofdesk.embeddings.provider import Provider
from proofdesk.errors import ProofdeskError, Unavailable
from proofdesk.projects.scope import Scope
from proofdesk.search.queries import Model
from proofdesk.search.question import Question
from proofdesk.settings import Settings


class EmbeddingUnavailable(Unavailable):
    """The question cannot be embedded, and nothing but its vector was asked for."""

    code = "embedding_unavailable"


@dataclass(frozen=True)
class Meaning:
    """A question's vector. `model` is None when there is none: not wanted, no provider, or it failed (`failure`)."""

    model: Model | None = None
    failure: Unavailable | None = None
    milliseconds: float = 0.0


# The model that served the last search of a project: nearly always the one that serves the next.
_served: dict[UUID, str] = {}


@asynccontextmanager
async def asked(
    db: Database,
    scope: Scope,
    provider: Provider | None,
    settings: Settings,
    question: Question,
    text: str,
    tuning: Mapping[str, object],
) -> AsyncIterator[tuple[Conn, Meaning]]:
    """A transaction to search in, and the vector of `text` by the model whose vectors serve in it.

    The question is embedded before it begins, since no connection is held meanwhile, and once more should another model
    serve by then: while vectors of a new model are being built, those of the one before are searched. Raises
    `EmbeddingUnavailable` when the provider fails and the mode is `vector`.
    """
    configured = provider.name if provider else ""
    name = _served.get(scope.project_id, configured)
    while True:
        meant = Meaning() if question.mode == "text" else await _embedded(provider, settings, name, text)
        async with db.scoped(scope, tuning) as conn:
            serving = await embedding_queries.serving_model(conn, scope, configured)
            if serving == name or question.mode == "text":
                _refuse_without_vector(meant, question)
                yield conn, meant
                return
        name = _served[scope.project_id] = serving


def _refuse_without_vector(meant: Meaning, question: Question) -> None:
    if meant.failure and question.mode == "vector":
        raise EmbeddingUnavailable(
            f"The question could not be embedded: {meant.failure.message} Text search still works.",
            details=meant.failure.details,
        ) from meant.failure


async def _embedded(provider: Provider | None, settings: Settings, name: str, text: str) -> Meaning:
    if provider is None or provider.name != name:
        earlier = _earlier(settings, name)
        if earlier is not None:
            async with aclosing(earlier):
                return await _vector(earlier, text)
    return await _vector(provider, text) if provider else Meaning()


def _earlier(settings: Settings, name: str) -> Provider | None:
    # The present settings may not know how to reach it any more.
    with suppress(ProofdeskError):
        return client.open_provider(settings, name) if name else None
    return None


async def _vector(provider: Provider, text: str) -> Meaning:
    started = time.perf_counter()
    try:
        vector = await provider.embed_query(text)
    except Unavailable as error:
        return Meaning(failure=error, milliseconds=_since(started))
    known = math.hypot(*vector) >= 1e-6  # else nothing in it that the model knows
    return Meaning(Model(provider.name, len(vector), Halfvec(vector)) if known else None, milliseconds=_since(started))


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
