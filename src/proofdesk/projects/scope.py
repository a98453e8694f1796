"""A scope is the proof that an actor may act in a project. Queries on a project's rows take one."""

from dataclasses import dataclass
from uuid import UUID

from proofdesk.audit.trail import Actor
from proofdesk.db.pool import Database
from proofdesk.errors import NotFound
from proofdesk.projects import queries


@dataclass(frozen=True)
class Scope:
    """An actor inside a project. Made by `enter` only."""

    actor: Actor
    project_id: UUID
    account_scope_id: UUID


class ProjectNotFound(NotFound):
    """There is no such project, or none for this actor."""

    code = "project_not_found"


async def enter(db: Database, actor: Actor, project_id: UUID) -> Scope:
    """Check that the project exists, is not archived, and that the actor is the owner or a member.

    Raises `ProjectNotFound` otherwise, without telling which of these it was.
    """
    async with db.transaction() as conn:
        project = await queries.visible_project(conn, actor, project_id)
    if project is None:
        raise ProjectNotFound("There is no such project.")
    return Scope(actor, project.id, project.account_scope_id)
