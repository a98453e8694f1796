"""Create, list, rename and archive projects."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from proofdesk.audit import events
from proofdesk.audit.events import Actor
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Conflict, Invalid
from proofdesk.projects import queries, source_queries
from proofdesk.projects.queries import Project, ProjectName
from proofdesk.projects.scope import ProjectNotFound, ProjectOwner, Scope
from proofdesk.projects.source_queries import Source

DEFAULT_ACCOUNT_SCOPE = "default"
MIN_NAME_LENGTH, MAX_NAME_LENGTH = 2, 160  # characters


@dataclass(frozen=True)
class NewProjectScope:
    """The scope of a project that this transaction has just created."""

    project_id: UUID
    account_scope_id: UUID


async def create(
    conn: Conn, actor: Actor, name: str, *, scope_key: str | None = None, scope_name: str | None = None
) -> Project:
    """Create a project and set it as the project of the transaction. Whoever creates it becomes its manager.

    Raises `Invalid` (`invalid_name`) unless the name has 2 to 160 characters. `jobs.new_projects.create` adds what
    every project has besides.
    """
    name = _validate_name(name)
    key = (scope_key or DEFAULT_ACCOUNT_SCOPE).strip()[:MAX_NAME_LENGTH]
    account_scope = await queries.ensure_account_scope(conn, key, (scope_name or key).strip()[:MAX_NAME_LENGTH])
    project = await queries.insert_project(conn, account_scope, name, actor.user_id)
    await queries.set_current_project(conn, project)
    scope = NewProjectScope(project.id, account_scope)
    if actor.user_id is not None and not actor.is_owner:
        await queries.add_member(conn, scope, actor.user_id, "manager")
    payload = {"name": name, "account_scope_key": key}
    await events.record(conn, actor, "project.created", "project", project.id, scope=scope, payload=payload)
    return project


async def rename(db: Database, owner: ProjectOwner, name: str) -> Project:
    """Rename the project. Raises `Invalid` (`invalid_name`)."""
    name = _validate_name(name)
    async with db.scoped(owner) as conn:
        old = await queries.rename(conn, owner, name)
        project = await queries.get_visible_project(conn, owner.actor, owner.project_id)
        if old is None or project is None:
            raise ProjectNotFound("There is no such project.")
        if old != name:
            await _record(conn, owner, "project.renamed", {"from": old, "to": name})
    return project


async def archive(db: Database, owner: ProjectOwner) -> list[Source]:
    """Archive the project, unbind its sources, and return them. Nobody can enter the project any more; its data stays.

    Raises `ProjectNotFound` when the project is archived already.
    """
    async with db.scoped(owner) as conn:
        if not await queries.archive(conn, owner):
            raise ProjectNotFound("There is no such project.")
        unbound = await source_queries.delete_sources(conn, owner)
        await _record(conn, owner, "project.archived", {"sources": [s.external_id for s in unbound]})
    return unbound


async def list_visible(db: Database, actor: Actor) -> list[Project]:
    """Return the projects that the actor may enter, oldest first."""
    async with db.statement() as conn:
        return await queries.list_visible_projects(conn, actor)


async def list_names(db: Database) -> list[ProjectName]:
    """Return all projects, archived ones included, oldest first. For commands of the owner."""
    async with db.transaction() as conn:
        return await queries.list_project_names(conn)


async def get_by_name_or_id(db: Database, text: str) -> Project:
    """Return the project with this id or exact name, for commands of the owner.

    Raises `ProjectNotFound`, and `Conflict` when several projects have the name.
    """
    async with db.transaction() as conn:
        matches = await queries.list_projects_named(conn, text)
    if not matches and (project_id := parse_id(text)):
        async with db.transaction() as conn:
            project = await queries.get_visible_project(conn, Actor("system", None, True), project_id)
        matches = [project] if project else []
    if not matches:
        raise ProjectNotFound(f"There is no project {text!r}. `proofdesk project list` shows them.")
    if len(matches) > 1:
        raise Conflict(f"{len(matches)} projects are named {text!r}. Use the id of the project instead.")
    return matches[0]


def parse_id(text: str) -> UUID | None:
    """Return the text as a project id, or None when it is not a UUID."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _validate_name(name: str) -> str:
    name = " ".join(name.split())
    if not MIN_NAME_LENGTH <= len(name) <= MAX_NAME_LENGTH:
        message = f"A project name must have {MIN_NAME_LENGTH} to {MAX_NAME_LENGTH} characters."
        raise Invalid(message, code="invalid_name")
    return name


async def _record(conn: Conn, scope: Scope, action: str, payload: dict[str, Any]) -> None:
    await events.record(conn, scope.actor, action, "project", scope.project_id, scope=scope, payload=payload)
