"""SQL of the totals of a project. Triggers keep them in `project_counts`."""

from dataclasses import dataclass

from proofdesk.database.rows import Conn, fetch_one, fetch_value
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class EntityCounts:
    """The number of contacts, conversations, messages and chunks of a project."""

    contacts: int
    conversations: int
    messages: int
    rag_chunks: int


async def count_entities(conn: Conn, scope: Scope) -> EntityCounts:
    """Return the totals of the project."""
    return await fetch_one(
        conn,
        EntityCounts,
        """
        SELECT coalesce(sum(n) FILTER (WHERE kind = 'contacts'), 0)::bigint AS contacts,
               coalesce(sum(n) FILTER (WHERE kind = 'conversations'), 0)::bigint AS conversations,
               coalesce(sum(n) FILTER (WHERE kind = 'messages'), 0)::bigint AS messages,
               coalesce(sum(n) FILTER (WHERE kind IN ('pending', 'processing', 'ready', 'failed')), 0)::bigint
                   AS rag_chunks
        FROM project_counts WHERE project_id = %(project)s""",
        project=scope.project_id,
    )


async def gather_counts(conn: Conn) -> int:
    """Merge the counts of closed connections of the transaction's project into one row of each kind.

    Return the number of rows that were merged.
    """
    return await fetch_value(conn, "SELECT gather_counts()")
