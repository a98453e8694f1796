"""Ranking conversations: by their words, by their meaning, and by both together."""

from collections.abc import Sequence
from dataclasses import dataclass

from proofdesk.database import vector_indexes
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.indexing import terms as indexing_terms
from proofdesk.indexing.embeddings.provider import Provider
from proofdesk.projects.scope import Scope
from proofdesk.search import keyword, queries, ranking_queries, semantic, semantic_queries
from proofdesk.search.keyword import QueryTerms
from proofdesk.search.queries import FilterParams, QueryVector, WeightedTerm
from proofdesk.search.query import SearchQuery
from proofdesk.search.ranking_queries import Candidate, RankingParams
from proofdesk.search.semantic import EmbeddedQuery
from proofdesk.settings import Settings

KEYWORD_CANDIDATES = 10  # conversations taken from the ranking by words, if no more are wanted
NEAREST_CHUNKS = 50  # chunks taken from the ranking by meaning
NEAREST_CHUNKS_ALONE = 600  # the same when nothing but meaning ranks
MAX_POSTINGS = 1000  # postings one search reads
MAX_POSTINGS_ALONE = 2000  # the same when nothing but words ranks
COMPLETED_CANDIDATES = 40  # conversations, the best so far, for which alone words are looked up beyond that
COMPLETED_CANDIDATES_ALONE = 80  # the same when nothing but words ranks
CANDIDATES_PER_HIT = (
    4  # of both, chunks and conversations looked at, at least so many for each conversation that is wanted
)
MAX_COMPARED_CHUNKS = (
    8000  # chunks left by filters whose vectors are rather compared one by one than looked up in the index
)
FILTER_FACTOR = 4  # so many times more conversations are looked at when filters apply within them


@dataclass(frozen=True)
class SearchRequest:
    """What is looked for. `text` is that of the question, cleaned; `ef_search` how broadly HNSW looks for it."""

    scope: Scope
    query: SearchQuery
    filters: FilterParams
    text: str
    ef_search: int

    @property
    def conversation_limit(self) -> int:
        """How many conversations to bring up: filters may leave nothing to show of some."""
        return self.query.top_k * (FILTER_FACTOR if self.filters.filters_chunks else 1)


@dataclass(frozen=True)
class RankedConversations:
    """The chunks of the best conversations that pass the filters, those of the best conversation first."""

    chunks: list[Candidate]
    embedded: EmbeddedQuery
    terms: QueryTerms


async def rank_conversations(
    db: Database, request: SearchRequest, provider: Provider | None, settings: Settings
) -> RankedConversations:
    """Some more than asked for where filters apply within them.

    The question is embedded before the transaction begins, since no connection is held meanwhile, and once more should
    another model serve by then: while vectors of a new model are being built, those of the one before are searched.
    Raises `EmbeddingUnavailable` when the provider fails and the mode is `vector`.
    """
    scope, mode = request.scope, request.query.mode
    parsed = keyword.parse_query("" if mode == "vector" else request.text)
    configured = provider.name if provider else ""
    model = semantic.last_served_model(scope, configured)
    while True:
        embedded = (
            EmbeddedQuery() if mode == "text" else await semantic.embed_query(request.text, model, provider, settings)
        )
        async with db.pipelined(scope, queries.transaction_settings(request.ef_search, request.filters.is_set)) as conn:
            index_name = vector_indexes.name_of(scope.project_id, model)
            statistics = await queries.load_index_statistics(
                conn, scope, parsed.terms, indexing_terms.WHOLE, configured, index_name
            )
            if statistics.model == model or mode == "text":
                semantic.require_vector(embedded, mode)
                if embedded.vector:
                    await _store_nearest(conn, request, embedded.vector, statistics.has_vector_index)
                terms = await keyword.weigh_terms(conn, parsed, statistics)
                ranking = _ranking(request, terms, embedded.vector)
                chunks = await ranking_queries.select_best_chunks(conn, scope, ranking, request.filters)
                break
        model = statistics.model
        semantic.remember_served_model(scope, model)
    return RankedConversations(await chunks.fetchall(), embedded, terms)


async def _store_nearest(conn: Conn, request: SearchRequest, vector: QueryVector, indexed: bool) -> None:
    scope, filters = request.scope, request.filters
    limit = (
        NEAREST_CHUNKS_ALONE
        if request.query.mode == "vector"
        else max(NEAREST_CHUNKS, CANDIDATES_PER_HIT * request.conversation_limit)
    )
    store = semantic_queries.store_nearest_by_index if indexed else semantic_queries.store_nearest
    if (
        filters.is_set
        and await semantic_queries.count_matching_chunks(conn, scope, filters, MAX_COMPARED_CHUNKS + 1)
        <= MAX_COMPARED_CHUNKS
    ):
        store = semantic_queries.store_nearest_exact
    await store(conn, scope, vector, filters, limit)


def _ranking(request: SearchRequest, query_terms: QueryTerms, vector: QueryVector | None) -> RankingParams:
    rare, common = _by_rarity(query_terms.terms, MAX_POSTINGS if vector else MAX_POSTINGS_ALONE)
    keyword_candidates = max(KEYWORD_CANDIDATES, request.conversation_limit)
    return RankingParams(
        terms=rare,
        common=common,
        average_length=query_terms.average_length,
        completed_candidates=max(
            COMPLETED_CANDIDATES if vector else COMPLETED_CANDIDATES_ALONE,
            CANDIDATES_PER_HIT * request.conversation_limit,
        )
        if common
        else keyword_candidates,
        keyword_candidates=keyword_candidates,
        vector=vector,
        limit=request.conversation_limit,
    )


def _by_rarity(terms: Sequence[WeightedTerm], max_postings: int) -> tuple[list[WeightedTerm], list[WeightedTerm]]:
    """Terms to look up wherever they are, `most` postings altogether, and those of which only some are looked at."""
    postings: dict[int, int] = {}
    for term in terms:
        postings[term.word] = postings.get(term.word, 0) + term.df
    looked_up: set[int] = set()
    read = 0
    for word in sorted(postings, key=lambda word: postings[word]):
        if read < COMPLETED_CANDIDATES_ALONE or read + postings[word] <= max_postings:
            looked_up.add(word)
            read += postings[word]
    return [t for t in terms if t.word in looked_up], [t for t in terms if t.word not in looked_up]
