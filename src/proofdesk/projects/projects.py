"""Projects: made, listed and found, renamed and put away."""

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
from proofdesk.projects.scope import Keeper, ProjectNotFound, Scope
from proofdesk.projects.source_queries import Source

DEFAULT_ACCOUNT_SCOPE = "default"


@dataclass(frozen=True)
class Made:
    """A project that its transaction has just made: nobody has entered it yet."""

    project_id: UUID
    account_scope_id: UUID


async def create(
    db: Database, actor: Actor, name: str, *, scope_key: str | None = None, scope_name: str | None = None
) -> Project:
    """Make a project; who makes it becomes its member.

    Raises `Invalid` (`invalid_name`) unless the name has 2 to 160 characters.
    """
    name = _fit(name)
    key = (scope_key or DEFAULT_ACCOUNT_SCOPE).strip()[:160]
    async with db.transaction() as conn:
        account_scope = await queries.ensure_account_scope(conn, key, (scope_name or key).strip()[:160])
        project = await queries.insert_project(conn, account_scope, name, actor.user_id)
        await queries.go_into(conn, project)
        if actor.user_id is not None and not actor.is_owner:
            await queries.add_member(conn, project.id, account_scope, actor.user_id)
        inside = Made(project.id, account_scope)
        payload = {"name": name, "account_scope_key": key}
        await events.record(conn, actor, "project.created", "project", project.id, scope=inside, payload=payload)
    return project


async def rename(db: Database, keeper: Keeper, name: str) -> Project:
    """Give the project another name. Raises `Invalid` (`invalid_name`)."""
    name = _fit(name)
    async with db.scoped(keeper) as conn:
        old = await queries.rename(conn, keeper, name)
        project = await queries.visible_project(conn, keeper.actor, keeper.project_id)
        if old is None or project is None:
            raise ProjectNotFound("There is no such project.")
        if old != name:
            await _record(conn, keeper, "project.renamed", {"from": old, "to": name})
    return project


async def archive(db: Database, keeper: Keeper) -> list[Source]:
    """Put the project away: nobody enters it any more, its data stays; the sources it let go of, free for others.

    Raises `ProjectNotFound` when it was archived already.
    """
    async with db.scoped(keeper) as conn:
        if not await queries.archive(conn, keeper):
            raise ProjectNotFound("There is no such project.")
        freed = await source_queries.delete_sources(conn, keeper)
        await _record(conn, keeper, "project.archived", {"sources": [s.external_id for s in freed]})
    return freed


async def visible(db: Database, actor: Actor) -> list[Project]:
    """The projects the actor may enter, oldest first."""
    async with db.statement() as conn:
        return await queries.visible_projects(conn, actor)


async def list_names(db: Database) -> list[ProjectName]:
    """Return all projects, archived ones included, oldest first. For commands of the owner."""
    async with db.transaction() as conn:
        return await queries.project_names(conn)


async def by_name_or_id(db: Database, text: str) -> Project:
    """The project of that id or exact name, for people at a terminal.

    Raises `ProjectNotFound` when there is none and `Conflict` when several have the name.
    """
    async with db.transaction() as conn:
        found = await queries.named_projects(conn, text)
    if not found and (project_id := as_id(text)):
        async with db.transaction() as conn:
            one = await queries.visible_project(conn, Actor("system", None, True), project_id)
        found = [one] if one else []
    if not found:
        raise ProjectNotFound(f"There is no project {text!r}. `proofdesk project list` shows them.")
    if len(found) > 1:
        raise Conflict(f"{len(found)} projects are named {text!r}; give the id instead.")
    return found[0]


def as_id(text: str) -> UUID | None:
    """The text as a project id, or None when it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _fit(name: str) -> str:
    name = " ".join(name.split())
    if not 2 <= len(name) <= 160:
        raise Invalid("A project's name has 2 to 160 characters.", code="invalid_name")
    return name


async def _record(conn: Conn, inside: Scope, action: str, payload: dict[str, Any]) -> None:
    await events.record(conn, inside.actor, action, "project", inside.project_id, scope=inside, payload=payload)
