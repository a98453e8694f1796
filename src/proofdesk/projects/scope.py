"""Scopes: the proof that an actor may enter a project. Queries on the rows of a project take one."""

from dataclasses import dataclass
from uuid import UUID

from proofdesk.accounts.session_queries import ActiveSession
from proofdesk.audit.events import Actor
from proofdesk.database.pool import Database
from proofdesk.errors import NotFound
from proofdesk.projects import queries, roles


@dataclass(frozen=True)
class Scope:
    """An actor in a project, with their role in it. Created by `enter` and `active_scope` only."""

    actor: Actor
    project_id: UUID
    account_scope_id: UUID
    role: str

    def may(self, role: str) -> bool:
        """Return whether the actor may do what this role may."""
        return roles.includes(self.role, role)

    def require(self, role: str) -> None:
        """Raise `RoleRequired` (`forbidden`) unless the actor may do what this role may."""
        if not self.may(role):
            raise roles.RoleRequired(self.role, role)


@dataclass(frozen=True)
class ProjectOwner(Scope):
    """The scope of the owner of the installation, or of a manager of the project. Created by `require_owner` only."""


class ProjectNotFound(NotFound):
    """The project does not exist, or this actor may not enter it."""

    code = "project_not_found"


async def enter(db: Database, actor: Actor, project_id: UUID) -> Scope:
    """Check that the project exists, is not archived, and that the actor is the owner or a member.

    Raises `ProjectNotFound` otherwise, and does not tell which of these failed.
    """
    async with db.statement() as conn:
        entry = await queries.find_entry(conn, actor, project_id)
    if entry is None:
        raise ProjectNotFound("There is no such project.")
    return Scope(actor, entry.project_id, entry.account_scope_id, entry.role)


def active_scope(actor: Actor, session: ActiveSession) -> Scope | None:
    """Return the active project of the session. The query that read the session has checked the same as `enter`."""
    if session.active_project_id is None or session.account_scope_id is None or session.role is None:
        return None
    return Scope(actor, session.active_project_id, session.account_scope_id, session.role)


async def require_owner(db: Database, scope: Scope) -> ProjectOwner:
    """Check that the actor still is a manager. Raises `RoleRequired` (`forbidden`) or `ProjectNotFound`."""
    entered = await enter(db, scope.actor, scope.project_id)
    entered.require("manager")
    return ProjectOwner(entered.actor, entered.project_id, entered.account_scope_id, entered.role)
