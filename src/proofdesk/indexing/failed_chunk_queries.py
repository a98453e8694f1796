"""SQL of chunks that failed to be embedded."""

from dataclasses import dataclass
from datetime import datetime

from proofdesk.database.rows import Conn, execute, fetch_all
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class FailedChunkRow:
    """A chunk without an embedding, the reason, and when a person skipped it."""

    account_id: int
    message_id: int
    chunk_index: int
    conversation_id: int
    error: str
    attempts: int
    skipped_at: datetime | None


async def list_failed(conn: Conn, scope: Scope, limit: int) -> list[FailedChunkRow]:
    """Return failed chunks: those that nobody skipped first, then the newest first."""
    return await fetch_all(
        conn,
        FailedChunkRow,
        """
        SELECT account_id, message_id, chunk_index, conversation_id, coalesce(error, 'no error recorded') AS error,
               attempts, skipped_at
        FROM rag_chunks WHERE project_id = %(project)s AND embedding_status = 'failed'
        ORDER BY skipped_at IS NOT NULL, updated_at DESC, message_id DESC, chunk_index LIMIT %(limit)s""",
        project=scope.project_id,
        limit=limit,
    )


async def skip(conn: Conn, scope: Scope, account_id: int, message_id: int, chunk_index: int) -> bool:
    """Mark a failed chunk as skipped. Return False when there is none."""
    return bool(
        await execute(
            conn,
            """
            UPDATE rag_chunks SET skipped_at = now()
            WHERE project_id = %(project)s AND account_id = %(account)s AND message_id = %(message)s
              AND chunk_index = %(chunk)s AND embedding_status = 'failed'""",
            project=scope.project_id,
            account=account_id,
            message=message_id,
            chunk=chunk_index,
        )
    )


async def retry(conn: Conn, scope: Scope, account_id: int, message_id: int, chunk_index: int) -> bool:
    """Make a failed chunk pending. Return False when there is none."""
    return bool(
        await execute(
            conn,
            """
            UPDATE rag_chunks
            SET embedding_status = 'pending', attempts = 0, error = NULL, skipped_at = NULL, updated_at = now()
            WHERE project_id = %(project)s AND account_id = %(account)s AND message_id = %(message)s
              AND chunk_index = %(chunk)s AND embedding_status = 'failed'""",
            project=scope.project_id,
            account=account_id,
            message=message_id,
            chunk=chunk_index,
        )
    )
