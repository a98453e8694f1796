"""Members: who may enter a project, besides the owner of the installation."""

from typing import Any

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import NotFound
from proofdesk.projects import queries
from proofdesk.projects.queries import Member, User
from proofdesk.projects.scope import Keeper, Scope


class UserNotFound(NotFound):
    """There is no account of that name."""

    code = "user_not_found"


class MemberNotFound(NotFound):
    """The project has no such member."""

    code = "member_not_found"


async def listed(db: Database, scope: Scope) -> list[Member]:
    """Who may enter the project, in the order in which they came."""
    async with db.scoped(scope) as conn:
        return await queries.members(conn, scope)


async def add(db: Database, keeper: Keeper, username: str) -> None:
    """Make somebody a member; nothing happens when he is one. Raises `UserNotFound`."""
    async with db.scoped(keeper) as conn:
        user = await queries.user(conn, username.strip())
        if user is None:
            raise UserNotFound(f"There is no account {username[:80]!r}.")
        if await queries.add_member(conn, keeper.project_id, keeper.account_scope_id, user.id):
            await _record(conn, keeper, "project.member_added", user, {"role": "member"})


async def remove(db: Database, keeper: Keeper, username: str) -> None:
    """Let a member go: the project does not exist for him any more. Raises `MemberNotFound`."""
    async with db.scoped(keeper) as conn:
        user = await queries.user(conn, username.strip())
        if user is None or not await queries.remove_member(conn, keeper, user.id):
            raise MemberNotFound(f"The project has no member {username[:80]!r}.")
        await _record(conn, keeper, "project.member_removed", user, {})


async def _record(conn: Conn, keeper: Keeper, action: str, user: User, payload: dict[str, Any]) -> None:
    told = {"username": user.username} | payload
    await events.record(conn, keeper.actor, action, "user", user.id, scope=keeper, payload=told)
