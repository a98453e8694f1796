"""SQL of transcripts: conversations whose index is out of date, and their messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import sql

from proofdesk.chatwoot.progress_queries import Index
from proofdesk.database.rows import Conn, fetch_all, fetch_value
from proofdesk.projects.scope import Scope

ConversationKey = tuple[int, int]
_VERSION_COLUMNS: dict[Index, sql.Identifier] = {
    "chunks": sql.Identifier("chunked_version"),
    "terms": sql.Identifier("indexed_version"),
}


@dataclass(frozen=True)
class StaleConversation:
    """A conversation whose index is out of date.

    `version` is that of the content about to be read, `message_count` how many messages it has, and `stale` what is
    out of date.
    """

    account_id: int
    conversation_id: int
    inbox: str
    version: int
    message_count: int
    contact_name: str | None
    contact_email: str | None
    contact_phone: str | None
    stale: list[Index]

    @property
    def key(self) -> ConversationKey:
        return self.account_id, self.conversation_id


@dataclass(frozen=True)
class TranscriptMessage:
    """A public message: not deleted, no private note, no activity line.

    `content` is None for a template, and only the new part of an e-mail; `whole_email` is the e-mail with what it
    quotes. `submitted` is what a contact entered into a form, `items` what cards, forms and articles show. A message
    that `attribution` adds has `quoted_from`, the name of the author ("" when nobody is named); all others have None.
    """

    account_id: int
    conversation_id: int
    message_id: int
    inbox_id: int
    sender_type: str
    sender_name: str | None
    content: str | None
    subject: str | None
    submitted: Any
    attachments: list[dict[str, Any]]
    created_at: datetime
    whole_email: str | None = None
    quoted_from: str | None = None
    items: Any = None


async def count_stale(conn: Conn, scope: Scope) -> int:
    """Count the conversations whose chunks or terms are out of date."""
    return await fetch_value(
        conn,
        """
        SELECT (SELECT count(*) FROM cw_conversations
                WHERE project_id = %(project)s AND content_version <> chunked_version)
             + (SELECT count(*) FROM cw_conversations
                WHERE project_id = %(project)s AND content_version <> indexed_version
                  AND content_version = chunked_version)""",
        project=scope.project_id,
    )


async def lock_stale(
    conn: Conn, scope: Scope, index: Index, limit: int, excluded: Sequence[ConversationKey] = ()
) -> list[StaleConversation]:
    """Lock up to `limit` stale conversations, without those that another worker has locked and those `excluded`."""
    return await fetch_all(
        conn,
        StaleConversation,
        sql.SQL("""
        SELECT c.account_id, c.conversation_id, c.content_version AS version,
               coalesce((SELECT i.name FROM cw_inboxes i WHERE i.project_id = c.project_id
                         AND i.account_id = c.account_id AND i.inbox_id = c.inbox_id), '') AS inbox,
               (SELECT count(*) FROM cw_messages m WHERE m.project_id = c.project_id
                AND m.account_id = c.account_id AND m.conversation_id = c.conversation_id) AS message_count,
               p.name AS contact_name, p.email AS contact_email, p.phone_number AS contact_phone,
               array_remove(ARRAY[CASE WHEN c.content_version <> c.chunked_version THEN 'chunks' END,
                                  CASE WHEN c.content_version <> c.indexed_version THEN 'terms' END], NULL) AS stale
        FROM cw_conversations c
        LEFT JOIN cw_contacts p ON p.project_id = c.project_id AND p.account_id = c.account_id
            AND p.contact_id = c.contact_id
        WHERE c.project_id = %(project)s AND c.content_version <> c.{version}
          AND (c.account_id, c.conversation_id) NOT IN (
              SELECT * FROM unnest(%(excluded_accounts)s::bigint[], %(excluded_conversations)s::bigint[]))
        LIMIT %(limit)s FOR NO KEY UPDATE OF c SKIP LOCKED""").format(version=_VERSION_COLUMNS[index]),
        project=scope.project_id,
        limit=limit,
        excluded_accounts=[account for account, _ in excluded],
        excluded_conversations=[conversation for _, conversation in excluded],
    )


async def public_messages(
    conn: Conn, scope: Scope, conversations: Sequence[StaleConversation]
) -> list[TranscriptMessage]:
    """Return the public messages of conversations, oldest first in each.

    Of a template only what a contact entered into it is returned.
    """
    return await fetch_all(
        conn,
        TranscriptMessage,
        r"""
        SELECT m.account_id, m.conversation_id, m.message_id, m.inbox_id, m.created_at, m.attachments,
               CASE WHEN m.message_type = 'template' THEN 'contact' ELSE m.sender_type END AS sender_type,
               m.sender_name,
               CASE WHEN m.message_type <> 'template' THEN coalesce(
                   CASE WHEN mail.plain ~ '\S' THEN mail.plain WHEN mail.html ~ '\S' THEN mail.html END, m.content)
               END AS content,
               CASE m.content_type WHEN 'incoming_email' THEN m.content END AS whole_email, NULL::text AS quoted_from,
               nullif(m.content_attributes #>> '{email,subject}', '') AS subject,
               CASE WHEN m.content_attributes ? 'submitted_values' THEN m.content_attributes -> 'submitted_values'
                    ELSE m.content_attributes -> 'submitted_email' END AS submitted,
               CASE WHEN m.content_type IN ('cards', 'input_select', 'form', 'article') AND m.message_type <> 'template'
                    THEN m.content_attributes -> 'items' END AS items
        FROM unnest(%(accounts)s::bigint[], %(conversations)s::bigint[]) c (account_id, conversation_id)
        JOIN cw_messages m USING (account_id, conversation_id)
        CROSS JOIN LATERAL (SELECT
            CASE m.content_type WHEN 'incoming_email' THEN m.content_attributes #>> '{email,text_content,quoted}' END,
            CASE m.content_type WHEN 'incoming_email' THEN m.content_attributes #>> '{email,html_content,quoted}' END
            ) mail (plain, html)
        WHERE m.project_id = %(project)s AND NOT m.private AND NOT m.deleted AND m.message_type <> 'activity'
        ORDER BY m.account_id, m.conversation_id, m.created_at, m.message_id""",
        project=scope.project_id,
        accounts=[c.account_id for c in conversations],
        conversations=[c.conversation_id for c in conversations],
    )
