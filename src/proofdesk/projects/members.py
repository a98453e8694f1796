"""List, add, change and remove the members of a project."""

from typing import Any

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Invalid, NotFound
from proofdesk.projects import queries, roles
from proofdesk.projects.queries import Member, UserName
from proofdesk.projects.scope import ProjectOwner, Scope


class MemberUserNotFound(NotFound):
    """No account has this username."""

    code = "user_not_found"


class InvalidRole(Invalid):
    """There is no such role."""

    code = "invalid_role"


class MemberNotFound(NotFound):
    """The project has no such member."""

    code = "member_not_found"


async def list_members(db: Database, scope: Scope) -> list[Member]:
    """Return the members of the project, oldest first."""
    async with db.scoped(scope) as conn:
        return await queries.list_members(conn, scope)


async def add(db: Database, owner: ProjectOwner, username: str, role: str | None = None) -> None:
    """Add a member with a role, or change the role of one. Without a role, a new one is `member`, an old one unchanged.

    Raises `InvalidRole` or `MemberUserNotFound`.
    """
    if role is not None and role not in roles.STORED_ROLES:
        raise InvalidRole(f"`role` must be one of {', '.join(roles.ROLES)}.")
    async with db.scoped(owner) as conn:
        user = await queries.get_user(conn, username.strip())
        if user is None:
            raise MemberUserNotFound(f"No account is named {username[:80]!r}.")
        if await queries.add_member(conn, owner, user.id, role or roles.MEMBER):
            await _record(conn, owner, "project.member_added", user, {"role": role or roles.MEMBER})
        elif role and (old := await queries.change_role(conn, owner, user.id, role)):
            await _record(conn, owner, "project.member_changed", user, {"from": old, "to": role})


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
