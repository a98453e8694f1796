"""Scopes: the proof that an actor may enter a project. Queries on the rows of a project take one."""

from dataclasses import dataclass
from uuid import UUID

from proofdesk.accounts.session_queries import ActiveSession
from proofdesk.audit.events import Actor
from proofdesk.database.pool import Database
from proofdesk.errors import Denied, NotFound
from proofdesk.projects import queries


@dataclass(frozen=True)
class Scope:
    """An actor in a project. Created by `enter` and `active_scope` only."""

    actor: Actor
    project_id: UUID
    account_scope_id: UUID


@dataclass(frozen=True)
class ProjectOwner(Scope):
    """The scope of the owner of the installation, or of the creator of the project. Created by `require_owner` only."""


class ProjectNotFound(NotFound):
    """The project does not exist, or this actor may not enter it."""

    code = "project_not_found"


async def enter(db: Database, actor: Actor, project_id: UUID) -> Scope:
    """Check that the project exists, is not archived, and that the actor is the owner or a member.

    Raises `ProjectNotFound` otherwise, and does not tell which of these failed.
    """
    async with db.statement() as conn:
        project = await queries.get_visible_project(conn, actor, project_id)
    if project is None:
        raise ProjectNotFound("There is no such project.")
    return Scope(actor, project.id, project.account_scope_id)


def active_scope(actor: Actor, session: ActiveSession) -> Scope | None:
    """Return the active project of the session. The query that read the session has checked the same as `enter`."""
    if session.active_project_id is None or session.account_scope_id is None:
        return None
    return Scope(actor, session.active_project_id, session.account_scope_id)


async def require_owner(db: Database, scope: Scope) -> ProjectOwner:
    """Check that the actor is an owner of the project. Raises `Denied` (`forbidden`)."""
    if not await is_project_owner(db, scope):
        raise Denied("Only the owner or the creator of the project can do this.", code="forbidden", status=403)
    return ProjectOwner(scope.actor, scope.project_id, scope.account_scope_id)


async def is_project_owner(db: Database, scope: Scope) -> bool:
    """Return whether the actor is the owner of the installation or created the project."""
    async with db.transaction() as conn:
        return await queries.is_project_owner(conn, scope.actor, scope.project_id)
