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
from proofdesk.search.keyword import Sought
from proofdesk.search.queries import QueryVector, FilterParams, WeightedTerm
from proofdesk.search.query import SearchQuery
from proofdesk.search.ranking_queries import Candidate, Ranking
from proofdesk.search.semantic import Meaning
from proofdesk.settings import Settings

BY_WORDS = 10  # conversations taken from the ranking by words, if no more are wanted
NEAREST = 50  # chunks taken from the ranking by meaning
NEAREST_ALONE = 600  # the same when nothing but meaning ranks
LOOKED_UP = 1000  # postings one search reads
LOOKED_UP_ALONE = 2000  # the same when nothing but words ranks
COMPLETED = 40  # conversations, the best so far, for which alone words are looked up beyond that
COMPLETED_ALONE = 80  # the same when nothing but words ranks
EACH = 4  # of both, chunks and conversations looked at, at least so many for each conversation that is wanted
COMPARED = 8000  # chunks left by filters whose vectors are rather compared one by one than looked up in the index
WITHIN = 4  # so many times more conversations are looked at when filters apply within them


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
        return self.query.top_k * (WITHIN if self.filters.filters_chunks else 1)


@dataclass(frozen=True)
class RankedConversations:
    """The chunks of the best conversations that pass the filters, those of the best conversation first."""

    chunks: list[Candidate]
    embedded: Meaning
    terms: Sought


async def rank_conversations(db: Database, request: SearchRequest, provider: Provider | None, settings: Settings) -> RankedConversations:
    """Some more than asked for where filters apply within them.

    The question is embedded before the transaction begins, since no connection is held meanwhile, and once more should
    another model serve by then: while vectors of a new model are being built, those of the one before are searched.
    Raises `EmbeddingUnavailable` when the provider fails and the mode is `vector`.
    """
    scope, mode = request.scope, request.query.mode
    parsed = keyword.of("" if mode == "vector" else request.text)
    configured = provider.name if provider else ""
    model = semantic.served_last(scope, configured)
    while True:
        embedded = Meaning() if mode == "text" else await semantic.of(request.text, model, provider, settings)
        async with db.pipelined(scope, queries.transaction_settings(request.ef_search, request.filters.is_set)) as conn:
            index_name = vector_indexes.name_of(scope.project_id, model)
            statistics = await queries.load_index_statistics(conn, scope, parsed.terms, indexing_terms.WHOLE, configured, index_name)
            if statistics.model == model or mode == "text":
                semantic.refuse_without_vector(embedded, mode)
                if embedded.model:
                    await _keep_nearest(conn, request, embedded.model, statistics.has_vector_index)
                terms = await keyword.sought(conn, parsed, statistics)
                ranking = _ranking(request, terms, embedded.model)
                chunks = await ranking_queries.best_chunks(conn, scope, ranking, request.filters)
                break
        model = statistics.model
        semantic.remember(scope, model)
    return RankedConversations(await chunks.fetchall(), embedded, terms)


async def _keep_nearest(conn: Conn, request: SearchRequest, model: QueryVector, indexed: bool) -> None:
    scope, narrowing = request.scope, request.filters
    most = NEAREST_ALONE if request.query.mode == "vector" else max(NEAREST, EACH * request.conversation_limit)
    keep = semantic_queries.keep_nearest_by_index if indexed else semantic_queries.keep_nearest
    if narrowing.is_set and await semantic_queries.passing(conn, scope, narrowing, COMPARED + 1) <= COMPARED:
        keep = semantic_queries.keep_nearest_of_all
    await keep(conn, scope, model, narrowing, most)


def _ranking(search: SearchRequest, seeking: Sought, model: QueryVector | None) -> Ranking:
    rare, common = _by_rarity(seeking.terms, LOOKED_UP if model else LOOKED_UP_ALONE)
    most = max(BY_WORDS, search.conversation_limit)
    return Ranking(
        terms=rare,
        common=common,
        average=seeking.average,
        completed=max(COMPLETED if model else COMPLETED_ALONE, EACH * search.conversation_limit) if common else most,
        by_words=most,
        model=model,
        wanted=search.conversation_limit,
    )


def _by_rarity(terms: Sequence[WeightedTerm], most: int) -> tuple[list[WeightedTerm], list[WeightedTerm]]:
    """Terms to look up wherever they are, `most` postings altogether, and those of which only some are looked at."""
    held: dict[int, int] = {}
    for term in terms:
        held[term.word] = held.get(term.word, 0) + term.df
    looked_up: set[int] = set()
    read = 0
    for word in sorted(held, key=lambda word: held[word]):
        if read < COMPLETED_ALONE or read + held[word] <= most:
            looked_up.add(word)
            read += held[word]
    return [t for t in terms if t.word in looked_up], [t for t in terms if t.word not in looked_up]
