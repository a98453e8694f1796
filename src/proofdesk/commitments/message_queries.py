"""SQL of the messages that the extractor reads, and of how far it has read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from proofdesk.database.rows import Conn, fetch_all, fetch_optional, fetch_value
from proofdesk.projects.scope import Scope

ConversationKey = tuple[int, int]


@dataclass(frozen=True)
class ReadingPosition:
    """The last message that was read, in the order in which messages were stored."""

    stored_at: datetime
    account_id: int = 0
    message_id: int = 0


@dataclass(frozen=True)
class ExtractionProgress:
    """How far the messages are read, by which rules."""

    stored_at: datetime
    meta: dict[str, Any]


@dataclass(frozen=True)
class StoredMessage:
    """A message, public or not. `text` is "" for one that nobody may quote: a note, or a message that was deleted."""

    account_id: int
    conversation_id: int
    message_id: int
    is_contact: bool
    created_at: datetime
    stored_at: datetime
    text: str

    @property
    def conversation(self) -> ConversationKey:
        return self.account_id, self.conversation_id


async def fetch_progress(conn: Conn, scope: Scope) -> ExtractionProgress | None:
    """Return how far messages are read; None before the first run."""
    return await fetch_optional(
        conn,
        ExtractionProgress,
        """
        SELECT cursor_ts AS stored_at, meta FROM sync_watermarks
        WHERE project_id = %(project)s AND source = 'commitments'""",
        project=scope.project_id,
    )


async def fetch_current_time(conn: Conn) -> datetime:
    """Return the time of the database."""
    return await fetch_value(conn, "SELECT now()")


async def count_unread(conn: Conn, scope: Scope, after: ReadingPosition, until: datetime | None = None) -> int:
    """Count the messages that were stored after a position, and before `until` if it is given."""
    return await fetch_value(
        conn,
        """
        SELECT count(*) FROM cw_messages
        WHERE project_id = %(project)s
          AND (updated_at, account_id, message_id) > (%(stored_at)s, %(account)s, %(message)s)
          AND (%(until)s::timestamptz IS NULL OR updated_at < %(until)s)""",
        project=scope.project_id,
        stored_at=after.stored_at,
        account=after.account_id,
        message=after.message_id,
        until=until,
    )


async def fetch_messages(
    conn: Conn, scope: Scope, after: ReadingPosition, characters: int, limit: int
) -> list[StoredMessage]:
    """Return messages that were stored after a position, with the first `characters` of their text.

    The text of an e-mail is its new part, as Chatwoot found it.
    """
    return await fetch_all(
        conn,
        StoredMessage,
        r"""
        SELECT account_id, conversation_id, message_id, sender_type = 'contact' AS is_contact, created_at,
               updated_at AS stored_at,
               CASE WHEN private OR deleted OR message_type NOT IN ('incoming', 'outgoing')
                         OR sender_type NOT IN ('contact', 'agent') THEN ''
                    ELSE left(coalesce(nullif(content_attributes #>> '{email,text_content,quoted}', ''), content, ''),
                              %(characters)s) END AS text
        FROM cw_messages
        WHERE project_id = %(project)s
          AND (updated_at, account_id, message_id) > (%(stored_at)s, %(account)s, %(message)s)
        ORDER BY updated_at, account_id, message_id LIMIT %(limit)s""",
        project=scope.project_id,
        stored_at=after.stored_at,
        account=after.account_id,
        message=after.message_id,
        characters=characters,
        limit=limit,
    )


async def fetch_recent_messages(
    conn: Conn, scope: Scope, conversation_keys: Sequence[ConversationKey], characters: int, limit: int
) -> list[StoredMessage]:
    """Return the last public messages of each conversation, oldest first in each."""
    return await fetch_all(
        conn,
        StoredMessage,
        r"""
        SELECT m.account_id, m.conversation_id, m.message_id, m.sender_type = 'contact' AS is_contact, m.created_at,
               m.updated_at AS stored_at,
               left(coalesce(nullif(m.content_attributes #>> '{email,text_content,quoted}', ''), m.content, ''),
                    %(characters)s) AS text
        FROM unnest(%(accounts)s::bigint[], %(conversations)s::bigint[]) c (account_id, conversation_id)
        CROSS JOIN LATERAL (
            SELECT * FROM cw_messages l
            WHERE l.project_id = %(project)s AND l.account_id = c.account_id
              AND l.conversation_id = c.conversation_id AND NOT l.private AND NOT l.deleted
              AND l.message_type IN ('incoming', 'outgoing') AND l.sender_type IN ('contact', 'agent')
            ORDER BY l.created_at DESC, l.message_id DESC LIMIT %(limit)s) m
        ORDER BY m.account_id, m.conversation_id, m.created_at, m.message_id""",
        project=scope.project_id,
        accounts=[account for account, _ in conversation_keys],
        conversations=[conversation for _, conversation in conversation_keys],
        characters=characters,
        limit=limit,
    )
