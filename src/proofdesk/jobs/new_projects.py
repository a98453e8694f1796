"""New projects, with a schedule for each job type of the catalog."""

from uuid import UUID

from proofdesk.audit.events import Actor
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.jobs import catalog, schedule_queries
from proofdesk.projects import projects
from proofdesk.projects.queries import Project


async def create(
    db: Database, actor: Actor, name: str, *, scope_key: str | None = None, scope_name: str | None = None
) -> Project:
    """Create a project with its schedules. Whoever creates it becomes its manager.

    Raises `Invalid` (`invalid_name`) unless the name has 2 to 160 characters.
    """
    async with db.transaction() as conn:
        project = await projects.create(conn, actor, name, scope_key=scope_key, scope_name=scope_name)
        await _add_schedules(conn, project.id)
    return project


async def add_missing_schedules(db: Database) -> int:
    """Give every project a schedule for the job types that came with a newer version. Return how many were added."""
    async with db.transaction() as conn:
        await schedule_queries.show_all_projects(conn)
        return await _add_schedules(conn)


async def _add_schedules(conn: Conn, project_id: UUID | None = None) -> int:
    return await schedule_queries.insert_missing_schedules(
        conn,
        [job.name for job in catalog.ALL],
        [job.cadence_seconds for job in catalog.ALL],
        [job.first_run_after for job in catalog.ALL],
        project_id,
    )
