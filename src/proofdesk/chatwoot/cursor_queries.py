"""SQL of cursors, watermarks and the quarantine."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_optional
from proofdesk.projects.scope import Scope

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class ReadState:
    """How far a conversation was read: to its end while the list shows `read_mark`, else from `message_cursor` on."""

    conversation_id: int
    read_mark: str | None
    message_cursor: int


async def list_read_states(conn: Conn, scope: Scope, account_id: int, conversation_ids: list[int]) -> list[ReadState]:
    """Return the read states of these conversations; none for those that are not stored."""
    return await fetch_all(
        conn,
        ReadState,
        """
        SELECT conversation_id, read_mark, message_cursor FROM cw_conversations
        WHERE project_id = %(project)s AND account_id = %(account)s AND conversation_id = ANY (%(ids)s)""",
        project=scope.project_id,
        account=account_id,
        ids=conversation_ids,
    )


async def lock_conversations(conn: Conn, scope: Scope, account_id: int, conversation_ids: list[int]) -> None:
    """Lock these conversations until the transaction ends; call it before their messages are written.

    Chunking and indexing lock conversations in the same order, so that no deadlock is possible.
    """
    await execute(
        conn,
        """
        SELECT FROM cw_conversations
        WHERE project_id = %(project)s AND account_id = %(account)s AND conversation_id = ANY (%(ids)s)
        ORDER BY conversation_id FOR NO KEY UPDATE""",
        project=scope.project_id,
        account=account_id,
        ids=conversation_ids,
    )


async def store_cursors(conn: Conn, scope: Scope, account_id: int, rows: Rows) -> None:
    """Store the read states of conversations, as rows of `conversation_id`, `message_cursor` and `read_mark`."""
    await execute(
        conn,
        """
        UPDATE cw_conversations c SET message_cursor = r.message_cursor, read_mark = r.read_mark
        FROM jsonb_to_recordset(%(rows)s) AS r (conversation_id bigint, message_cursor bigint, read_mark text)
        WHERE c.project_id = %(project)s AND c.account_id = %(account)s AND c.conversation_id = r.conversation_id
          AND (c.message_cursor, c.read_mark) IS DISTINCT FROM (r.message_cursor, r.read_mark)""",
        project=scope.project_id,
        account=account_id,
        rows=Jsonb(rows),
    )


@dataclass(frozen=True)
class ConversationTail:
    """The end of a conversation: its last stored messages, from one id to another."""

    conversation_id: int
    first_id: int
    last_id: int


async def list_recent_tails(
    conn: Conn, scope: Scope, account_id: int, since: datetime, length: int
) -> list[ConversationTail]:
    """Return conversations active since a time, with their last `length` messages (`first_id` 0 if there are fewer)."""
    return await fetch_all(
        conn,
        ConversationTail,
        """
        SELECT conversation_id, coalesce(m.ids[%(length)s], 0) AS first_id, coalesce(m.ids[1], 0) AS last_id
        FROM cw_conversations c CROSS JOIN LATERAL (
            SELECT array_agg(message_id ORDER BY message_id DESC) AS ids FROM cw_messages
            WHERE project_id = c.project_id AND account_id = c.account_id
              AND conversation_id = c.conversation_id) m
        WHERE project_id = %(project)s AND account_id = %(account)s AND last_activity_at >= %(since)s
        ORDER BY conversation_id""",
        project=scope.project_id,
        account=account_id,
        since=since,
        length=length,
    )


@dataclass(frozen=True)
class SourceWatermark:
    """How far a source was read; `meta` holds the phase and the page of the first sync."""

    source: str
    cursor_ts: datetime | None
    cursor_id: int | None
    meta: dict[str, Any]


async def fetch_watermark(conn: Conn, scope: Scope, source: str) -> SourceWatermark | None:
    """Return the watermark of a source; None if it has none."""
    return await fetch_optional(
        conn,
        SourceWatermark,
        """
        SELECT source, cursor_ts, cursor_id, meta FROM sync_watermarks
        WHERE project_id = %(project)s AND source = %(source)s""",
        project=scope.project_id,
        source=source,
    )


async def set_watermark(
    conn: Conn, scope: Scope, source: str, cursor_ts: datetime | None, meta: dict[str, Any]
) -> None:
    """Store the watermark of a source; its id is the greatest stored message id of the account."""
    await execute(
        conn,
        """
        INSERT INTO sync_watermarks (project_id, account_scope_id, source, cursor_ts, cursor_id, meta)
        VALUES (%(project)s, %(account_scope)s, %(source)s, %(ts)s,
                (SELECT max(message_id) FROM cw_messages WHERE project_id = %(project)s
                 AND account_id = split_part(%(source)s, ':', 2)::bigint), %(meta)s)
        ON CONFLICT (project_id, source) DO UPDATE
        SET cursor_ts = EXCLUDED.cursor_ts, cursor_id = EXCLUDED.cursor_id, meta = EXCLUDED.meta,
            updated_at = now()""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        source=source,
        ts=cursor_ts,
        meta=Jsonb(meta),
    )


@dataclass(frozen=True)
class StoredElsewhere:
    """A stored message and its conversation."""

    message_id: int
    conversation_id: int


async def find_stored_elsewhere(
    conn: Conn, scope: Scope, account_id: int, rows: list[dict[str, Any]]
) -> list[StoredElsewhere]:
    """Return the messages that are stored in another conversation than the rows name."""
    return await fetch_all(
        conn,
        StoredElsewhere,
        """
        SELECT m.message_id, m.conversation_id
        FROM unnest(%(messages)s::bigint[], %(conversations)s::bigint[]) r (message_id, conversation_id)
        JOIN cw_messages m USING (message_id)
        WHERE m.project_id = %(project)s AND m.account_id = %(account)s
          AND m.conversation_id <> r.conversation_id""",
        project=scope.project_id,
        account=account_id,
        messages=[row["message_id"] for row in rows],
        conversations=[row["conversation_id"] for row in rows],
    )
