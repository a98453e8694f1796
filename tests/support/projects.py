"""Projects to test in."""

from proofdesk.audit.events import Actor, system_actor
from proofdesk.database.pool import Database
from proofdesk.jobs import new_projects
from proofdesk.projects import scope
from proofdesk.projects.scope import Scope


async def new_project(db: Database, name: str, actor: Actor | None = None) -> Scope:
    """Create a project and return its scope."""
    actor = actor or system_actor()
    created = await new_projects.create(db, actor, name)
    return await scope.enter(db, actor, created.id)
