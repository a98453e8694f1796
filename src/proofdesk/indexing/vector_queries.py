"""SQL of vectors.

A statement that changes several chunks locks them in the order of their key first, or skips locked ones, so that no two
transactions deadlock. "Another model" is written `< OR >`, which uses an index; `<>` would read every row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pgvector.psycopg import register_vector_async
from psycopg import sql

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_one, fetch_value
from proofdesk.indexing.embeddings.batches import EmbeddingOutcome
from proofdesk.projects.scope import Scope

# The expression of `fetch_serving_model`, with the parameters `project` and `configured`.
SERVING_MODEL = sql.SQL("""
    coalesce((SELECT model FROM rag_models WHERE project_id = %(project)s AND complete_at IS NOT NULL
              ORDER BY model = %(configured)s DESC, complete_at DESC LIMIT 1), %(configured)s)""")


@dataclass(frozen=True)
class ClaimedChunk:
    """A chunk that a worker has claimed. `claimed_at` tells this claim from any later one."""

    account_id: int
    message_id: int
    chunk_index: int
    context: str
    text: str
    content_hash: bytes
    claimed_at: datetime

    @property
    def embedding_input(self) -> str:
        """The text that is embedded."""
        return f"{self.context}\n{self.text}" if self.context else self.text


@dataclass(frozen=True)
class ChunkCounts:
    """The chunks of a project by embedding status."""

    pending: int
    processing: int
    ready: int
    failed: int


@dataclass(frozen=True)
class SettledCounts:
    """How many chunks of a batch became ready, and how many failed."""

    ready: int
    failed: int


async def count_by_status(conn: Conn, scope: Scope) -> ChunkCounts:
    """Count the chunks of the project by embedding status. Triggers keep these counters."""
    return await fetch_one(
        conn,
        ChunkCounts,
        """
        SELECT coalesce(sum(n) FILTER (WHERE kind = 'pending'), 0)::bigint AS pending,
               coalesce(sum(n) FILTER (WHERE kind = 'processing'), 0)::bigint AS processing,
               coalesce(sum(n) FILTER (WHERE kind = 'ready'), 0)::bigint AS ready,
               coalesce(sum(n) FILTER (WHERE kind = 'failed'), 0)::bigint AS failed
        FROM project_counts WHERE project_id = %(project)s""",
        project=scope.project_id,
    )


async def fetch_serving_model(conn: Conn, scope: Scope, configured: str) -> str:
    """Return the model whose vectors are searched: the configured one, or a complete one while it is incomplete."""
    statement = sql.SQL("SELECT {}").format(SERVING_MODEL)
    return await fetch_value(conn, statement, project=scope.project_id, configured=configured)


async def register_model(conn: Conn, scope: Scope, model: str, dimension: int) -> None:
    """Record that the project has, or is about to have, vectors of a model."""
    await execute(
        conn,
        """
        INSERT INTO rag_models (project_id, account_scope_id, model, dimension)
        VALUES (%(project)s, %(account_scope)s, %(model)s, %(dimension)s) ON CONFLICT DO NOTHING""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        model=model,
        dimension=dimension,
    )


async def requeue_other_models(conn: Conn, scope: Scope, model: str, limit: int) -> int:
    """Make up to `limit` chunks of other models pending and return how many. Their old vectors stay."""
    return await execute(
        conn,
        """
        WITH others AS (
            SELECT account_id, message_id, chunk_index FROM rag_chunks
            WHERE project_id = %(project)s AND embedding_status IN ('ready', 'failed')
              AND (embedding_model < %(model)s OR embedding_model > %(model)s)
            LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
        UPDATE rag_chunks k SET embedding_status = 'pending', attempts = 0, error = NULL, updated_at = now()
        FROM others o WHERE k.project_id = %(project)s
          AND (k.account_id, k.message_id, k.chunk_index) = (o.account_id, o.message_id, o.chunk_index)""",
        project=scope.project_id,
        model=model,
        limit=limit,
    )


async def requeue_lost_claims(conn: Conn, scope: Scope, minutes: int, max_attempts: int) -> int:
    """Make chunks pending whose claim is older than `minutes`, or failed when `max_attempts` claims were lost."""
    return await execute(
        conn,
        """
        WITH lost AS (
            SELECT account_id, message_id, chunk_index FROM rag_chunks
            WHERE project_id = %(project)s AND embedding_status = 'processing'
              AND claimed_at < clock_timestamp() - make_interval(mins => %(minutes)s)
            FOR UPDATE SKIP LOCKED)
        UPDATE rag_chunks k SET claimed_at = NULL, updated_at = now(),
            embedding_status = CASE WHEN attempts < %(max_attempts)s THEN 'pending' ELSE 'failed' END,
            error = CASE WHEN attempts >= %(max_attempts)s
                    THEN 'The worker stopped ' || attempts || ' times while this text was embedded.' END
        FROM lost l WHERE k.project_id = %(project)s
          AND (k.account_id, k.message_id, k.chunk_index) = (l.account_id, l.message_id, l.chunk_index)""",
        project=scope.project_id,
        minutes=minutes,
        max_attempts=max_attempts,
    )


async def claim_chunks(conn: Conn, scope: Scope, limit: int) -> list[ClaimedChunk]:
    """Claim up to `limit` of the newest pending chunks that no other worker has locked."""
    return await fetch_all(
        conn,
        ClaimedChunk,
        """
        WITH pending AS (
            SELECT account_id, message_id, chunk_index FROM rag_chunks
            WHERE project_id = %(project)s AND embedding_status = 'pending'
            ORDER BY created_at DESC LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
        UPDATE rag_chunks k SET embedding_status = 'processing', claimed_at = clock_timestamp(),
            attempts = attempts + 1, updated_at = now()
        FROM pending w WHERE k.project_id = %(project)s
          AND (k.account_id, k.message_id, k.chunk_index) = (w.account_id, w.message_id, w.chunk_index)
        RETURNING k.account_id, k.message_id, k.chunk_index, k.context, k.text, k.content_hash, k.claimed_at""",
        project=scope.project_id,
        limit=limit,
    )


async def settle_chunks(
    conn: Conn, scope: Scope, model: str, chunks: Sequence[ClaimedChunk], outcomes: Sequence[EmbeddingOutcome]
) -> SettledCounts:
    """Store the outcomes of claimed chunks. A chunk whose claim was lost or whose content changed is not touched."""
    await _register_vector_types(conn)
    # `%(vectors)b`: a list is sent as text unless the statement asks for binary.
    return await fetch_one(
        conn,
        SettledCounts,
        """
        WITH outcome AS (
            SELECT * FROM unnest(%(accounts)s::bigint[], %(messages)s::bigint[], %(indexes)s::int[],
                %(hashes)s::bytea[], %(claims)s::timestamptz[], %(vectors)b::halfvec[], %(reasons)s::text[])
                t (account_id, message_id, chunk_index, content_hash, claimed_at, vector, reason)),
        claimed AS (
            SELECT k.account_id, k.message_id, k.chunk_index, m.vector, m.reason
            FROM outcome m JOIN rag_chunks k USING (account_id, message_id, chunk_index, content_hash, claimed_at)
            WHERE k.project_id = %(project)s
            ORDER BY k.account_id, k.message_id, k.chunk_index FOR UPDATE OF k),
        settled AS (
            UPDATE rag_chunks k SET embedding_model = %(model)s, error = o.reason, claimed_at = NULL, attempts = 0,
                embedding_status = CASE WHEN o.vector IS NULL THEN 'failed' ELSE 'ready' END, updated_at = now()
            FROM claimed o WHERE k.project_id = %(project)s
              AND (k.account_id, k.message_id, k.chunk_index) = (o.account_id, o.message_id, o.chunk_index)
            RETURNING k.embedding_status),
        stored AS (
            INSERT INTO rag_vectors
                (project_id, account_scope_id, account_id, message_id, chunk_index, model, embedding)
            SELECT %(project)s, %(account_scope)s, account_id, message_id, chunk_index, %(model)s, vector
            FROM claimed WHERE vector IS NOT NULL
            ON CONFLICT (project_id, account_id, message_id, chunk_index, model)
                DO UPDATE SET embedding = excluded.embedding)
        SELECT count(*) FILTER (WHERE embedding_status = 'ready') AS ready,
               count(*) FILTER (WHERE embedding_status = 'failed') AS failed FROM settled""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        model=model,
        hashes=[c.content_hash for c in chunks],
        **_claim_params(chunks),
        vectors=[o.vector for o in outcomes],
        reasons=[o.reason for o in outcomes],
    )


def _claim_params(chunks: Sequence[ClaimedChunk]) -> dict[str, Any]:
    return {
        "accounts": [c.account_id for c in chunks],
        "messages": [c.message_id for c in chunks],
        "indexes": [c.chunk_index for c in chunks],
        "claims": [c.claimed_at for c in chunks],
    }


async def _register_vector_types(conn: Conn) -> None:
    # A list is sent with the oid of its elements, and the oid of `halfvec` differs between databases.
    if conn.adapters.types.get("halfvec") is None:
        await register_vector_async(conn)


async def release_chunks(conn: Conn, scope: Scope, chunks: Sequence[ClaimedChunk]) -> int:
    """Make claimed chunks pending, as if they had not been claimed."""
    return await execute(
        conn,
        """
        WITH claimed AS (
            SELECT k.account_id, k.message_id, k.chunk_index
            FROM unnest(%(accounts)s::bigint[], %(messages)s::bigint[], %(indexes)s::int[], %(claims)s::timestamptz[])
                t (account_id, message_id, chunk_index, claimed_at)
            JOIN rag_chunks k USING (account_id, message_id, chunk_index, claimed_at)
            WHERE k.project_id = %(project)s
            ORDER BY k.account_id, k.message_id, k.chunk_index FOR UPDATE OF k)
        UPDATE rag_chunks k SET embedding_status = 'pending', claimed_at = NULL, attempts = greatest(attempts - 1, 0)
        FROM claimed o WHERE k.project_id = %(project)s
          AND (k.account_id, k.message_id, k.chunk_index) = (o.account_id, o.message_id, o.chunk_index)""",
        project=scope.project_id,
        **_claim_params(chunks),
    )


async def requeue_failed(conn: Conn, scope: Scope) -> int:
    """Make failed chunks pending, apart from those that a person skipped, and return how many."""
    return await execute(
        conn,
        """
        WITH failed AS (
            SELECT account_id, message_id, chunk_index FROM rag_chunks
            WHERE project_id = %(project)s AND embedding_status = 'failed' AND skipped_at IS NULL
            ORDER BY account_id, message_id, chunk_index FOR UPDATE)
        UPDATE rag_chunks k SET embedding_status = 'pending', attempts = 0, error = NULL, updated_at = now()
        FROM failed r WHERE k.project_id = %(project)s
          AND (k.account_id, k.message_id, k.chunk_index) = (r.account_id, r.message_id, r.chunk_index)""",
        project=scope.project_id,
    )


async def mark_complete(conn: Conn, scope: Scope, model: str) -> bool:
    """Record that a model is complete, and return whether every chunk has its vector or has failed."""
    return await fetch_value(
        conn,
        """
        WITH complete AS (
            SELECT NOT EXISTS (SELECT FROM rag_chunks WHERE project_id = %(project)s
                               AND embedding_status IN ('pending', 'processing'))
               AND NOT EXISTS (SELECT FROM rag_chunks WHERE project_id = %(project)s
                               AND embedding_status = 'ready'
                               AND (embedding_model < %(model)s OR embedding_model > %(model)s))
               AND EXISTS (SELECT FROM rag_chunks WHERE project_id = %(project)s
                           AND embedding_status = 'ready') AS yes),
        recorded AS (
            UPDATE rag_models SET complete_at = now() FROM complete
            WHERE complete.yes AND project_id = %(project)s AND model = %(model)s AND complete_at IS NULL)
        SELECT yes FROM complete""",
        project=scope.project_id,
        model=model,
    )


async def delete_other_vectors(conn: Conn, scope: Scope, model: str, limit: int) -> int:
    """Delete up to `limit` vectors of other models and return how many."""
    return await execute(
        conn,
        """
        DELETE FROM rag_vectors WHERE ctid IN (
            SELECT ctid FROM rag_vectors WHERE project_id = %(project)s AND (model < %(model)s OR model > %(model)s)
            LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
          AND project_id = %(project)s""",
        project=scope.project_id,
        model=model,
        limit=limit,
    )


async def delete_other_models(conn: Conn, scope: Scope, model: str) -> None:
    """Delete the records of models that have no vectors any more."""
    await execute(
        conn,
        """
        DELETE FROM rag_models m WHERE m.project_id = %(project)s AND m.model <> %(model)s AND NOT EXISTS (
            SELECT FROM rag_vectors v WHERE v.project_id = m.project_id AND v.model = m.model)""",
        project=scope.project_id,
        model=model,
    )
