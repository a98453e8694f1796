"""SQL of the models whose vectors are searched."""

from dataclasses import dataclass

from proofdesk.database.rows import Conn, fetch_all
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class ServedModel:
    """A model whose vectors are searched, and how many vectors the project has."""

    model: str
    dimension: int
    vectors: int


async def list_served_models(conn: Conn, scope: Scope) -> list[ServedModel]:
    """Return the models that search may use: the complete ones, or all while none is complete."""
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
