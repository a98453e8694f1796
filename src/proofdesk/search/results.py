"""Searching: a question in, the chunks that answer it out.

    words    terms of the question → conversations by BM25
    meaning  vector of the question → conversations of the nearest chunks
    both     fused into one ranking of conversations → of each the chunk that answers best → hits

A conversation is what is ranked, since what is said in it is understood together; a chunk is what is shown.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.indexing import tokenizer
from proofdesk.indexing.embeddings.provider import Provider
from proofdesk.projects.scope import Scope
from proofdesk.search import diagnosis, ranking_queries
from proofdesk.search.diagnosis import SearchDiagnosis
from proofdesk.search.fusion import SearchRequest, rank_conversations
from proofdesk.search.hits import RankedHit, select_hits
from proofdesk.search.query import SearchFilters, SearchMode, SearchQuery
from proofdesk.search.ranking_queries import Candidate
from proofdesk.search.semantic import EmbeddedQuery
from proofdesk.settings import Settings

__all__ = ["Hit", "SearchDiagnosis", "SearchFilters", "SearchMode", "SearchQuery", "SearchResults", "search"]

MAX_TEXT_LENGTH = 500
BROADER_ALONE = 4


@dataclass(frozen=True)
class Hit:
    """A chunk that was found. `distance` is the cosine distance, None without a vector; `ranks` are from 1.

    `score` is comparable within one answer only.
    """

    id: str
    conversation_global_id: str
    message_global_id: str
    chunk_index: int
    text: str
    snippet: str
    created_at: datetime
    distance: float | None
    score: float
    ranks: dict[str, int | None]
    sender_type: str
    sender_name: str | None
    contact: dict[str, Any]
    inbox_id: int
    inbox_name: str | None
    conversation_id: int
    conversation_status: str
    context: str
    source_url: str | None
    evidence_ref: dict[str, Any]


@dataclass(frozen=True)
class SearchResults:
    """What was found. `degraded` says what was missing, `diagnosis` why nothing was found; `took_ms` milliseconds."""

    results: list[Hit]
    embedding_model: str | None
    search_config: dict[str, Any]
    took_ms: dict[str, float]
    degraded: str | None = None
    diagnosis: SearchDiagnosis | None = None


async def search(
    db: Database, scope: Scope, provider: Provider | None, settings: Settings, query: SearchQuery
) -> SearchResults:
    """Search the project's conversations; `provider` is None when none is configured.

    Without a vector of the question, hybrid search answers from words alone and says so in `degraded`. Raises
    `EmbeddingUnavailable` when the provider fails and only the vector was asked for.
    """
    started = time.perf_counter()
    text = tokenizer.clean(query.text).strip()
    filters, has_terms = query.filters.as_params(scope), bool(tokenizer.words(text))
    embedded, hits, explanation, degraded = EmbeddedQuery(), list[RankedHit](), None, False
    if filters is not None and has_terms:
        request = SearchRequest(scope, query, filters, text, _breadth(settings, query))
        ranked = await rank_conversations(db, request, provider, settings)
        embedded, hits = ranked.embedded, select_hits(request, ranked)
        degraded = query.mode == "hybrid" and embedded.vector is None
    if not hits:
        async with db.scoped(scope) as conn:
            explanation = await diagnosis.diagnose(conn, scope, query, provider is not None, has_terms)
    results = [_hit(scope, passage, settings.chatwoot_links) for passage in hits]
    total = (time.perf_counter() - started) * 1000
    return SearchResults(
        results=results,
        embedding_model=embedded.vector.model if embedded.vector else None,
        search_config=_config(settings, query),
        took_ms={
            "embed": round(embedded.milliseconds, 1),
            "query": round(total - embedded.milliseconds, 1),
            "total": round(total, 1),
        },
        degraded="embedding_unavailable" if degraded else None,
        diagnosis=explanation,
    )


def _config(settings: Settings, query: SearchQuery) -> dict[str, Any]:
    config: dict[str, Any] = {"mode": query.mode}
    if query.mode != "vector":
        config |= {"text": "bm25", "k1": 1.2, "b": 0.75}
    if query.mode != "text":
        config |= {"vector": "hnsw", "metric": "cosine", "ef_search": _breadth(settings, query)}
    if query.mode == "hybrid":
        config |= {"fusion": "min-max", "text_weight": ranking_queries.KEYWORD_SHARE}
    return config


def _breadth(settings: Settings, query: SearchQuery) -> int:
    # Alone, meaning has nothing beside it that would bring up what the index missed.
    return min(1000, settings.search_hnsw_ef_search * (BROADER_ALONE if query.mode == "vector" else 1))


def _hit(scope: Scope, hit: RankedHit, base_url: str | None) -> Hit:
    place, snippet = hit.chunk, hit.snippet
    chunk, project, account = place.chunk, str(scope.project_id), place.chunk.account_id
    chunk_id = ids.chunk(project, account, chunk.message_id, chunk.chunk_index)
    return Hit(
        id=chunk_id,
        conversation_global_id=ids.conversation(project, account, chunk.conversation_id),
        message_global_id=ids.message(project, account, chunk.message_id),
        chunk_index=chunk.chunk_index,
        text=chunk.text[:MAX_TEXT_LENGTH],
        snippet=snippet.marked,
        created_at=chunk.created_at,
        distance=None if chunk.distance is None else round(chunk.distance, 6),
        score=round(place.score, 6),
        ranks={"vector": chunk.by_meaning, "text": chunk.by_words},
        sender_type=chunk.sender_type,
        sender_name=chunk.sender_name,
        contact={"id": ids.contact(project, account, chunk.contact_id), "name": chunk.contact_name},
        inbox_id=chunk.inbox_id,
        inbox_name=chunk.inbox_name,
        conversation_id=chunk.conversation_id,
        conversation_status=chunk.status,
        context=chunk.context,
        source_url=_source_url(base_url, chunk),
        evidence_ref={"source": "rag_chunks", "ref": chunk_id, "snippet": snippet.plain},
    )


def _source_url(base_url: str | None, chunk: Candidate) -> str | None:
    if not base_url:
        return None
    place = f"accounts/{chunk.account_id}/conversations/{chunk.conversation_id}?messageId={chunk.message_id}"
    return f"{base_url.rstrip('/')}/app/{place}"
