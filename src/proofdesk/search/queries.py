"""SQL that all searches share: filters, settings of the transaction, and statistics of the keyword index.

Filters are conditions on conversations or on chunks. Both apply while the search ranks, and not to its result, so that
a search with narrow filters still fills its list.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pgvector import HalfVector
from psycopg import sql

from proofdesk.database.rows import Conn, fetch_all, fetch_one
from proofdesk.indexing.vector_queries import SERVING_MODEL
from proofdesk.projects.scope import Scope

# A filter that is not set vanishes when the statement is planned, since parameters are constants then.
CONVERSATION_FILTER = sql.SQL("""
    (%(inboxes)s::bigint[] IS NULL OR c.inbox_id = ANY (%(inboxes)s))
    AND (%(conversation)s::bigint IS NULL OR c.conversation_id = %(conversation)s)
    AND (%(contact)s::bigint IS NULL OR c.contact_id = %(contact)s)
    AND (%(account)s::bigint IS NULL OR c.account_id = %(account)s)
    AND (%(labels)s::text[] IS NULL OR c.labels && %(labels)s)
    AND (%(status)s::text IS NULL OR c.status = %(status)s)
    AND (%(query_labels)s::text[] IS NULL OR c.labels && %(query_labels)s)
    AND (%(inbox_names)s::text[] IS NULL OR (
        SELECT i.name ILIKE ANY (%(inbox_names)s) OR i.inbox_id::text = ANY (%(inbox_names)s) FROM cw_inboxes i
        WHERE i.project_id = c.project_id AND i.account_id = c.account_id AND i.inbox_id = c.inbox_id LIMIT 1))
    AND (%(contact_names)s::text[] IS NULL OR (
        SELECT concat_ws(chr(10), p.name, p.email, p.phone_number, p.identifier) ILIKE ANY (%(contact_names)s)
        FROM cw_contacts p
        WHERE p.project_id = c.project_id AND p.account_id = c.account_id AND p.contact_id = c.contact_id LIMIT 1))
    AND (%(required_terms)s::text[] IS NULL OR (c.account_id, c.conversation_id) IN (
        SELECT t.account_id, t.conversation_id
        FROM unnest(%(required_words)s::int[], %(required_terms)s::text[]) w (word, term)
        CROSS JOIN LATERAL (
            SELECT account_id, conversation_id FROM search_postings
            WHERE project_id = %(project)s AND term = w.term OFFSET 0) t
        GROUP BY t.account_id, t.conversation_id HAVING count(DISTINCT w.word) = %(required_count)s))
    AND (%(excluded_terms)s::text[] IS NULL OR (c.account_id, c.conversation_id) NOT IN (
        SELECT t.account_id, t.conversation_id
        FROM unnest(%(excluded)s::int[], %(excluded_sizes)s::int[], %(excluded_words)s::int[],
            %(excluded_terms)s::text[]) w (number, size, word, term)
        CROSS JOIN LATERAL (
            SELECT account_id, conversation_id FROM search_postings
            WHERE project_id = %(project)s AND term = w.term OFFSET 0) t
        GROUP BY w.number, w.size, t.account_id, t.conversation_id HAVING count(DISTINCT w.word) = w.size))""")
CHUNK_FILTER = sql.SQL("""
    (%(from)s::timestamptz IS NULL OR k.created_at >= %(from)s)
    AND (%(to)s::timestamptz IS NULL OR k.created_at <= %(to)s)
    AND (%(sender)s::text IS NULL OR k.sender_type = %(sender)s)
    AND (%(phrases)s::text[] IS NULL OR k.text ~* ALL (%(phrases)s))
    AND (%(authors)s::text[] IS NULL OR (
        SELECT coalesce(nullif(k.quoted_from, ''), s.sender_name) ILIKE ANY (%(authors)s) FROM cw_messages s
        WHERE s.project_id = k.project_id AND s.account_id = k.account_id AND s.message_id = k.message_id LIMIT 1))""")
NO_FILTER = sql.SQL("true")
CHUNKS = sql.SQL("rag_chunks k")
CHUNKS_OF_CONVERSATIONS = sql.SQL("""
    (SELECT c.* FROM cw_conversations c WHERE c.project_id = %(project)s AND {conversation_filter} OFFSET 0) c
    CROSS JOIN LATERAL (
        SELECT * FROM rag_chunks WHERE project_id = %(project)s AND account_id = c.account_id
          AND conversation_id = c.conversation_id OFFSET 0) k""")

# The setting of a transaction in which `semantic_queries` stores the nearest chunks for `ranking_queries`.
NEAREST_SETTING = "proofdesk.near"


@dataclass(frozen=True)
class FilterParams:
    """The filters of a search as parameters of statements. None means that a filter is not set.

    `inbox_names`, `contact_names` and `authors` are patterns of ILIKE, `phrases` regular expressions. A conversation
    must have one of the terms of each of the `required` words, and for none of the `excluded` ones all its words.
    """

    inboxes: list[int] | None = None
    account: int | None = None
    conversation: int | None = None
    contact: int | None = None
    labels: list[str] | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    sender: str | None = None
    query_labels: list[str] | None = None
    inbox_names: list[str] | None = None
    contact_names: list[str] | None = None
    authors: list[str] | None = None
    phrases: list[str] | None = None
    required: Sequence[Sequence[str]] = ()
    excluded: Sequence[Sequence[Sequence[str]]] = ()

    @property
    def filters_conversations(self) -> bool:
        """Whether a filter on conversations is set."""
        of_form = (self.account, self.conversation, self.contact, self.inboxes, self.labels, self.status)
        of_query = (
            self.query_labels,
            self.inbox_names,
            self.contact_names,
            self.required or None,
            self.excluded or None,
        )
        return any(value is not None for value in (*of_form, *of_query))

    @property
    def filters_chunks(self) -> bool:
        """Whether a filter on chunks is set."""
        filters = (self.since, self.until, self.sender, self.authors, self.phrases)
        return any(value is not None for value in filters)

    @property
    def is_set(self) -> bool:
        """Whether any filter is set."""
        return self.filters_conversations or self.filters_chunks

    @property
    def params(self) -> dict[str, Any]:
        """The parameters of `CONVERSATION_FILTER` and `CHUNK_FILTER`."""
        return {
            "inboxes": self.inboxes,
            "account": self.account,
            "conversation": self.conversation,
            "contact": self.contact,
            "labels": self.labels,
            "status": self.status,
            "from": self.since,
            "to": self.until,
            "sender": self.sender,
            "query_labels": self.query_labels,
            "inbox_names": self.inbox_names,
            "contact_names": self.contact_names,
            "authors": self.authors,
            "phrases": self.phrases,
            **self._term_params,
        }

    @property
    def _term_params(self) -> dict[str, Any]:
        required = [(word, term) for word, terms in enumerate(self.required) for term in terms]
        excluded = [
            (number, len(words), word, term)
            for number, words in enumerate(self.excluded)
            for word, terms in enumerate(words)
            for term in terms
        ]
        return {
            "required_words": [word for word, _ in required],
            "required_terms": [term for _, term in required] or None,
            "required_count": len(self.required),
            "excluded": [number for number, *_ in excluded],
            "excluded_sizes": [size for _, size, *_ in excluded],
            "excluded_words": [word for *_, word, _ in excluded],
            "excluded_terms": [term for *_, term in excluded] or None,
        }


def filter_conditions(of_conversations: bool, of_chunks: bool) -> dict[str, sql.SQL]:
    """Return the conditions by name. Without filters a statement has none, and one plan serves all searches."""
    return {
        "conversation_filter": CONVERSATION_FILTER if of_conversations else NO_FILTER,
        "chunk_filter": CHUNK_FILTER if of_chunks else NO_FILTER,
    }


def chunk_source(of_conversations: bool) -> sql.Composable:
    """Return the chunks `k` of conversations that pass. Conversations come first, as their filters are narrower."""
    return CHUNKS_OF_CONVERSATIONS.format(conversation_filter=CONVERSATION_FILTER) if of_conversations else CHUNKS


@dataclass(frozen=True)
class QueryVector:
    """The vector of a query, and the model that computed it."""

    model: str
    dimension: int
    vector: HalfVector


def transaction_settings(ef_search: int, filtered: bool) -> dict[str, object]:
    """Return settings for a transaction that searches.

    An index scan continues until it has enough rows. Costs assume that the tables are in memory. Statements without
    filters are planned once per connection; with filters, planning for the values leaves out filters that are not set.
    """
    return {
        NEAREST_SETTING: "[]",
        "jit": "off",
        "max_parallel_workers_per_gather": 0,
        "plan_cache_mode": "force_custom_plan" if filtered else "force_generic_plan",
        "work_mem": "32MB",
        "random_page_cost": 1.1,
        "hnsw.ef_search": ef_search,
        "hnsw.iterative_scan": "strict_order",
        "hnsw.max_scan_tuples": 40000,
    }


@dataclass(frozen=True)
class IndexStatistics:
    """What the indexes of a project hold for a query: the serving model, and how many conversations hold each term.

    `total_length` is the length of all conversations in tenths of a word. `has_vector_index` says whether the vector
    index of the expected model can be used.
    """

    model: str
    has_vector_index: bool
    document_frequencies: dict[str, int]
    total_length: int


@dataclass(frozen=True)
class SimilarTerm:
    """A term that is similar to a query word. `similarity` is that of their trigrams (0 to 1)."""

    word: str
    term: str
    df: int
    similarity: float


@dataclass(frozen=True)
class WeightedTerm:
    """A term to look up, the number of the query word that it stands for, and its weight."""

    word: int
    term: str
    weight: float
    df: int


_INDEX_STATISTICS = sql.SQL("""
    SELECT {serving_model} AS model,
           coalesce((SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%(index)s)), false)
               AS has_vector_index,
           coalesce(json_object_agg(term, df), '{{}}') AS document_frequencies,
           coalesce(sum(total) FILTER (WHERE term = %(whole)s), 0)::bigint AS total_length
    FROM search_terms WHERE project_id = %(project)s AND term = ANY (%(terms)s::text[]) AND df > 0""").format(
    serving_model=SERVING_MODEL
)


async def load_index_statistics(
    conn: Conn, scope: Scope, terms: Sequence[str], whole: str, configured: str, index: str
) -> IndexStatistics:
    """Return statistics of these terms. The term `whole` counts all conversations.

    `index` is the name of the vector index of the model that is expected to serve.
    """
    return await fetch_one(
        conn,
        IndexStatistics,
        _INDEX_STATISTICS,
        project=scope.project_id,
        terms=list(terms),
        whole=whole,
        configured=configured,
        index=index,
    )


async def list_similar_terms(conn: Conn, words: Sequence[str], limit: int) -> list[SimilarTerm]:
    """Return the terms of the transaction's project that are most similar to each of the words."""
    return await fetch_all(
        conn, SimilarTerm, "SELECT * FROM similar_terms(%(words)s::text[], %(most)s)", words=list(words), most=limit
    )
