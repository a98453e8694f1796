"""SQL that finds and deletes what Chatwoot no longer has."""

from dataclasses import dataclass
from typing import Any

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_value
from proofdesk.projects.scope import Scope

Rows = list[dict[str, Any]]


async def delete_empty_inboxes(conn: Conn, scope: Scope, account_id: int, listed: list[int]) -> int:
    """Delete inboxes that Chatwoot does not list and that hold no stored conversation; return how many."""
    return await execute(
        conn,
        """
        DELETE FROM cw_inboxes i
        WHERE project_id = %(project)s AND account_id = %(account)s AND inbox_id <> ALL (%(listed)s::bigint[])
          AND NOT EXISTS (SELECT FROM cw_conversations c WHERE c.project_id = i.project_id
            AND c.account_id = i.account_id AND c.inbox_id = i.inbox_id)""",
        project=scope.project_id,
        account=account_id,
        listed=listed,
    )


async def delete_conversations(conn: Conn, scope: Scope, account_id: int, conversation_ids: list[int]) -> int:
    """Delete conversations with their messages and chunks; return how many messages were deleted."""
    return await fetch_value(
        conn,
        """
        WITH counted AS (
            SELECT count(*) AS messages FROM cw_messages
            WHERE project_id = %(project)s AND account_id = %(account)s AND conversation_id = ANY (%(ids)s)),
        gone AS (
            DELETE FROM cw_conversations
            WHERE project_id = %(project)s AND account_id = %(account)s AND conversation_id = ANY (%(ids)s)),
        forgotten AS (
            DELETE FROM sync_quarantine
            WHERE project_id = %(project)s AND account_id = %(account)s
              AND (conversation_id = ANY (%(ids)s)
                   OR entity = 'conversation' AND entity_id = ANY (%(ids)s::bigint[]::text[])))
        SELECT messages FROM counted""",
        project=scope.project_id,
        account=account_id,
        ids=conversation_ids,
    )


async def delete_contacts(conn: Conn, scope: Scope, account_id: int, contact_ids: list[int]) -> int:
    """Delete contacts; return how many."""
    return await execute(
        conn,
        """
        DELETE FROM cw_contacts
        WHERE project_id = %(project)s AND account_id = %(account)s AND contact_id = ANY (%(ids)s)""",
        project=scope.project_id,
        account=account_id,
        ids=contact_ids,
    )


@dataclass(frozen=True)
class _Deleted:
    inbox_id: int
    messages: int


@dataclass(frozen=True)
class _Missing:
    conversation_id: int
    message_ids: list[int]


async def find_missing_messages(
    conn: Conn, scope: Scope, account_id: int, conversation_ids: list[int], present: list[int]
) -> dict[int, list[int]]:
    """Return the stored messages of these conversations that are not in `present`, by conversation."""
    missing = await fetch_all(
        conn,
        _Missing,
        """
        SELECT conversation_id, array_agg(message_id ORDER BY message_id) AS message_ids FROM cw_messages
        WHERE project_id = %(project)s AND account_id = %(account)s AND conversation_id = ANY (%(ids)s)
          AND NOT EXISTS (SELECT FROM unnest(%(present)s::bigint[]) AS p (id) WHERE p.id = message_id)
        GROUP BY conversation_id""",
        project=scope.project_id,
        account=account_id,
        ids=conversation_ids,
        present=present,
    )
    return {row.conversation_id: row.message_ids for row in missing}


async def delete_messages(conn: Conn, scope: Scope, account_id: int, message_ids: list[int]) -> dict[int, int]:
    """Delete messages; return how many, by inbox."""
    deleted = await fetch_all(
        conn,
        _Deleted,
        """
        WITH gone AS (
            DELETE FROM cw_messages
            WHERE project_id = %(project)s AND account_id = %(account)s AND message_id = ANY (%(ids)s)
            RETURNING conversation_id, inbox_id),
        marked AS (
            UPDATE cw_conversations SET content_version = content_version + 1
            WHERE project_id = %(project)s AND account_id = %(account)s
              AND conversation_id IN (SELECT conversation_id FROM gone))
        SELECT inbox_id, count(*) AS messages FROM gone GROUP BY inbox_id""",
        project=scope.project_id,
        account=account_id,
        ids=message_ids,
    )
    return {row.inbox_id: row.messages for row in deleted}
