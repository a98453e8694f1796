"""SQL of searching. Each statement names its project, and row-level security would refuse others all the same.

Filters come in two kinds: of conversations and of chunks. Both are conditions of the search itself and not of its
result, so that a narrow search still fills its list.
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

# Within each, a filter that is not set vanishes while the statement is planned: parameters are constants then.
CONVERSATION_FILTER = sql.SQL("""
    (%(inboxes)s::bigint[] IS NULL OR c.inbox_id = ANY (%(inboxes)s))
    AND (%(conversation)s::bigint IS NULL OR c.conversation_id = %(conversation)s)
    AND (%(contact)s::bigint IS NULL OR c.contact_id = %(contact)s)
    AND (%(account)s::bigint IS NULL OR c.account_id = %(account)s)
    AND (%(labels)s::text[] IS NULL OR c.labels && %(labels)s)
    AND (%(status)s::text IS NULL OR c.status = %(status)s)""")
CHUNK_FILTER = sql.SQL("""
    (%(from)s::timestamptz IS NULL OR k.created_at >= %(from)s)
    AND (%(to)s::timestamptz IS NULL OR k.created_at <= %(to)s)
    AND (%(sender)s::text IS NULL OR k.sender_type = %(sender)s)""")
NO_FILTER = sql.SQL("true")
CHUNKS = sql.SQL("rag_chunks k")
CHUNKS_OF_CONVERSATIONS = sql.SQL("""
    (SELECT c.* FROM cw_conversations c WHERE c.project_id = %(project)s AND {conversation_filter} OFFSET 0) c
    CROSS JOIN LATERAL (
        SELECT * FROM rag_chunks WHERE project_id = %(project)s AND account_id = c.account_id
          AND conversation_id = c.conversation_id OFFSET 0) k""")

NEAREST_SETTING = (
    "proofdesk.near"  # the setting of a transaction that keeps what `meaning_queries` finds for `ranking_queries`
)


@dataclass(frozen=True)
class FilterParams:
    """Filters as parameters. None: not narrowed by that."""

    inboxes: list[int] | None = None
    account: int | None = None
    conversation: int | None = None
    contact: int | None = None
    labels: list[str] | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    sender: str | None = None

    @property
    def filters_conversations(self) -> bool:
        """Whether conversations are narrowed down."""
        one = (self.account, self.conversation, self.contact, self.inboxes, self.labels, self.status)
        return any(v is not None for v in one)

    @property
    def filters_chunks(self) -> bool:
        """Whether chunks are narrowed down within their conversations."""
        return any(v is not None for v in (self.since, self.until, self.sender))

    @property
    def is_set(self) -> bool:
        """Whether there is any filter."""
        return self.filters_conversations or self.filters_chunks

    @property
    def params(self) -> dict[str, Any]:
        """What the conditions above are filled with."""
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
        }


def filter_conditions(of_conversations: bool, of_chunks: bool) -> dict[str, sql.SQL]:
    """The conditions above by name. Without filters a statement names none, and one plan of it serves all."""
    return {
        "conversation_filter": CONVERSATION_FILTER if of_conversations else NO_FILTER,
        "chunk_filter": CHUNK_FILTER if of_chunks else NO_FILTER,
    }


def chunk_source(of_conversations: bool) -> sql.Composable:
    """The chunks `k` of the project, of conversations that pass: conversations first, as their filters are narrower."""
    return CHUNKS_OF_CONVERSATIONS.format(conversation_filter=CONVERSATION_FILTER) if of_conversations else CHUNKS


@dataclass(frozen=True)
class QueryVector:
    """The model whose vectors are searched, and a question's vector by it."""

    model: str
    dimension: int
    vector: HalfVector


def transaction_settings(ef_search: int, filtered: bool) -> dict[str, object]:
    """Settings of a transaction to search in: an index scan goes on until there are enough, and what is searched is in
    memory.

    Statements without filters are planned once for each connection. With filters, planning for the given values is
    what leaves out those that are not set.
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
    """What a project knows of a question: the model that serves, and of each term it has the conversations that hold
    it. `length` is that of all conversations together, in tenths of a word. `indexed` says whether the index over
    vectors that was named can be used.
    """

    model: str
    has_vector_index: bool
    document_frequencies: dict[str, int]
    total_length: int


@dataclass(frozen=True)
class SimilarTerm:
    """A term that looks like a word of the question. `similarity` is that of their trigrams, 0 to 1."""

    word: str
    term: str
    df: int
    similarity: float


@dataclass(frozen=True)
class WeightedTerm:
    """A term to look for: what word of the question it stands for, and what an occurrence is worth."""

    word: int
    term: str
    weight: float
    df: int


_INDEX_STATISTICS = sql.SQL("""
    SELECT {serving_model} AS model,
           coalesce((SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%(index)s)), false) AS has_vector_index,
           coalesce(json_object_agg(term, df), '{{}}') AS document_frequencies,
           coalesce(sum(total) FILTER (WHERE term = %(whole)s), 0)::bigint AS total_length
    FROM search_terms WHERE project_id = %(project)s AND term = ANY (%(terms)s::text[]) AND df > 0""").format(
    serving_model=SERVING_MODEL
)


async def load_index_statistics(
    conn: Conn, scope: Scope, terms: Sequence[str], whole: str, configured: str, index: str
) -> IndexStatistics:
    """What the project knows of these terms, one of which, `whole`, stands for all there is.

    `index` is the name of the index over the vectors of the model that is expected to serve.
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
    """The terms of the transaction's project that look most like each of the words."""
    return await fetch_all(
        conn, SimilarTerm, "SELECT * FROM similar_terms(%(words)s::text[], %(most)s)", words=list(words), most=limit
    )
