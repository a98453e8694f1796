"""SQL of messages by which people opt out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from proofdesk.db.rows import Conn, many, maybe, run
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class Said:
    """Somebody's "no". `channel_type` is that of the inbox, as Chatwoot calls it."""

    account_id: int
    message_id: int
    conversation_id: int
    contact_id: int | None
    channel_type: str | None
    at: datetime


@dataclass(frozen=True)
class Mark:
    """Up to when messages were looked through, and for which words."""

    at: datetime
    words: list[str]


@dataclass(frozen=True)
class OptIn:
    """When somebody was last let in again, explicitly."""

    policy_id: UUID
    at: datetime


async def mark(conn: Conn, scope: Scope) -> Mark | None:
    """How far messages were looked through; None: not at all."""
    return await maybe(
        conn,
        Mark,
        """
        SELECT cursor_ts AS at, meta -> 'words' AS words FROM sync_watermarks
        WHERE project_id = %(project)s AND source = 'opt_out_words'""",
        project=scope.project_id,
    )


async def set_mark(conn: Conn, scope: Scope, since: datetime, words: Sequence[str]) -> None:
    """Everything that was stored before a time has been looked through."""
    await run(
        conn,
        """
        INSERT INTO sync_watermarks (project_id, account_scope_id, source, cursor_ts, meta)
        VALUES (%(project)s, %(account_scope)s, 'opt_out_words', %(since)s, %(meta)s)
        ON CONFLICT (project_id, source) DO UPDATE
        SET cursor_ts = EXCLUDED.cursor_ts, meta = EXCLUDED.meta, updated_at = now()""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        since=since,
        meta=Jsonb({"words": list(words)}),
    )


async def said_no(
    conn: Conn, scope: Scope, spellings: Sequence[str], trimmed: str, since: datetime | None
) -> list[Said]:
    """Messages of contacts, stored since a time, that are one of the spellings and nothing else, but for the characters
    of `trimmed` around it. Of a letter, that is its new part, without what it quotes."""
    return await many(
        conn,
        Said,
        """
        WITH heard AS (
            SELECT account_id, message_id, conversation_id, inbox_id, created_at,
                   btrim(coalesce(content_attributes #>> '{email,text_content,quoted}',
                                  content_attributes #>> '{email,html_content,quoted}', content),
                         %(trimmed)s) AS words
            FROM cw_messages
            WHERE project_id = %(project)s AND message_type = 'incoming' AND sender_type = 'contact' AND NOT deleted
              AND (%(since)s::timestamptz IS NULL OR updated_at >= %(since)s)
              AND message_kind(message_type, sender_type, private, deleted, content_type, content_attributes,
                      began_automatically(project_id, account_id, conversation_id, message_id)) = 'message')
        SELECT h.account_id, h.message_id, h.conversation_id, v.contact_id, i.channel_type, h.created_at AS at
        FROM heard h
        JOIN cw_conversations v ON v.project_id = %(project)s AND v.account_id = h.account_id
                               AND v.conversation_id = h.conversation_id
        LEFT JOIN cw_inboxes i ON i.project_id = %(project)s AND i.account_id = h.account_id
                              AND i.inbox_id = h.inbox_id
        WHERE h.words = ANY (%(spellings)s) OR lower(h.words) = ANY (%(spellings)s)
        ORDER BY h.created_at, h.message_id""",
        project=scope.project_id,
        spellings=list(spellings),
        trimmed=trimmed,
        since=since,
    )


async def opt_ins(conn: Conn, scope: Scope, policy_ids: Sequence[UUID]) -> list[OptIn]:
    """The last explicit opt-in of each of these policies, for those that had one."""
    return await many(
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
