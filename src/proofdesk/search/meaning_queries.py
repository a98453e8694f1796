"""SQL of searching by meaning, and of the chunks that are shown.

A large project has an index over its vectors, see `search.vector_index`. Where a project, or what filters leave of it,
is small, comparing all that is left is quicker and exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from proofdesk.db.rows import Conn, many, value
from proofdesk.projects.scope import Scope
from proofdesk.search.queries import ALL_PASS, Found, Key, Model, Narrowing


@dataclass(frozen=True)
class ByMeaning(Found):
    """A conversation and the cosine distance of its nearest chunk."""

    distance: float


@dataclass(frozen=True)
class Candidate(Found):
    """A chunk of a conversation that was found, with its cosine distance if it has a vector, and what is told of it."""

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


async def comparable(conn: Conn, scope: Scope, model: str, narrowing: Narrowing, most: int) -> int:
    """How many vectors pass the filters; counted up to `most`."""
    return await value(
        conn,
        sql.SQL(
            """
        SELECT count(*) FROM (
            SELECT FROM rag_vectors v
            WHERE v.project_id = %(project)s AND v.model = %(model)s
              AND (v.account_id, v.message_id, v.chunk_index) IN (
                  SELECT k.account_id, k.message_id, k.chunk_index
                  FROM rag_chunks k JOIN cw_conversations c USING (project_id, account_id, conversation_id)
                  WHERE k.project_id = %(project)s AND {conversation_passes} AND {chunk_passes})
            LIMIT %(most)s) counted"""
        ).format(**narrowing.passes),
        project=scope.project_id,
        model=model,
        most=most,
        **narrowing.params,
    )


async def nearest(conn: Conn, scope: Scope, model: Model, narrowing: Narrowing, most: int) -> list[ByMeaning]:
    """The conversations of the `most` nearest chunks, nearest first: by the project's index if it has one.

    Project and model stand in the statement itself, since that is what the index of a project is found by, and so does
    `most`: a plan for any number would read thousands.
    """
    filtered = sql.SQL("""EXISTS (
                  SELECT FROM rag_chunks k JOIN cw_conversations c USING (project_id, account_id, conversation_id)
                  WHERE k.project_id = v.project_id AND k.account_id = v.account_id AND k.message_id = v.message_id
                    AND k.chunk_index = v.chunk_index AND {conversation_passes} AND {chunk_passes})""")
    return await many(
        conn,
        ByMeaning,
        sql.SQL(
            """
        WITH near AS MATERIALIZED (
            SELECT v.account_id, v.message_id, v.chunk_index,
                   v.embedding::halfvec({dimension}) <=> %(vector)s::halfvec({dimension}) AS distance
            FROM rag_vectors v
            WHERE v.project_id = {project} AND v.model = {model} AND {passes}
            ORDER BY v.embedding::halfvec({dimension}) <=> %(vector)s::halfvec({dimension}) LIMIT {most})
        SELECT k.account_id, k.conversation_id, min(n.distance) AS distance
        FROM near n JOIN rag_chunks k USING (account_id, message_id, chunk_index)
        WHERE k.project_id = %(project)s
        GROUP BY k.account_id, k.conversation_id ORDER BY distance, k.account_id, k.conversation_id DESC"""
        ).format(
            dimension=sql.Literal(model.dimension),
            project=sql.Literal(scope.project_id),
            model=sql.Literal(model.name),
            most=sql.Literal(most),
            passes=filtered.format(**narrowing.passes) if narrowing.narrows else ALL_PASS,
        ),
        project=scope.project_id,
        vector=model.vector,
        **narrowing.params,
    )


async def nearest_of_all(conn: Conn, scope: Scope, model: Model, narrowing: Narrowing, most: int) -> list[ByMeaning]:
    """The `most` nearest conversations by comparing every vector that is left, nearest first."""
    return await many(
        conn,
        ByMeaning,
        sql.SQL(
            """
        SELECT k.account_id, k.conversation_id, min(v.embedding <=> %(vector)s::halfvec) AS distance
        FROM cw_conversations c
        JOIN rag_chunks k USING (project_id, account_id, conversation_id)
        JOIN rag_vectors v USING (project_id, account_id, message_id, chunk_index)
        WHERE c.project_id = %(project)s AND v.model = %(model)s AND {conversation_passes} AND {chunk_passes}
        GROUP BY k.account_id, k.conversation_id
        ORDER BY distance, k.account_id, k.conversation_id DESC LIMIT %(most)s"""
        ).format(**narrowing.passes),
        project=scope.project_id,
        model=model.name,
        vector=model.vector,
        most=most,
        **narrowing.params,
    )


async def chunks(
    conn: Conn, scope: Scope, model: Model | None, narrowing: Narrowing, keys: Sequence[Key]
) -> list[Candidate]:
    """The chunks of these conversations that pass the filters.

    While a conversation waits for its chunks to be cut anew, those with a message that was deleted are left out.
    """
    return await many(
        conn,
        Candidate,
        sql.SQL(
            """
        SELECT k.account_id, k.conversation_id, k.message_id, k.chunk_index, k.text, k.context, k.created_at,
               v.embedding <=> %(vector)s::halfvec AS distance, k.sender_type, s.sender_name, c.contact_id,
               p.name AS contact_name, k.inbox_id, i.name AS inbox_name, c.status
        FROM unnest(%(accounts)s::bigint[], %(conversations)s::bigint[]) n (account_id, conversation_id)
        JOIN rag_chunks k USING (account_id, conversation_id)
        JOIN cw_conversations c USING (project_id, account_id, conversation_id)
        JOIN cw_messages s USING (project_id, account_id, message_id)
        LEFT JOIN rag_vectors v ON v.project_id = %(project)s AND v.account_id = k.account_id
            AND v.message_id = k.message_id AND v.chunk_index = k.chunk_index AND v.model = %(model)s
        LEFT JOIN cw_contacts p ON p.project_id = %(project)s AND p.account_id = k.account_id
            AND p.contact_id = c.contact_id
        LEFT JOIN cw_inboxes i ON i.project_id = %(project)s AND i.account_id = k.account_id
            AND i.inbox_id = k.inbox_id
        WHERE k.project_id = %(project)s AND c.project_id = %(project)s
          AND (c.content_version = c.chunked_version OR NOT EXISTS (
              SELECT FROM cw_messages m WHERE m.project_id = %(project)s AND m.account_id = k.account_id
                AND m.message_id = ANY (k.covers) AND (m.deleted OR m.private)))
          AND {chunk_passes}
        ORDER BY k.account_id, k.conversation_id, k.created_at, k.message_id, k.chunk_index"""
        ).format(**narrowing.passes),
        project=scope.project_id,
        model=model.name if model else None,
        vector=model.vector if model else None,
        accounts=[key.account_id for key in keys],
        conversations=[key.conversation_id for key in keys],
        **narrowing.params,
    )
