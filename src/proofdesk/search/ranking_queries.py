"""SQL that ranks conversations by keywords and embeddings, and returns their chunks.

It is one statement, since a second round trip to the database would take longer than it saves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import NamedTuple

from psycopg import AsyncCursor, sql

from proofdesk.database.rows import Conn, flatten, open_cursor
from proofdesk.projects.scope import Scope
from proofdesk.search import chunk_queries
from proofdesk.search.queries import (
    NEAREST_SETTING,
    NO_FILTER,
    FilterParams,
    QueryVector,
    WeightedTerm,
    filter_conditions,
)

# The largest share of the keyword score; the rest is that of the vector. Chosen on the labelled queries of `make eval`.
KEYWORD_SHARE = 0.7


class ConversationKey(NamedTuple):
    """The key of a conversation."""

    account_id: int
    conversation_id: int


@dataclass(frozen=True)
class RankingParams:
    """What conversations are ranked by: without terms by the vector only, without a vector by keywords only.

    All postings of `terms` are read. `common` terms are looked up only in the `completed_candidates` best conversations
    by `terms`, and in those of the nearest chunks. The `keyword_candidates` best by keywords are compared with those,
    and the `limit` best are returned. `average_length` is the mean length of a conversation in tenths of a word.
    `keyword_share` is the share of the keyword score.
    """

    terms: Sequence[WeightedTerm]
    common: Sequence[WeightedTerm]
    average_length: float
    completed_candidates: int
    keyword_candidates: int
    vector: QueryVector | None
    limit: int
    keyword_share: float = KEYWORD_SHARE


@dataclass(frozen=True)
class Candidate:
    """A chunk of a ranked conversation, with its cosine distance if it has a vector.

    `score` is that of the conversation (0 to 1, comparable within one search), `by_words` and `by_meaning` its ranks
    by keywords and by vector, from 1.
    """

    account_id: int
    conversation_id: int
    score: float
    by_words: int | None
    by_meaning: int | None
    message_id: int
    chunk_index: int
    text: str
    context: str
    created_at: datetime
    distance: float | None
    sender_type: str
    sender_name: str | None
    contact_id: int | None
    contact_name: str | None
    inbox_id: int
    inbox_name: str | None
    status: str

    @property
    def key(self) -> ConversationKey:
        """The key of the conversation."""
        return ConversationKey(self.account_id, self.conversation_id)


async def select_best_chunks(
    conn: Conn, scope: Scope, ranking: RankingParams, filters: FilterParams
) -> AsyncCursor[Candidate]:
    """Return the chunks of the best conversations that pass the filters, the best conversation first.

    Keywords are scored by BM25 after Robertson and Zaragoza (2009) with k1 = 1.2 and b = 0.75. If a query word has
    several terms, its number is negative and the best term counts. The two scores are fused as a weighted sum of
    min-max normalised scores (Bruch, Gai and Ingber 2023, "An Analysis of Fusion Functions for Hybrid Retrieval").
    A conversation without query words has keyword score 0; one without vectors counts as the farthest.

    Of a long conversation a bounded number of chunks is read: the latest, the nearest, and those that hold the best
    query words. The cost does not grow with the length of a conversation.

    The steps: `rare_scores` by rare terms, `best_by_rare`, `scored` with common terms and with the nearest, `compared`
    also by distance, `fused` into one order. While a conversation waits to be chunked again, chunks that hold a deleted
    message are left out.
    """
    terms, vector = (*ranking.terms, *ranking.common), ranking.vector
    return await open_cursor(
        conn,
        Candidate,
        _best_chunks(filters.filters_conversations, filters.filters_chunks, any(t.word < 0 for t in ranking.common)),
        project=scope.project_id,
        words=[t.word for t in terms],
        terms=[t.term for t in terms],
        weights=[t.weight * 2.2 for t in terms],  # times k1 + 1
        commons=[*[False for _ in ranking.terms], *[True for _ in ranking.common]],
        informative=chunk_queries.informative_terms(terms),
        whole_conversation=chunk_queries.WHOLE_CONVERSATION,
        chunks_per_reason=chunk_queries.CHUNKS_PER_REASON,
        chunks_per_message=chunk_queries.CHUNKS_PER_MESSAGE,
        slope=9 / ranking.average_length,  # k1 * b in tenths, as `length` and `tf` are
        completed_candidates=ranking.completed_candidates,
        keyword_candidates=ranking.keyword_candidates,
        model=vector.model if vector else None,
        vector=vector.vector if vector else None,
        share=ranking.keyword_share,
        limit=ranking.limit,
        **filters.params,
    )


# Every table is read through LATERAL with OFFSET 0 or a limit, so that the planner uses the primary keys whatever its
# statistics are. Before the first ANALYZE it takes each table to be nearly empty, and would read all of it.
# The BM25 score of a posting. 3 is k1 * (1 - b) in tenths.
_TERM_SCORE = sql.SQL("w.weight * p.tf / (p.tf + 3::float8 + p.length * %(slope)s::float8)")
_POSTINGS = sql.SQL("""
        query_terms w CROSS JOIN LATERAL (
            SELECT account_id, conversation_id, tf, length FROM search_postings
            WHERE project_id = %(project)s AND term = w.term OFFSET 0) p""")
_CHUNK_PASSES = sql.SQL("""(SELECT true FROM {chunks} LIMIT 1)""")
_CONVERSATION_PASSES = sql.SQL("""(
            SELECT true FROM cw_conversations c CROSS JOIN LATERAL (SELECT FROM {chunks} LIMIT 1) k
            WHERE c.project_id = %(project)s AND c.account_id = f.account_id
              AND c.conversation_id = f.conversation_id AND {conversation_filter} LIMIT 1)""")
_FUSED = sql.SQL("""
    WITH query_terms AS MATERIALIZED (
        SELECT * FROM unnest(%(words)s::int[], %(terms)s::text[], %(weights)s::float8[], %(commons)s::boolean[],
            %(informative)s::boolean[]) w (word, term, weight, common, informative)),
    rare_scores AS MATERIALIZED (
        SELECT account_id, conversation_id, sum(score) AS score
        FROM (SELECT p.account_id, p.conversation_id, {term_score} AS score
              FROM {postings} WHERE w.word >= 0 AND NOT w.common
              UNION ALL
              SELECT p.account_id, p.conversation_id, max({term_score})
              FROM {postings} WHERE w.word < 0 AND NOT w.common GROUP BY w.word, p.account_id, p.conversation_id) each
        GROUP BY account_id, conversation_id),
    near AS MATERIALIZED (
        SELECT * FROM json_to_recordset(current_setting({near})::json)
            n (account_id bigint, conversation_id bigint, message_id bigint, chunk_index int, distance float8)),
    nearest AS MATERIALIZED (
        SELECT account_id, conversation_id, min(distance) AS distance FROM near GROUP BY account_id, conversation_id),
    best_by_rare AS MATERIALIZED (
        SELECT account_id, conversation_id
        FROM (SELECT * FROM rare_scores ORDER BY score DESC, account_id, conversation_id DESC OFFSET 0) f
        WHERE {passes_filters} LIMIT %(completed_candidates)s),
    scored AS MATERIALIZED (
        SELECT l.account_id, l.conversation_id, n.distance,
               nullif(coalesce(f.score, 0) + coalesce(more.score, 0), 0) AS score
        FROM (SELECT * FROM best_by_rare UNION SELECT account_id, conversation_id FROM nearest) l
        LEFT JOIN nearest n USING (account_id, conversation_id)
        LEFT JOIN rare_scores f USING (account_id, conversation_id)
        CROSS JOIN LATERAL (
            SELECT sum(each.score) AS score
            FROM (SELECT {word_score} AS score
                  FROM query_terms w CROSS JOIN LATERAL (
                      SELECT p.tf, p.length FROM search_postings p
                      WHERE p.project_id = %(project)s AND p.term = w.term AND p.account_id = l.account_id
                        AND p.conversation_id = l.conversation_id LIMIT 1) p
                  WHERE w.common {group_by_word}) each) more),
    compared AS MATERIALIZED (
        SELECT r.account_id, r.conversation_id, r.score, coalesce(r.distance, (
                   SELECT min(v.distance) FROM {compared} k CROSS JOIN LATERAL ({distance}) v)) AS distance
        FROM (SELECT *, row_number() OVER (
                  ORDER BY score DESC NULLS LAST, account_id, conversation_id DESC) AS place FROM scored) r
        WHERE r.distance IS NOT NULL OR r.place <= %(keyword_candidates)s),
    bounds AS (
        SELECT min(coalesce(score, 0)) AS least, max(score) AS most, min(distance) AS nearest,
               max(distance) AS farthest,
               CASE WHEN max(score) IS NULL THEN 0 WHEN max(distance) IS NULL THEN 1
                    ELSE %(share)s::float8 END AS share
        FROM compared),
    fused AS MATERIALIZED (
        SELECT c.account_id, c.conversation_id,
               CASE WHEN c.score IS NOT NULL THEN row_number() OVER (
                   ORDER BY c.score DESC NULLS LAST, c.account_id, c.conversation_id DESC) END AS by_words,
               CASE WHEN c.distance IS NOT NULL THEN row_number() OVER (
                   ORDER BY c.distance, c.account_id, c.conversation_id DESC) END AS by_meaning,
               b.share * coalesce((coalesce(c.score, 0) - b.least) / nullif(b.most - b.least, 0), 1)
               + (1 - b.share) * coalesce((b.farthest - coalesce(c.distance, b.farthest))
                                          / nullif(b.farthest - b.nearest, 0), 1) AS score
        FROM compared c CROSS JOIN bounds b
        ORDER BY score DESC, c.account_id, c.conversation_id DESC LIMIT %(limit)s)""")
_DISTANCE = sql.SQL("""
            SELECT v.embedding <=> %(vector)s::halfvec AS distance FROM rag_vectors v
            WHERE v.project_id = %(project)s AND v.account_id = {alias}.account_id AND v.message_id = k.message_id
              AND v.chunk_index = k.chunk_index AND v.model = %(model)s LIMIT 1""")
_HIT_COLUMNS = sql.SQL("""
    SELECT f.account_id, f.conversation_id, f.score, f.by_words, f.by_meaning,
           k.message_id, k.chunk_index, k.text, k.context, k.created_at,
           v.distance, k.sender_type,
           CASE WHEN k.quoted_from IS NULL THEN s.sender_name WHEN k.quoted_from <> '' THEN k.quoted_from
                WHEN k.sender_type = 'contact' THEN p.name END AS sender_name, c.contact_id,
           p.name AS contact_name, k.inbox_id, i.name AS inbox_name, c.status
    FROM fused f
    CROSS JOIN LATERAL (
        SELECT c.contact_id, c.status, c.content_version = c.chunked_version AS is_chunked FROM cw_conversations c
        WHERE c.project_id = %(project)s AND c.account_id = f.account_id AND c.conversation_id = f.conversation_id
        LIMIT 1) c
    LEFT JOIN LATERAL (
        SELECT p.name FROM cw_contacts p
        WHERE p.project_id = %(project)s AND p.account_id = f.account_id AND p.contact_id = c.contact_id LIMIT 1) p
        ON true
    CROSS JOIN LATERAL {chunks} k
    CROSS JOIN LATERAL (
        SELECT s.sender_name FROM cw_messages s
        WHERE s.project_id = %(project)s AND s.account_id = f.account_id AND s.message_id = k.message_id LIMIT 1) s
    LEFT JOIN LATERAL ({distance}) v ON true
    LEFT JOIN LATERAL (
        SELECT i.name FROM cw_inboxes i
        WHERE i.project_id = %(project)s AND i.account_id = f.account_id AND i.inbox_id = k.inbox_id LIMIT 1) i ON true
    WHERE c.is_chunked OR NOT EXISTS (
        SELECT FROM cw_messages m WHERE m.project_id = %(project)s AND m.account_id = f.account_id
          AND m.message_id = ANY (k.covers) AND (m.deleted OR m.private))
    ORDER BY f.score DESC, f.account_id, f.conversation_id DESC, k.created_at, k.message_id, k.chunk_index""")
_CHUNK_COLUMNS = "message_id chunk_index text context created_at sender_type quoted_from inbox_id covers"
_CHUNKS_PER_HIT = sql.SQL("(SELECT greatest(%(chunks_per_reason)s, 2 * %(limit)s / greatest(count(*), 1)) FROM fused)")


@cache
def _best_chunks(of_conversations: bool, of_chunks: bool, several_terms: bool) -> sql.Composed:
    """Return the statement. `several_terms`: a common word has more than one term, of which the best counts."""
    conditions = filter_conditions(of_conversations, of_chunks)
    chunk_filter = conditions["chunk_filter"]
    filtered = _CONVERSATION_PASSES if of_conversations else _CHUNK_PASSES if of_chunks else NO_FILTER
    fused = _FUSED.format(
        near=sql.Literal(NEAREST_SETTING),
        term_score=_TERM_SCORE,
        postings=_POSTINGS,
        word_score=sql.SQL("max({})").format(_TERM_SCORE) if several_terms else _TERM_SCORE,
        group_by_word=sql.SQL("GROUP BY w.word" if several_terms else ""),
        passes_filters=filtered.format(
            chunks=chunk_queries.conversation_chunks("f", chunk_filter),
            conversation_filter=conditions["conversation_filter"],
        ),
        compared=chunk_queries.selected_chunks(
            "r", chunk_filter, sql.SQL("%(chunks_per_reason)s"), "message_id chunk_index"
        ),
        distance=_DISTANCE.format(alias=sql.Identifier("r")),
    )
    hit_columns = _HIT_COLUMNS.format(
        chunks=chunk_queries.selected_chunks("f", chunk_filter, _CHUNKS_PER_HIT, _CHUNK_COLUMNS),
        distance=_DISTANCE.format(alias=sql.Identifier("f")),
    )
    return flatten(fused + hit_columns)
