"""SQL of the diagnosis of searches without hits."""

from dataclasses import dataclass

from proofdesk.database.rows import Conn, fetch_one
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class IndexCounts:
    """What a project has stored and indexed, and what waits to be."""

    conversations: int
    conversations_unread: int
    conversations_unindexed: int
    messages: int
    chunks: int
    embeddings_ready: int
    embeddings_pending: int
    embeddings_failed: int
    syncs_pending: int


async def count_indexed(conn: Conn, scope: Scope) -> IndexCounts:
    """Return the counts that search depends on."""
    return await fetch_one(
        conn,
        IndexCounts,
        """
        SELECT c.*, w.*,
               (SELECT count(*) FROM cw_conversations
                WHERE project_id = %(project)s AND read_mark IS NULL) AS conversations_unread,
               (SELECT count(*) FROM cw_conversations
                WHERE project_id = %(project)s AND content_version <> indexed_version) AS conversations_unindexed
        FROM (SELECT coalesce(sum(n) FILTER (WHERE kind = 'conversations'), 0)::bigint AS conversations,
                     coalesce(sum(n) FILTER (WHERE kind = 'messages'), 0)::bigint AS messages,
                     coalesce(sum(n) FILTER (WHERE kind IN ('pending', 'processing', 'ready', 'failed')), 0)::bigint
                         AS chunks,
                     coalesce(sum(n) FILTER (WHERE kind = 'ready'), 0)::bigint AS embeddings_ready,
                     coalesce(sum(n) FILTER (WHERE kind IN ('pending', 'processing')), 0)::bigint
                         AS embeddings_pending,
                     coalesce(sum(n) FILTER (WHERE kind = 'failed'), 0)::bigint AS embeddings_failed
              FROM project_counts WHERE project_id = %(project)s) c,
             (SELECT count(*) AS syncs_pending FROM worker_runs
              WHERE project_id = %(project)s AND job_type = 'chatwoot_sync' AND status IN ('queued', 'running')) w""",
        project=scope.project_id,
    )
