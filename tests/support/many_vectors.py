"""Insert many vectors directly into the tables."""

import numpy as np
import psycopg

from proofdesk.projects.scope import Scope

DIMENSION = 8


def put(
    conn: psycopg.Connection,
    scope: Scope,
    model: str,
    vectors: np.ndarray,
    first: int = 1,
    complete: bool = True,
    analyze: bool = True,
) -> None:
    """Insert conversations of one message, each with a chunk and a vector."""
    values = {"project": scope.project_id, "scope": scope.account_scope_id, "model": model, "complete": complete}
    values |= {"first": first, "vectors": [str(v.tolist()) for v in vectors], "dimension": DIMENSION}
    for statement in _WRITTEN:
        conn.execute(statement.encode(), values)
    if analyze:
        conn.execute("ANALYZE rag_vectors, rag_chunks")


_NUMBERED = """
    FROM unnest(%(vectors)s::text[]) WITH ORDINALITY v (vector, place), LATERAL (SELECT place - 1 + %(first)s AS n) o
    ON CONFLICT DO NOTHING"""
_WRITTEN = (
    "INSERT INTO cw_conversations (project_id, account_scope_id, account_id, conversation_id, inbox_id, status, labels,"
    " additional_attributes, custom_attributes, last_activity_at, created_at, updated_at)"
    " SELECT %(project)s, %(scope)s, 1, n, 1, 'open', '{}', '{}', '{}', now(), now(), now()" + _NUMBERED,
    "INSERT INTO cw_messages (project_id, account_scope_id, account_id, message_id, conversation_id, inbox_id,"
    " message_type, content_type, private, deleted, sender_type, content_attributes, attachments, created_at)"
    " SELECT %(project)s, %(scope)s, 1, n, n, 1, 'incoming', 'text', false, false, 'contact', '{}', '[]', now()"
    + _NUMBERED,
    "INSERT INTO rag_chunks (project_id, account_scope_id, account_id, message_id, chunk_index, conversation_id,"
    " inbox_id, sender_type, sender_types, covers, text, context, content_hash, embedding_status, created_at)"
    " SELECT %(project)s, %(scope)s, 1, n, 0, n, 1, 'contact', '{contact}', ARRAY[n], 'text', '', '', 'ready', now()"
    + _NUMBERED,
    "INSERT INTO rag_vectors SELECT %(project)s, %(scope)s, 1, n, 0, %(model)s, vector::halfvec" + _NUMBERED,
    "INSERT INTO rag_models (project_id, account_scope_id, model, dimension, complete_at) VALUES (%(project)s,"
    " %(scope)s, %(model)s, %(dimension)s, CASE WHEN %(complete)s THEN now() END) ON CONFLICT DO NOTHING",
)
