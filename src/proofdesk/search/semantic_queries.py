"""SQL that finds the chunks nearest to the vector of a query.

The result stays in the database, in a setting of the transaction, because in a pipeline the statement that reads it,
`ranking_queries.select_best_chunks`, is sent before the result is there.

A large project has an index over its vectors: see `indexing.vector_index`. When few chunks are left by the filters,
comparing all of them is faster and exact.
"""

from functools import lru_cache
from uuid import UUID

from psycopg import sql

from proofdesk.database.rows import Conn, execute, fetch_value, flatten
from proofdesk.projects.scope import Scope
from proofdesk.search.queries import (
    NEAREST_SETTING,
    NO_FILTER,
    FilterParams,
    QueryVector,
    chunk_source,
    filter_conditions,
)

CHUNKS_PER_CONVERSATION = 4  # at least so many nearest chunks are stored of each conversation when all are compared

# `near` is a query with the columns account_id, conversation_id, message_id, chunk_index and distance.
_STORE = sql.SQL(
    "SELECT set_config({setting}, coalesce(json_agg(near)::text, '[]'), true) IS NOT NULL FROM ({near}) near"
)


async def count_matching_chunks(conn: Conn, scope: Scope, filters: FilterParams, limit: int) -> int:
    """Return how many chunks pass the filters, with or without a vector. Counts up to `limit`."""
    return await fetch_value(
        conn,
        sql.SQL(
            """
        SELECT count(*) FROM (
            SELECT FROM {chunks} WHERE k.project_id = %(project)s AND {chunk_filter} LIMIT %(limit)s) counted"""
        ).format(
            chunks=chunk_source(filters.filters_conversations),
            chunk_filter=filter_conditions(False, filters.filters_chunks)["chunk_filter"],
        ),
        project=scope.project_id,
        limit=limit,
        **filters.params,
    )


async def store_nearest_by_index(
    conn: Conn, scope: Scope, vector: QueryVector, filters: FilterParams, limit: int
) -> None:
    """Store the nearest chunks with the vector index of the project, whatever the statistics are.

    Without statistics, after a bulk load, the planner expects a handful of vectors in a project and sorts all of them
    (1.7 s with 64,000). A statement cannot tell it otherwise, so sorting is switched off while it plans this one.
    """
    await execute(conn, "SET LOCAL enable_sort = off")
    await store_nearest(conn, scope, vector, filters, limit)
    await execute(conn, "SET LOCAL enable_sort = on")


async def store_nearest(conn: Conn, scope: Scope, vector: QueryVector, filters: FilterParams, limit: int) -> None:
    """Store the `limit` nearest chunks with their conversations.

    Project and model are literals in the statement, since the planner finds the partial index of a project by them. So
    is `limit`: a plan for any number would read thousands of vectors.
    """
    await execute(
        conn,
        _by_index(
            scope.project_id,
            vector.model,
            vector.dimension,
            filters.filters_conversations,
            filters.filters_chunks,
            limit,
        ),
        project=scope.project_id,
        vector=vector.vector,
        **filters.params,
    )


@lru_cache(1000)
def _by_index(
    project: UUID, model: str, dimension: int, of_conversations: bool, of_chunks: bool, limit: int
) -> sql.Composed:
    # A subquery without EXISTS is not turned into a join: it runs for each vector in turn.
    filtered = sql.SQL("""(
                  SELECT true FROM rag_chunks k {conversations}
                  WHERE k.project_id = v.project_id AND k.account_id = v.account_id AND k.message_id = v.message_id
                    AND k.chunk_index = v.chunk_index AND {conversation_filter} AND {chunk_filter} LIMIT 1)""")
    conversations = sql.SQL("""CROSS JOIN LATERAL (
                      SELECT c.* FROM cw_conversations c
                      WHERE c.project_id = k.project_id AND c.account_id = k.account_id
                        AND c.conversation_id = k.conversation_id LIMIT 1) c""")
    near = sql.SQL(
        """
        WITH nearest AS MATERIALIZED (
            SELECT v.account_id, v.message_id, v.chunk_index,
                   v.embedding::halfvec({dimension}) <=> %(vector)s::halfvec({dimension}) AS distance
            FROM rag_vectors v
            WHERE v.project_id = {project} AND v.model = {model} AND {passes_filters}
            ORDER BY v.embedding::halfvec({dimension}) <=> %(vector)s::halfvec({dimension}) LIMIT {limit})
        SELECT n.account_id, k.conversation_id, n.message_id, n.chunk_index, n.distance
        FROM nearest n CROSS JOIN LATERAL (
            SELECT conversation_id FROM rag_chunks k
            WHERE k.project_id = %(project)s AND k.account_id = n.account_id AND k.message_id = n.message_id
              AND k.chunk_index = n.chunk_index LIMIT 1) k"""  # LIMIT 1: looked up one by one, whatever statistics say
    ).format(
        dimension=sql.Literal(dimension),
        project=sql.Literal(project),
        model=sql.Literal(model.replace("%", "%%")),  # a single % would begin a parameter
        limit=sql.Literal(limit),
        passes_filters=filtered.format(
            conversations=conversations if of_conversations else sql.SQL(""),
            **filter_conditions(of_conversations, of_chunks),
        )
        if of_conversations or of_chunks
        else NO_FILTER,
    )
    return flatten(_STORE.format(setting=sql.Literal(NEAREST_SETTING), near=near))


async def store_nearest_exact(conn: Conn, scope: Scope, vector: QueryVector, filters: FilterParams, limit: int) -> None:
    """Store the nearest chunks of the `limit` nearest conversations. Compares every vector that passes the filters."""
    near = sql.SQL(
        """
        WITH compared AS MATERIALIZED (
            SELECT k.account_id, k.conversation_id, k.message_id, k.chunk_index, v.distance
            FROM {chunks} CROSS JOIN LATERAL (
                SELECT v.embedding <=> %(vector)s::halfvec AS distance FROM rag_vectors v
                WHERE v.project_id = %(project)s AND v.account_id = k.account_id AND v.message_id = k.message_id
                  AND v.chunk_index = k.chunk_index AND v.model = %(model)s LIMIT 1) v
            WHERE k.project_id = %(project)s AND {chunk_filter}),
        nearest AS MATERIALIZED (
            SELECT account_id, conversation_id, min(distance) AS distance FROM compared
            GROUP BY account_id, conversation_id
            ORDER BY min(distance), account_id, conversation_id DESC LIMIT %(limit)s)
        SELECT account_id, conversation_id, message_id, chunk_index, distance
        FROM (SELECT c.*, row_number() OVER (PARTITION BY c.account_id, c.conversation_id ORDER BY c.distance) AS place
              FROM compared c JOIN nearest n USING (account_id, conversation_id)) placed
        WHERE place <= greatest(%(chunks_per_conversation)s, %(limit)s / (SELECT greatest(count(*), 1) FROM nearest))"""
    ).format(
        chunks=chunk_source(filters.filters_conversations),
        chunk_filter=filter_conditions(False, filters.filters_chunks)["chunk_filter"],
    )
    await execute(
        conn,
        _STORE.format(setting=sql.Literal(NEAREST_SETTING), near=near),
        project=scope.project_id,
        model=vector.model,
        vector=vector.vector,
        limit=limit,
        chunks_per_conversation=CHUNKS_PER_CONVERSATION,
        **filters.params,
    )
