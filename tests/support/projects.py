"""Projects to test in."""

from proofdesk.audit.events import Actor, system_actor
from proofdesk.database.pool import Database
from proofdesk.projects import projects, scope
from proofdesk.projects.scope import Scope


async def new_project(db: Database, name: str, actor: Actor | None = None) -> Scope:
    """Create a project and return its scope."""
    actor = actor or system_actor()
    created = await projects.create(db, actor, name)
    return await scope.enter(db, actor, created.id)
