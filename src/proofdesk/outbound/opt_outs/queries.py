"""SQL of messages by which contacts opt out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from proofdesk.database.rows import Conn, fetch_all, fetch_optional
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class MessagePosition:
    """Where the next page starts, in the order in which messages were stored."""

    stored_at: datetime
    account_id: int = 0
    message_id: int = 0


@dataclass(frozen=True)
class ContactMessage:
    """A message of a contact, with Chatwoot's `channel_type` of the inbox."""

    account_id: int
    message_id: int
    conversation_id: int
    contact_id: int | None
    channel_type: str | None
    at: datetime
    stored_at: datetime
    text: str


@dataclass(frozen=True)
class OptOutWatermark:
    """Up to when messages were read, and for which words."""

    at: datetime
    words: list[str]


@dataclass(frozen=True)
class OptIn:
    """The last explicit opt-in of a policy."""

    policy_id: UUID
    at: datetime


async def fetch_watermark(conn: Conn, scope: Scope) -> OptOutWatermark | None:
    """Return up to when messages were read; None before the first run."""
    return await fetch_optional(
        conn,
        OptOutWatermark,
        """
        SELECT cursor_ts AS at, meta -> 'words' AS words FROM sync_watermarks
        WHERE project_id = %(project)s AND source = 'opt_out_words'""",
        project=scope.project_id,
    )


async def fetch_contact_messages(
    conn: Conn, scope: Scope, after: MessagePosition, characters: int, limit: int
) -> list[ContactMessage]:
    """Return messages of contacts that were stored after a position, with the first `characters` of their text.

    The text of an e-mail is its new part, as Chatwoot found it.
    """
    return await fetch_all(
        conn,
        ContactMessage,
        """
        SELECT m.account_id, m.message_id, m.conversation_id, v.contact_id, i.channel_type, m.created_at AS at,
               m.updated_at AS stored_at,
               left(coalesce(m.content_attributes #>> '{email,text_content,quoted}',
                             m.content_attributes #>> '{email,html_content,quoted}', m.content, ''),
                    %(characters)s) AS text
        FROM cw_messages m
        JOIN cw_conversations v ON v.project_id = %(project)s AND v.account_id = m.account_id
                               AND v.conversation_id = m.conversation_id
        LEFT JOIN cw_inboxes i ON i.project_id = %(project)s AND i.account_id = m.account_id
                              AND i.inbox_id = m.inbox_id
        WHERE m.project_id = %(project)s AND m.message_type = 'incoming' AND m.sender_type = 'contact'
          AND NOT m.deleted
          AND (m.updated_at, m.account_id, m.message_id) > (%(stored_at)s, %(account)s, %(message)s)
          AND message_kind(m.message_type, m.sender_type, m.private, m.deleted, m.content_type, m.content_attributes,
                  began_automatically(m.project_id, m.account_id, m.conversation_id, m.message_id)) = 'message'
        ORDER BY m.updated_at, m.account_id, m.message_id LIMIT %(limit)s""",
        project=scope.project_id,
        stored_at=after.stored_at,
        account=after.account_id,
        message=after.message_id,
        characters=characters,
        limit=limit,
    )


async def fetch_opt_ins(conn: Conn, scope: Scope, policy_ids: Sequence[UUID]) -> list[OptIn]:
    """Return the last explicit opt-in of these policies, for those that have one."""
    return await fetch_all(
        conn,
        OptIn,
        """
        SELECT entity_id::uuid AS policy_id, max(created_at) AS at FROM audit_events
        WHERE project_id = %(project)s AND entity_type = 'contact_channel_policy' AND action = 'outbound.opt_in'
          AND entity_id = ANY (%(policies)s)
        GROUP BY entity_id""",
        project=scope.project_id,
        policies=[str(p) for p in policy_ids],
    )
