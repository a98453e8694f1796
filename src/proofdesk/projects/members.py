"""List, add and remove the members of a project."""

from typing import Any

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import NotFound
from proofdesk.projects import queries
from proofdesk.projects.queries import Member, UserName
from proofdesk.projects.scope import ProjectOwner, Scope


class MemberUserNotFound(NotFound):
    """No account has this username."""

    code = "user_not_found"


class MemberNotFound(NotFound):
    """The project has no such member."""

    code = "member_not_found"


async def list_members(db: Database, scope: Scope) -> list[Member]:
    """Return the members of the project, oldest first."""
    async with db.scoped(scope) as conn:
        return await queries.list_members(conn, scope)


async def add(db: Database, owner: ProjectOwner, username: str) -> None:
    """Add a member. Nothing changes when they are one already. Raises `MemberUserNotFound`."""
    async with db.scoped(owner) as conn:
        user = await queries.get_user(conn, username.strip())
        if user is None:
            raise MemberUserNotFound(f"No account is named {username[:80]!r}.")
        if await queries.add_member(conn, owner.project_id, owner.account_scope_id, user.id):
            await _record(conn, owner, "project.member_added", user, {"role": "member"})


async def remove(db: Database, owner: ProjectOwner, username: str) -> None:
    """Remove a member: they cannot see the project any more. Raises `MemberNotFound`."""
    async with db.scoped(owner) as conn:
        user = await queries.get_user(conn, username.strip())
        if user is None or not await queries.remove_member(conn, owner, user.id):
            raise MemberNotFound(f"The project has no member {username[:80]!r}.")
        await _record(conn, owner, "project.member_removed", user, {})


async def _record(conn: Conn, owner: ProjectOwner, action: str, user: UserName, payload: dict[str, Any]) -> None:
    details = {"username": user.username} | payload
    await events.record(conn, owner.actor, action, "user", user.id, scope=owner, payload=details)
