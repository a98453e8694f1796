"""SQL of the secret calendar address of a project."""

from dataclasses import dataclass
from datetime import datetime

from proofdesk.database.rows import Conn, execute, fetch_optional
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class CalendarFeed:
    """The calendar of a project: the hash of its token, and who created it."""

    token_hash: bytes
    created_by: str
    created_at: datetime


async def fetch_feed(conn: Conn, scope: Scope) -> CalendarFeed | None:
    """Return the calendar of the project, None when it has none."""
    return await fetch_optional(
        conn,
        CalendarFeed,
        "SELECT token_hash, created_by, created_at FROM calendar_feeds WHERE project_id = %(project)s",
        project=scope.project_id,
    )


async def store_feed(conn: Conn, scope: Scope, token_hash: bytes, created_by: str) -> None:
    """Store the calendar of the project. An earlier address stops working."""
    await execute(
        conn,
        """
        INSERT INTO calendar_feeds (project_id, account_scope_id, token_hash, created_by)
        VALUES (%(project)s, %(account_scope)s, %(hash)s, %(by)s)
        ON CONFLICT (project_id) DO UPDATE
        SET token_hash = excluded.token_hash, created_by = excluded.created_by, created_at = now()""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        hash=token_hash,
        by=created_by,
    )


async def delete_feed(conn: Conn, scope: Scope) -> bool:
    """Delete the calendar of the project. Return whether there was one."""
    deleted = await execute(conn, "DELETE FROM calendar_feeds WHERE project_id = %(project)s", project=scope.project_id)
    return bool(deleted)
