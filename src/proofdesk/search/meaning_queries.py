"""SQL of searching by meaning. What is found stays in the database, in a setting of the transaction: the statement that
ranks by words as well, `ranking_queries.best_chunks`, is on its way there before it is.

A large project has an index over its vectors, see `search.vector_index`. Where a project, or what filters leave of it,
is small, comparing all that is left is quicker and exact.
"""

from functools import lru_cache
from uuid import UUID

from psycopg import sql

from proofdesk.db.rows import Conn, run, value, written
from proofdesk.projects.scope import Scope
from proofdesk.search.queries import ALL_PASS, NEAR, Model, Narrowing, passes

# Around a query that gives account_id, conversation_id and distance.
_KEPT = sql.SQL(
    "SELECT set_config({setting}, coalesce(json_agg(near)::text, '[]'), true) IS NOT NULL FROM ({near}) near"
)


async def passing(conn: Conn, scope: Scope, narrowing: Narrowing, most: int) -> int:
    """How many chunks pass the filters, with a vector or without; counted up to `most`."""
    return await value(
        conn,
        sql.SQL(
            """
        SELECT count(*) FROM (
            SELECT FROM {chunks} WHERE k.project_id = %(project)s AND {conversation_passes} AND {chunk_passes}
            LIMIT %(most)s) counted"""
        ).format(**passes(narrowing.of_conversations, narrowing.of_chunks)),
        project=scope.project_id,
        most=most,
        **narrowing.params,
    )


async def keep_nearest(conn: Conn, scope: Scope, model: Model, narrowing: Narrowing, most: int) -> None:
    """Keep the conversations of the `most` nearest chunks: by the project's index if it has one.

    Project and model stand in the statement itself, since that is what the index of a project is found by, and so does
    `most`: a plan for any number would read thousands.
    """
    await run(
        conn,
        _by_index(scope.project_id, model.name, model.dimension, narrowing.of_conversations, narrowing.of_chunks, most),
        project=scope.project_id,
        vector=model.vector,
        **narrowing.params,
    )


@lru_cache(1000)
def _by_index(
    project: UUID, model: str, dimension: int, of_conversations: bool, of_chunks: bool, most: int
) -> sql.Composed:
    filtered = sql.SQL("""EXISTS (
                  SELECT FROM {chunks}
                  WHERE k.project_id = v.project_id AND k.account_id = v.account_id AND k.message_id = v.message_id
                    AND k.chunk_index = v.chunk_index AND {conversation_passes} AND {chunk_passes})""")
    near = sql.SQL(
        """
        WITH nearest AS MATERIALIZED (
            SELECT v.account_id, v.message_id, v.chunk_index,
                   v.embedding::halfvec({dimension}) <=> %(vector)s::halfvec({dimension}) AS distance
            FROM rag_vectors v
            WHERE v.project_id = {project} AND v.model = {model} AND {passes}
            ORDER BY v.embedding::halfvec({dimension}) <=> %(vector)s::halfvec({dimension}) LIMIT {most})
        SELECT k.account_id, k.conversation_id, min(n.distance) AS distance
        FROM nearest n JOIN rag_chunks k USING (account_id, message_id, chunk_index)
        WHERE k.project_id = %(project)s GROUP BY k.account_id, k.conversation_id"""
    ).format(
        dimension=sql.Literal(dimension),
        project=sql.Literal(project),
        model=sql.Literal(model.replace("%", "%%")),  # in a statement with parameters one alone begins a parameter
        most=sql.Literal(most),
        passes=filtered.format(**passes(of_conversations, of_chunks)) if of_conversations or of_chunks else ALL_PASS,
    )
    return written(_KEPT.format(setting=sql.Literal(NEAR), near=near))


async def keep_nearest_of_all(conn: Conn, scope: Scope, model: Model, narrowing: Narrowing, most: int) -> None:
    """Keep the `most` nearest conversations by comparing every vector that is left."""
    near = sql.SQL(
        """
        SELECT account_id, conversation_id, min(distance) AS distance
        FROM (SELECT k.account_id, k.conversation_id, v.embedding <=> %(vector)s::halfvec AS distance
              FROM {chunks} JOIN rag_vectors v USING (project_id, account_id, message_id, chunk_index)
              WHERE k.project_id = %(project)s AND v.model = %(model)s AND {conversation_passes} AND {chunk_passes}
              OFFSET 0) compared  -- that what is sorted and gathered are distances, not vectors
        GROUP BY account_id, conversation_id
        ORDER BY distance, account_id, conversation_id DESC LIMIT %(most)s"""
    ).format(**passes(narrowing.of_conversations, narrowing.of_chunks))
    await run(
        conn,
        _KEPT.format(setting=sql.Literal(NEAR), near=near),
        project=scope.project_id,
        model=model.name,
        vector=model.vector,
        most=most,
        **narrowing.params,
    )
