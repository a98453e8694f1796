"""Projects: made, listed and found."""

from uuid import UUID

from proofdesk.audit.trail import Actor
from proofdesk.db.pool import Database
from proofdesk.errors import Conflict, Invalid
from proofdesk.projects import queries
from proofdesk.projects.queries import Project
from proofdesk.projects.scope import ProjectNotFound

DEFAULT_ACCOUNT_SCOPE = "default"


async def create(
    db: Database, actor: Actor, name: str, *, scope_key: str | None = None, scope_name: str | None = None
) -> Project:
    """Make a project; who makes it becomes its member.

    Raises `Invalid` (`invalid_name`) unless the name has 2 to 160 characters.
    """
    name = " ".join(name.split())
    if not 2 <= len(name) <= 160:
        raise Invalid("A project's name has 2 to 160 characters.", code="invalid_name")
    key = (scope_key or DEFAULT_ACCOUNT_SCOPE).strip()[:160]
    async with db.transaction() as conn:
        account_scope = await queries.ensure_account_scope(conn, key, (scope_name or key).strip()[:160])
        project = await queries.insert_project(conn, account_scope, name, actor.user_id)
        if actor.user_id is not None and not actor.is_owner:
            await queries.add_member(conn, project, actor.user_id)
    return project


async def visible(db: Database, actor: Actor) -> list[Project]:
    """The projects the actor may enter, oldest first."""
    async with db.transaction() as conn:
        return await queries.visible_projects(conn, actor)


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
