"""Rank conversations by keywords, by embeddings, and by both together."""

from collections.abc import Sequence
from dataclasses import dataclass

from proofdesk.database import vector_indexes
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.indexing import terms as indexing_terms
from proofdesk.indexing.embeddings.provider import EmbeddingProvider
from proofdesk.projects.scope import Scope
from proofdesk.search import keyword, queries, ranking_queries, semantic, semantic_queries
from proofdesk.search.keyword import QueryTerms
from proofdesk.search.queries import FilterParams, QueryVector, WeightedTerm
from proofdesk.search.query import SearchQuery
from proofdesk.search.ranking_queries import Candidate, RankingParams
from proofdesk.search.semantic import EmbeddedQuery
from proofdesk.settings import Settings

# Constants that end in _ALONE apply when the mode is `vector` or `text`, so that one ranking has to find everything.
KEYWORD_CANDIDATES = 10  # conversations taken from the keyword ranking, or more for a longer list of hits
NEAREST_CHUNKS = 50  # chunks taken from the vector ranking
NEAREST_CHUNKS_ALONE = 600
MAX_POSTINGS = 1000  # postings that a search reads
MAX_POSTINGS_ALONE = 2000
COMPLETED_CANDIDATES = 40  # best conversations by rare terms, for which common terms are looked up as well
COMPLETED_CANDIDATES_ALONE = 80
CANDIDATES_PER_HIT = 4  # at least as many chunks and conversations are compared for each conversation in the list
MAX_COMPARED_CHUNKS = 8000  # up to so many chunks that pass the filters are compared without the vector index
KNOWN_EXPONENT = 4  # how fast keywords lose weight when the project does not hold the words of the query
FILTER_FACTOR = 4  # so many times more conversations are ranked when filters apply to their chunks


@dataclass(frozen=True)
class SearchRequest:
    """A query in a project. `text` is the cleaned text of the query; `ef_search` is that of HNSW."""

    scope: Scope
    query: SearchQuery
    filters: FilterParams
    text: str
    ef_search: int

    @property
    def conversation_limit(self) -> int:
        """How many conversations to rank. More with chunk filters, which may leave no chunk of some conversations."""
        return self.query.top_k * (FILTER_FACTOR if self.filters.filters_chunks else 1)


@dataclass(frozen=True)
class RankedConversations:
    """The chunks of the best conversations that pass the filters, those of the best conversation first."""

    chunks: list[Candidate]
    embedded: EmbeddedQuery
    terms: QueryTerms


async def rank_conversations(
    db: Database, request: SearchRequest, provider: EmbeddingProvider | None, settings: Settings
) -> RankedConversations:
    """Return the chunks of the best conversations, at most `request.conversation_limit` of them.

    The query is embedded before the transaction begins, so that no connection is held during the call. When another
    model serves by then, the query is embedded again: until all vectors of a new model exist, those of the previous
    model are searched. Raises `EmbeddingUnavailable` when the provider fails and the mode is `vector`.
    """
    scope, mode = request.scope, request.query.mode
    parsed = keyword.parse_query("" if mode == "vector" else request.text)
    configured = provider.name if provider else ""
    model = semantic.last_served_model(scope, configured)
    while True:
        embedded = EmbeddedQuery()
        if mode != "text":
            embedded = await semantic.embed_query(request.text, model, provider, settings)
        async with db.pipelined(scope, queries.transaction_settings(request.ef_search, request.filters.is_set)) as conn:
            index = vector_indexes.index_name(scope.project_id, model)
            statistics = await queries.load_index_statistics(
                conn, scope, parsed.terms, indexing_terms.WHOLE, configured, index
            )
            if statistics.model == model or mode == "text":
                semantic.require_vector(embedded, mode)
                if embedded.vector:
                    await _store_nearest(conn, request, embedded.vector, statistics.has_vector_index)
                terms = await keyword.weigh_terms(conn, parsed, statistics)
                ranking = _ranking_params(request, terms, embedded.vector)
                chunks = await ranking_queries.select_best_chunks(conn, scope, ranking, request.filters)
                break
        model = statistics.model
        semantic.remember_served_model(scope, model)
    return RankedConversations(await chunks.fetchall(), embedded, terms)


async def _store_nearest(conn: Conn, request: SearchRequest, vector: QueryVector, has_vector_index: bool) -> None:
    scope, filters = request.scope, request.filters
    limit = max(NEAREST_CHUNKS, CANDIDATES_PER_HIT * request.conversation_limit)
    if request.query.mode == "vector":
        limit = NEAREST_CHUNKS_ALONE
    store = semantic_queries.store_nearest_by_index if has_vector_index else semantic_queries.store_nearest
    if filters.is_set:
        count = await semantic_queries.count_matching_chunks(conn, scope, filters, MAX_COMPARED_CHUNKS + 1)
        if count <= MAX_COMPARED_CHUNKS:
            store = semantic_queries.store_nearest_exact
    await store(conn, scope, vector, filters, limit)


def _ranking_params(request: SearchRequest, query_terms: QueryTerms, vector: QueryVector | None) -> RankingParams:
    rare, common = _split_by_rarity(query_terms.terms, MAX_POSTINGS if vector else MAX_POSTINGS_ALONE)
    keyword_candidates = max(KEYWORD_CANDIDATES, request.conversation_limit)
    completed_candidates = max(
        COMPLETED_CANDIDATES if vector else COMPLETED_CANDIDATES_ALONE,
        CANDIDATES_PER_HIT * request.conversation_limit,
    )
    return RankingParams(
        terms=rare,
        common=common,
        average_length=query_terms.average_length,
        completed_candidates=completed_candidates if common else keyword_candidates,
        keyword_candidates=keyword_candidates,
        vector=vector,
        limit=request.conversation_limit,
        keyword_share=ranking_queries.KEYWORD_SHARE * query_terms.known_share**KNOWN_EXPONENT,
    )


def _split_by_rarity(terms: Sequence[WeightedTerm], max_postings: int) -> tuple[list[WeightedTerm], list[WeightedTerm]]:
    """Return the rare terms, which have at most `max_postings` postings together, and the common terms."""
    postings: dict[int, int] = {}
    for term in terms:
        postings[term.word] = postings.get(term.word, 0) + term.df
    rare: set[int] = set()
    count = 0
    for word in sorted(postings, key=lambda word: postings[word]):
        if count < COMPLETED_CANDIDATES_ALONE or count + postings[word] <= max_postings:
            rare.add(word)
            count += postings[word]
    return [t for t in terms if t.word in rare], [t for t in terms if t.word not in rare]
