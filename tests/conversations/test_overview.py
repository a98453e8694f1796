"""The days of the overview, and the counts of the status."""

from datetime import UTC, datetime, timedelta

import psycopg

from proofdesk.dashboard import overview_queries as queries
from proofdesk.dashboard.overview_queries import DailyMessages
from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope


def write(conn: psycopg.Connection, project: Scope, at: datetime, message_type: str, *, private: bool = False) -> None:
    conn.execute(
        "INSERT INTO cw_messages (project_id, account_scope_id, account_id, message_id, conversation_id, inbox_id,"
        " message_type, content_type, content, private, deleted, sender_type, content_attributes, attachments,"
        " created_at) SELECT %s, %s, 1, count(*), 1, 1, %s, 'text', '', %s, false, 'contact', '{}', '[]', %s"
        " FROM cw_messages",
        [project.project_id, project.account_scope_id, message_type, private, at],
    )


async def test_days_end_today_and_count_both_ways(db: Database, project: Scope, owner_conn: psycopg.Connection):
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    midnight = today - timedelta(days=1)
    owner_conn.execute(
        "INSERT INTO cw_conversations (project_id, account_scope_id, account_id, conversation_id, inbox_id, contact_id,"
        " status, labels, additional_attributes, custom_attributes, last_activity_at, created_at, updated_at)"
        " VALUES (%s, %s, 1, 1, 1, 1, 'open', '{}', '{}', '{}', now(), now(), now())",
        [project.project_id, project.account_scope_id],
    )
    for message_type in ("incoming", "outgoing", "template", "activity"):
        write(owner_conn, project, today, message_type)
    write(owner_conn, project, today, "outgoing", private=True)
    write(owner_conn, project, midnight, "incoming")
    write(owner_conn, project, midnight - timedelta(microseconds=1), "incoming")
    write(owner_conn, project, midnight - timedelta(days=2), "incoming")
    async with db.scoped(project) as conn:
        assert await queries.messages_by_day(conn, project, 3) == [
            DailyMessages(midnight - timedelta(days=1), 1, 0),
            DailyMessages(midnight, 1, 0),
            DailyMessages(today, 1, 2),
        ]
        assert len(await queries.messages_by_day(conn, project, 4)) == 4


async def test_project_without_messages_has_no_days(db: Database, project: Scope):
    async with db.scoped(project) as conn:
        assert await queries.messages_by_day(conn, project, 30) == []
