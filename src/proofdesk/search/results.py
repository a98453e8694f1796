"""Search the conversations of a project.

    keyword   terms of the query  → conversations by BM25
    semantic  vector of the query → conversations of the nearest chunks
    fusion    both rankings       → one ranking of conversations → the best chunk of each → hits

Conversations are ranked, since their messages are understood together. Chunks are shown.
"""

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.indexing import tokenizer
from proofdesk.indexing.embeddings.provider import EmbeddingProvider
from proofdesk.projects.scope import Scope
from proofdesk.search import diagnosis, ranking_queries
from proofdesk.search.diagnosis import SearchDiagnosis
from proofdesk.search.fusion import SearchRequest, rank_conversations
from proofdesk.search.hits import RankedHit, select_hits
from proofdesk.search.query import SearchFilters, SearchMode, SearchQuery
from proofdesk.search.ranking_queries import Candidate
from proofdesk.search.relevance import Relevance
from proofdesk.search.semantic import EmbeddedQuery
from proofdesk.settings import Settings

__all__ = ["Hit", "SearchDiagnosis", "SearchFilters", "SearchMode", "SearchQuery", "SearchResults", "search"]

MAX_TEXT_LENGTH = 500
VECTOR_ONLY_FACTOR = 4


@dataclass(frozen=True)
class Hit:
    """A chunk in the result. `distance` is the cosine distance, None without a vector; `ranks` start at 1.

    `score` is comparable within one search only. `relevance` tells whether the hit is evidence or only the nearest.
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
    relevance: Relevance
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
    """The hits of a search. `degraded` says what was not available, `diagnosis` why there are no strong hits.

    `hints` tell which parts of the query look like filters and were searched as text.
    """

    results: list[Hit]
    embedding_model: str | None
    search_config: dict[str, Any]
    took_ms: dict[str, float]
    degraded: str | None = None
    diagnosis: SearchDiagnosis | None = None
    hints: list[str] = field(default_factory=list[str])


async def search(
    db: Database, scope: Scope, provider: EmbeddingProvider | None, settings: Settings, query: SearchQuery
) -> SearchResults:
    """Search the conversations of the project. `provider` is None when none is configured.

    Without a vector of the query, hybrid search uses keywords only and says so in `degraded`. Raises
    `EmbeddingUnavailable` when the provider fails and the mode is `vector`.
    """
    started = time.perf_counter()
    text = query.parsed.text
    filters, has_terms = query.filter_params(scope), bool(tokenizer.words(text))
    embedded, hits, explanation, degraded = EmbeddedQuery(), list[RankedHit](), None, False
    if filters is not None and has_terms:
        request = SearchRequest(scope, query, filters, text, _ef_search(settings, query))
        ranked = await rank_conversations(db, request, provider, settings)
        embedded, hits = ranked.embedded, select_hits(request, ranked)
        degraded = query.mode == "hybrid" and embedded.vector is None
    if all(hit.relevance == "weak" for hit in hits):
        async with db.scoped(scope) as conn:
            explanation = await (
                diagnosis.diagnose_weak(conn, scope, query, provider is not None)
                if hits
                else diagnosis.diagnose(conn, scope, query, provider is not None, has_terms)
            )
    results = [_hit(scope, hit, settings.chatwoot_links) for hit in hits]
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
        hints=list(query.parsed.hints),
    )


def _config(settings: Settings, query: SearchQuery) -> dict[str, Any]:
    config: dict[str, Any] = {"mode": query.mode}
    if query.mode != "vector":
        config |= {"text": "bm25", "k1": 1.2, "b": 0.75}
    if query.mode != "text":
        config |= {"vector": "hnsw", "metric": "cosine", "ef_search": _ef_search(settings, query)}
    if query.mode == "hybrid":
        config |= {"fusion": "min-max", "text_weight": ranking_queries.KEYWORD_SHARE}
    return config


def _ef_search(settings: Settings, query: SearchQuery) -> int:
    # In mode `vector`, no keyword ranking finds what the vector index misses.
    return min(1000, settings.search_hnsw_ef_search * (VECTOR_ONLY_FACTOR if query.mode == "vector" else 1))


def _hit(scope: Scope, hit: RankedHit, base_url: str | None) -> Hit:
    ranked, snippet = hit.chunk, hit.snippet
    chunk, project, account = ranked.chunk, str(scope.project_id), ranked.chunk.account_id
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
        score=round(ranked.score, 6),
        relevance=hit.relevance,
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
    path = f"accounts/{chunk.account_id}/conversations/{chunk.conversation_id}?messageId={chunk.message_id}"
    return f"{base_url.rstrip('/')}/app/{path}"
