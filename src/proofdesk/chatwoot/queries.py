"""SQL of imported rows. A page of rows comes as JSON in one statement; unchanged rows are not written."""

from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_value
from proofdesk.projects.scope import Scope

Rows = list[dict[str, Any]]


async def store_inboxes(conn: Conn, scope: Scope, account_id: int, rows: Rows) -> int:
    """Insert or update inboxes; return how many rows changed."""
    return await execute(
        conn,
        """
        INSERT INTO cw_inboxes AS i (project_id, account_scope_id, account_id, inbox_id, name, channel_type)
        SELECT %(project)s, %(account_scope)s, %(account)s, r.*
        FROM jsonb_to_recordset(%(rows)s) AS r (inbox_id bigint, name text, channel_type text)
        ON CONFLICT (project_id, account_id, inbox_id) DO UPDATE
        SET name = EXCLUDED.name, channel_type = EXCLUDED.channel_type
        WHERE (i.name, i.channel_type) IS DISTINCT FROM (EXCLUDED.name, EXCLUDED.channel_type)""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        account=account_id,
        rows=Jsonb(rows),
    )


async def store_contacts(conn: Conn, scope: Scope, account_id: int, rows: Rows) -> int:
    """Insert or update contacts; return how many rows changed."""
    return await execute(
        conn,
        """
        INSERT INTO cw_contacts AS c (project_id, account_scope_id, account_id, contact_id, name, email,
            phone_number, identifier, blocked, additional_attributes, custom_attributes, created_at)
        SELECT %(project)s, %(account_scope)s, %(account)s, r.*
        FROM jsonb_to_recordset(%(rows)s) AS r (contact_id bigint, name text, email text, phone_number text,
            identifier text, blocked boolean, additional_attributes jsonb, custom_attributes jsonb,
            created_at timestamptz)
        ON CONFLICT (project_id, account_id, contact_id) DO UPDATE
        SET name = EXCLUDED.name, email = EXCLUDED.email, phone_number = EXCLUDED.phone_number,
            identifier = EXCLUDED.identifier, blocked = EXCLUDED.blocked,
            additional_attributes = EXCLUDED.additional_attributes, custom_attributes = EXCLUDED.custom_attributes,
            created_at = EXCLUDED.created_at, updated_at = now()
        WHERE (c.name, c.email, c.phone_number, c.identifier, c.blocked, c.additional_attributes,
               c.custom_attributes, c.created_at)
            IS DISTINCT FROM (EXCLUDED.name, EXCLUDED.email, EXCLUDED.phone_number, EXCLUDED.identifier,
               EXCLUDED.blocked, EXCLUDED.additional_attributes, EXCLUDED.custom_attributes, EXCLUDED.created_at)""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        account=account_id,
        rows=Jsonb(rows),
    )


async def store_conversations(conn: Conn, scope: Scope, account_id: int, rows: Rows) -> int:
    """Insert or update the listed fields of conversations; return how many rows changed."""
    return await execute(
        conn,
        """
        INSERT INTO cw_conversations AS c (project_id, account_scope_id, account_id, conversation_id, uuid, inbox_id,
            contact_id, status, priority, assignee_id, assignee_name, team_id, labels, additional_attributes,
            custom_attributes, snoozed_until, waiting_since, first_reply_at, last_activity_at, created_at, updated_at)
        SELECT %(project)s, %(account_scope)s, %(account)s, r.*
        FROM jsonb_to_recordset(%(rows)s) AS r (conversation_id bigint, uuid text, inbox_id bigint,
            contact_id bigint, status text, priority text, assignee_id bigint, assignee_name text, team_id bigint,
            labels text[], additional_attributes jsonb, custom_attributes jsonb, snoozed_until timestamptz,
            waiting_since timestamptz, first_reply_at timestamptz, last_activity_at timestamptz,
            created_at timestamptz, updated_at timestamptz)
        ON CONFLICT (project_id, account_id, conversation_id) DO UPDATE
        SET uuid = EXCLUDED.uuid, inbox_id = EXCLUDED.inbox_id, contact_id = EXCLUDED.contact_id,
            status = EXCLUDED.status, priority = EXCLUDED.priority, assignee_id = EXCLUDED.assignee_id,
            assignee_name = EXCLUDED.assignee_name, team_id = EXCLUDED.team_id, labels = EXCLUDED.labels,
            additional_attributes = EXCLUDED.additional_attributes, custom_attributes = EXCLUDED.custom_attributes,
            snoozed_until = EXCLUDED.snoozed_until, waiting_since = EXCLUDED.waiting_since,
            first_reply_at = EXCLUDED.first_reply_at, last_activity_at = EXCLUDED.last_activity_at,
            created_at = EXCLUDED.created_at, updated_at = EXCLUDED.updated_at
        WHERE (c.uuid, c.inbox_id, c.contact_id, c.status, c.priority, c.assignee_id, c.assignee_name, c.team_id,
               c.labels, c.additional_attributes, c.custom_attributes, c.snoozed_until, c.waiting_since,
               c.first_reply_at, c.last_activity_at, c.created_at, c.updated_at)
            IS DISTINCT FROM (EXCLUDED.uuid, EXCLUDED.inbox_id, EXCLUDED.contact_id, EXCLUDED.status,
               EXCLUDED.priority, EXCLUDED.assignee_id, EXCLUDED.assignee_name, EXCLUDED.team_id, EXCLUDED.labels,
               EXCLUDED.additional_attributes, EXCLUDED.custom_attributes, EXCLUDED.snoozed_until,
               EXCLUDED.waiting_since, EXCLUDED.first_reply_at, EXCLUDED.last_activity_at, EXCLUDED.created_at,
               EXCLUDED.updated_at)""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        account=account_id,
        rows=Jsonb(rows),
    )


async def store_messages(conn: Conn, scope: Scope, account_id: int, rows: Rows) -> int:
    """Insert or update messages and raise the content version of their conversations; return how many rows changed.

    A message never changes its conversation: one that is stored in another conversation stays unchanged.
    """
    return await fetch_value(
        conn,
        """
        WITH changed AS (
            INSERT INTO cw_messages AS m (project_id, account_scope_id, account_id, message_id, conversation_id,
                inbox_id, message_type, content_type, content, private, deleted, status, sender_type, sender_id,
                sender_name, source_id, content_attributes, attachments, created_at)
            SELECT %(project)s, %(account_scope)s, %(account)s, r.*
            FROM jsonb_to_recordset(%(rows)s) AS r (message_id bigint, conversation_id bigint, inbox_id bigint,
                message_type text, content_type text, content text, private boolean, deleted boolean, status text,
                sender_type text, sender_id bigint, sender_name text, source_id text, content_attributes jsonb,
                attachments jsonb, created_at timestamptz)
            ON CONFLICT (project_id, account_id, message_id) DO UPDATE
            SET inbox_id = EXCLUDED.inbox_id, message_type = EXCLUDED.message_type,
                content_type = EXCLUDED.content_type, content = EXCLUDED.content, private = EXCLUDED.private,
                deleted = EXCLUDED.deleted, status = EXCLUDED.status, sender_type = EXCLUDED.sender_type,
                sender_id = EXCLUDED.sender_id, sender_name = EXCLUDED.sender_name, source_id = EXCLUDED.source_id,
                content_attributes = EXCLUDED.content_attributes, attachments = EXCLUDED.attachments,
                created_at = EXCLUDED.created_at, updated_at = now()
            WHERE m.conversation_id = EXCLUDED.conversation_id
              AND (m.inbox_id, m.message_type, m.content_type, m.content, m.private, m.deleted, m.status,
                   m.sender_type, m.sender_id, m.sender_name, m.source_id, m.content_attributes, m.attachments,
                   m.created_at)
                IS DISTINCT FROM (EXCLUDED.inbox_id, EXCLUDED.message_type, EXCLUDED.content_type, EXCLUDED.content,
                   EXCLUDED.private, EXCLUDED.deleted, EXCLUDED.status, EXCLUDED.sender_type, EXCLUDED.sender_id,
                   EXCLUDED.sender_name, EXCLUDED.source_id, EXCLUDED.content_attributes, EXCLUDED.attachments,
                   EXCLUDED.created_at)
            RETURNING conversation_id),
        marked AS (
            UPDATE cw_conversations SET content_version = content_version + 1
            WHERE project_id = %(project)s AND account_id = %(account)s
              AND conversation_id IN (SELECT conversation_id FROM changed))
        SELECT count(*) FROM changed""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        account=account_id,
        rows=Jsonb(rows),
    )


async def refresh_statistics(conn: Conn) -> None:
    """Refresh the planner's statistics of the imported tables."""
    await execute(conn, "SELECT refresh_mirror_statistics()")


async def list_conversation_ids(conn: Conn, scope: Scope, account_id: int, inboxes: list[int] | None) -> list[int]:
    """Return the ids of all stored conversations of these inboxes (None: of the account)."""
    return await _fetch_ids(
        conn,
        """
        SELECT conversation_id AS id FROM cw_conversations
        WHERE project_id = %(project)s AND account_id = %(account)s
          AND (%(inboxes)s::bigint[] IS NULL OR inbox_id = ANY (%(inboxes)s))""",
        scope,
        account_id,
        inboxes=inboxes,
    )


async def list_contacts_without_conversation(conn: Conn, scope: Scope, account_id: int) -> list[int]:
    """Return the ids of stored contacts without a stored conversation."""
    return await _fetch_ids(
        conn,
        """
        SELECT contact_id AS id FROM cw_contacts c
        WHERE project_id = %(project)s AND account_id = %(account)s AND NOT EXISTS (
            SELECT FROM cw_conversations v WHERE v.project_id = c.project_id AND v.account_id = c.account_id
              AND v.contact_id = c.contact_id)""",
        scope,
        account_id,
    )


@dataclass(frozen=True)
class _Id:
    id: int


async def _fetch_ids(conn: Conn, statement: Any, scope: Scope, account_id: int, **params: Any) -> list[int]:
    rows = await fetch_all(conn, _Id, statement, project=scope.project_id, account=account_id, **params)
    return [row.id for row in rows]


@dataclass(frozen=True)
class InboxCounts:
    """Counts of the stored rows of an inbox."""

    inbox_id: int
    conversations: int
    messages: int
    highest_conversation_id: int
    highest_message_id: int


async def count_stored(conn: Conn, scope: Scope, account_id: int, conversation_ids: list[int]) -> list[InboxCounts]:
    """Count the stored rows of these conversations, by inbox."""
    return await fetch_all(
        conn,
        InboxCounts,
        """
        SELECT c.inbox_id, count(DISTINCT c.conversation_id) AS conversations, count(m.message_id) AS messages,
               max(c.conversation_id) AS highest_conversation_id,
               coalesce(max(m.message_id), 0) AS highest_message_id
        FROM cw_conversations c LEFT JOIN cw_messages m USING (project_id, account_id, conversation_id)
        WHERE c.project_id = %(project)s AND c.account_id = %(account)s AND c.conversation_id = ANY (%(ids)s)
        GROUP BY c.inbox_id""",
        project=scope.project_id,
        account=account_id,
        ids=conversation_ids,
    )
