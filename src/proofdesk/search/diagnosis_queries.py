"""SQL of the diagnosis."""

from dataclasses import dataclass

from proofdesk.db.rows import Conn, one
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class Counts:
    """What a project holds, and what waits."""

    conversations: int
    conversations_unread: int
    conversations_unindexed: int
    messages: int
    chunks: int
    embeddings_ready: int
    embeddings_pending: int
    embeddings_failed: int
    syncs_pending: int


async def counts(conn: Conn, scope: Scope) -> Counts:
    """Count what search depends on."""
    return await one(
        conn,
        Counts,
        """
        SELECT c.*, (SELECT count(*) FROM cw_messages WHERE project_id = %(project)s) AS messages, k.*,
               (SELECT count(*) FROM worker_runs WHERE project_id = %(project)s AND job_type = 'chatwoot_sync'
                AND status IN ('queued', 'running')) AS syncs_pending
        FROM (SELECT count(*) AS conversations,
                     count(*) FILTER (WHERE read_mark IS NULL) AS conversations_unread,
                     count(*) FILTER (WHERE content_version <> indexed_version) AS conversations_unindexed
              FROM cw_conversations WHERE project_id = %(project)s) c,
             (SELECT count(*) AS chunks,
                     count(*) FILTER (WHERE embedding_status = 'ready') AS embeddings_ready,
                     count(*) FILTER (WHERE embedding_status IN ('pending', 'processing')) AS embeddings_pending,
                     count(*) FILTER (WHERE embedding_status = 'failed') AS embeddings_failed
              FROM rag_chunks WHERE project_id = %(project)s) k""",
        project=scope.project_id,
    )
