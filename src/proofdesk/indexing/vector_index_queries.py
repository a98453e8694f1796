"""SQL of the index over a project's vectors."""

from dataclasses import dataclass

from proofdesk.database.rows import Conn, fetch_all
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class ServedModel:
    """A model whose vectors are searched, and how many the project has by it."""

    model: str
    dimension: int
    vectors: int


async def list_served_models(conn: Conn, scope: Scope) -> list[ServedModel]:
    """The models that may be searched: the complete ones, or all while none is."""
    return await fetch_all(
        conn,
        ServedModel,
        """
        SELECT m.model, m.dimension,
               (SELECT count(*) FROM rag_vectors v
                WHERE v.project_id = %(project)s AND v.model = m.model) AS vectors
        FROM rag_models m
        WHERE m.project_id = %(project)s AND (m.complete_at IS NOT NULL OR NOT EXISTS (
            SELECT FROM rag_models WHERE project_id = %(project)s AND complete_at IS NOT NULL))
        ORDER BY m.model""",
        project=scope.project_id,
    )
