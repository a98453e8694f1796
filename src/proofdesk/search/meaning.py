"""The vector of a question, by the model whose vectors the project has."""

import contextlib
import math
import time
from dataclasses import dataclass

from proofdesk.db.halfvec import Halfvec
from proofdesk.db.pool import Database
from proofdesk.embeddings import client
from proofdesk.embeddings import queries as embedding_queries
from proofdesk.embeddings.provider import Provider
from proofdesk.errors import ProofdeskError, Unavailable
from proofdesk.projects.scope import Scope
from proofdesk.search.meaning_queries import Model
from proofdesk.search.question import Question
from proofdesk.settings import Settings


class EmbeddingUnavailable(Unavailable):
    """The question cannot be embedded, and nothing but its vector was asked for."""

    code = "embedding_unavailable"


@dataclass(frozen=True)
class Meaning:
    """A question's vector. `model` is None when there is none: not wanted, no provider, or it failed (`failed`)."""

    model: Model | None = None
    failed: bool = False
    milliseconds: float = 0.0


async def of(
    db: Database, scope: Scope, provider: Provider | None, settings: Settings, question: Question, text: str
) -> Meaning:
    """Embed the question; no connection is held meanwhile.

    While vectors of another model are being built, those of the one before are searched, and it embeds the question.
    Raises `EmbeddingUnavailable` when the provider fails and the mode is `vector`.
    """
    if question.mode == "text":
        return Meaning()
    async with db.scoped(scope) as conn:
        serving = await embedding_queries.serving_model(conn, scope, provider.name if provider else "")
    started = time.perf_counter()
    try:
        model = await _embedded(provider, settings, serving, text)
    except Unavailable as error:
        if question.mode == "vector":
            raise EmbeddingUnavailable(
                f"The question could not be embedded: {error.message} Text search still works.", details=error.details
            ) from error
        return Meaning(failed=True, milliseconds=_since(started))
    return Meaning(model, failed=model is None, milliseconds=_since(started))


async def _embedded(provider: Provider | None, settings: Settings, serving: str, text: str) -> Model | None:
    if provider is None or provider.name != serving:
        earlier = _earlier(settings, serving)
        if earlier is not None:
            async with contextlib.aclosing(earlier):
                return await _model(earlier, text)
    return await _model(provider, text) if provider else None


def _earlier(settings: Settings, serving: str) -> Provider | None:
    # The present settings may not know how to reach it any more.
    with contextlib.suppress(ProofdeskError):
        return client.open_provider(settings, serving) if serving else None
    return None


async def _model(provider: Provider, text: str) -> Model | None:
    vector = await provider.embed_query(text)
    if math.hypot(*vector) < 1e-6:
        return None  # nothing in it that the model knows
    return Model(provider.name, len(vector), Halfvec(vector))


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
