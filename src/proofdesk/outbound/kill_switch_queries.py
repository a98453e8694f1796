"""SQL of the kill switches: one for each project, and one for all projects."""

from dataclasses import dataclass
from datetime import datetime

from proofdesk.database.rows import Conn, execute, fetch_optional
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class ActiveKillSwitch:
    """A kill switch that is on: who stopped all sending, when and why. `all_projects`: in every project."""

    all_projects: bool
    since: datetime
    by: str
    reason: str


async def fetch_active(conn: Conn, scope: Scope) -> ActiveKillSwitch | None:
    """Return the kill switch that stops the project, that of all projects first; None when sending is on."""
    return await fetch_optional(
        conn,
        ActiveKillSwitch,
        """
        SELECT true AS all_projects, (value ->> 'since')::timestamptz AS since, value ->> 'by' AS by,
               value ->> 'reason' AS reason
        FROM app_settings WHERE key = 'kill_switch'
        UNION ALL
        SELECT false, since, switched_by, reason FROM kill_switches WHERE project_id = %(project)s
        ORDER BY all_projects DESC LIMIT 1""",
        project=scope.project_id,
    )


async def insert_for_project(conn: Conn, scope: Scope, reason: str) -> int:
    """Switch sending off in the project; return 0 when it was off already."""
    return await execute(
        conn,
        """
        INSERT INTO kill_switches (project_id, account_scope_id, switched_by, reason)
        VALUES (%(project)s, %(account_scope)s, %(by)s, %(reason)s) ON CONFLICT DO NOTHING""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        by=scope.actor.username,
        reason=reason,
    )


async def delete_for_project(conn: Conn, scope: Scope) -> int:
    """Switch sending on in the project; return 0 when it was on already."""
    return await execute(conn, "DELETE FROM kill_switches WHERE project_id = %(project)s", project=scope.project_id)


async def insert_for_all_projects(conn: Conn, by: str, reason: str) -> int:
    """Switch sending off in every project; return 0 when it was off already."""
    return await execute(
        conn,
        """
        INSERT INTO app_settings (key, value)
        VALUES ('kill_switch', jsonb_build_object('since', clock_timestamp(), 'by', %(by)s::text,
                                                  'reason', %(reason)s::text))
        ON CONFLICT DO NOTHING""",
        by=by,
        reason=reason,
    )


async def delete_for_all_projects(conn: Conn) -> int:
    """Remove the kill switch of all projects; return 0 when there was none."""
    return await execute(conn, "DELETE FROM app_settings WHERE key = 'kill_switch'")
