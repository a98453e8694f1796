"""The time zone of a project's business: in it, "tomorrow" and "by Friday" become days."""

from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Invalid
from proofdesk.projects import queries
from proofdesk.projects.scope import ProjectOwner, Scope


@cache
def list_names() -> list[str]:
    """Return the names of all time zones, sorted."""
    return sorted(name for name in available_timezones() if "/" in name or name == "UTC")


async def load(conn: Conn, scope: Scope, default: str) -> ZoneInfo:
    """Return the time zone of the project, or the default of the installation."""
    return ZoneInfo(await queries.fetch_timezone(conn, scope) or default)


async def load_own(db: Database, scope: Scope) -> str | None:
    """Return the time zone that was set for the project, None when it uses the default."""
    async with db.scoped(scope) as conn:
        return await queries.fetch_timezone(conn, scope)


async def change(db: Database, owner: ProjectOwner, name: str) -> None:
    """Set the time zone of the project; "" means the default. Raises `Invalid` (`invalid_timezone`)."""
    name = name.strip()
    try:
        if name:
            ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"{name[:64]!r} is not a time zone. Use a name such as Europe/Berlin."
        raise Invalid(message, code="invalid_timezone") from None
    async with db.scoped(owner) as conn:
        if await queries.fetch_timezone(conn, owner) == (name or None):
            return
        await queries.set_timezone(conn, owner, name or None)
        await events.record(
            conn,
            owner.actor,
            "project.timezone_changed",
            "project",
            owner.project_id,
            scope=owner,
            payload={"timezone": name or None},
        )
