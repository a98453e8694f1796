"""SQL of the overview."""

from dataclasses import dataclass
from datetime import datetime

from proofdesk.database.rows import Conn, fetch_all, fetch_value
from proofdesk.jobs import catalog
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class DailyMessages:
    """The number of messages that were received and sent on a day, in UTC."""

    day: datetime
    received: int
    sent: int


async def messages_by_day(conn: Conn, scope: Scope, most: int) -> list[DailyMessages]:
    """Return the messages of the last `most` days, including days without any; nothing if there is no message."""
    return await fetch_all(
        conn,
        DailyMessages,
        """
        WITH newest AS (
            SELECT FROM cw_messages
            WHERE project_id = %(project)s ORDER BY created_at DESC, message_id DESC LIMIT 1),
        days AS (
            SELECT date_trunc('day', now(), 'UTC') - make_interval(hours => 24 * back) AS day
            FROM newest, generate_series(0, %(most)s - 1) back)
        SELECT d.day, c.received, c.sent
        FROM days d CROSS JOIN LATERAL (
            -- One range for each day: the planner would read everything for all days at once.
            SELECT count(*) FILTER (WHERE m.message_type = 'incoming') AS received,
                   count(*) FILTER (WHERE m.message_type IN ('outgoing', 'template') AND NOT m.private) AS sent
            FROM cw_messages m
            WHERE m.project_id = %(project)s
              AND m.created_at >= d.day AND m.created_at < d.day + make_interval(hours => 24)) c
        ORDER BY d.day""",
        project=scope.project_id,
        most=most,
    )


async def last_synced_at(conn: Conn, scope: Scope) -> datetime | None:
    """Return the end of the last successful sync."""
    return await fetch_value(
        conn,
        """
        SELECT finished_at FROM worker_runs
        WHERE project_id = %(project)s AND job_type = %(sync)s AND status = 'ok'
        ORDER BY created_at DESC LIMIT 1""",
        project=scope.project_id,
        sync=catalog.SYNC.name,
    )
