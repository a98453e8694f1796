"""SQL of chunks.

A statement that changes several chunks locks them in the order of their key first, so that no two transactions
deadlock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, execute, fetch_all
from proofdesk.indexing.chunking.chunker import Chunk
from proofdesk.indexing.transcript_queries import StaleConversation
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class StoredChunk:
    """The key of a stored chunk, and what tells whether it changed."""

    account_id: int
    message_id: int
    chunk_index: int
    covers: list[int]
    content_hash: bytes
    quoted_from: str | None


async def lock_chunks(conn: Conn, scope: Scope, conversations: Sequence[StaleConversation]) -> list[StoredChunk]:
    """Lock the stored chunks of conversations."""
    return await fetch_all(
        conn,
        StoredChunk,
        """
        SELECT k.account_id, k.message_id, k.chunk_index, k.covers, k.content_hash, k.quoted_from
        FROM unnest(%(accounts)s::bigint[], %(conversations)s::bigint[]) c (account_id, conversation_id)
        JOIN rag_chunks k USING (account_id, conversation_id)
        WHERE k.project_id = %(project)s
        ORDER BY k.account_id, k.message_id, k.chunk_index FOR UPDATE OF k""",
        project=scope.project_id,
        accounts=[c.account_id for c in conversations],
        conversations=[c.conversation_id for c in conversations],
    )


async def upsert_chunks(conn: Conn, scope: Scope, chunks: Sequence[Chunk]) -> int:
    """Insert or update chunks and return how many. A chunk whose content changed becomes `pending` again."""
    return await execute(
        conn,
        """
        INSERT INTO rag_chunks (project_id, account_scope_id, account_id, message_id, chunk_index, conversation_id,
            inbox_id, sender_type, sender_types, covers, text, context, content_hash, created_at,
            quoted_from)
        SELECT %(project)s, %(account_scope)s, account_id, message_id, chunk_index, conversation_id, inbox_id,
            sender_type, sender_types, covers, text, context, decode(content_hash, 'hex'), created_at,
            quoted_from
        FROM jsonb_to_recordset(%(chunks)s) AS r (account_id bigint, message_id bigint, chunk_index int,
            conversation_id bigint, inbox_id bigint, sender_type text, sender_types text[], covers bigint[],
            text text, context text, content_hash text, created_at timestamptz, quoted_from text)
        ON CONFLICT (project_id, account_id, message_id, chunk_index) DO UPDATE SET
            conversation_id = excluded.conversation_id, inbox_id = excluded.inbox_id,
            sender_type = excluded.sender_type, sender_types = excluded.sender_types, covers = excluded.covers,
            text = excluded.text, context = excluded.context, content_hash = excluded.content_hash,
            created_at = excluded.created_at, quoted_from = excluded.quoted_from, updated_at = now(),
            embedding_status = CASE WHEN rag_chunks.content_hash = excluded.content_hash
                               THEN rag_chunks.embedding_status ELSE 'pending' END,
            claimed_at = CASE WHEN rag_chunks.content_hash = excluded.content_hash THEN rag_chunks.claimed_at END,
            error = CASE WHEN rag_chunks.content_hash = excluded.content_hash THEN rag_chunks.error END,
            attempts = CASE WHEN rag_chunks.content_hash = excluded.content_hash THEN rag_chunks.attempts ELSE 0 END
        """,
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        chunks=Jsonb([_row(chunk) for chunk in chunks]),
    )


async def delete_chunks(conn: Conn, scope: Scope, chunks: Sequence[StoredChunk]) -> int:
    """Delete chunks and their vectors, and return how many chunks."""
    return await execute(
        conn,
        """
        DELETE FROM rag_chunks k
        USING unnest(%(accounts)s::bigint[], %(messages)s::bigint[], %(indexes)s::int[])
            obsolete (account_id, message_id, chunk_index)
        WHERE k.project_id = %(project)s AND k.account_id = obsolete.account_id AND k.message_id = obsolete.message_id
          AND k.chunk_index = obsolete.chunk_index""",
        project=scope.project_id,
        accounts=[c.account_id for c in chunks],
        messages=[c.message_id for c in chunks],
        indexes=[c.chunk_index for c in chunks],
    )


async def refresh_statistics(conn: Conn) -> None:
    """Analyze the tables that search reads."""
    await execute(conn, "SELECT refresh_search_statistics()")


def _row(chunk: Chunk) -> dict[str, Any]:
    message = chunk.anchor
    return {
        "account_id": message.account_id,
        "message_id": message.message_id,
        "chunk_index": chunk.index,
        "conversation_id": message.conversation_id,
        "inbox_id": message.inbox_id,
        "sender_type": message.sender_type,
        "sender_types": chunk.sender_types,
        "covers": chunk.covers,
        "text": chunk.text,
        "context": chunk.context,
        "content_hash": chunk.content_hash.hex(),
        "created_at": message.created_at.isoformat(),
        "quoted_from": message.quoted_from,
    }
