"""SQL of cursors, watermarks and the quarantine."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from proofdesk.chatwoot.parsing import InvalidItem, storable_text
from proofdesk.database.rows import Conn, execute, fetch_all, fetch_optional, fetch_value
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


async def quarantine_items(conn: Conn, scope: Scope, account_id: int, items: list[InvalidItem]) -> None:
    """Quarantine items that could not be stored, with the reason."""
    rows = [vars(item) for item in {(b.entity, b.entity_id): b for b in items}.values()]
    await execute(
        conn,
        """
        INSERT INTO sync_quarantine AS q (project_id, account_scope_id, account_id, entity, entity_id,
            conversation_id, reason, payload)
        SELECT %(project)s, %(account_scope)s, %(account)s, r.*
        FROM jsonb_to_recordset(%(rows)s) AS r (entity text, entity_id text, conversation_id bigint,
            reason text, payload text)
        ON CONFLICT (project_id, account_id, entity, entity_id) DO UPDATE
        SET reason = EXCLUDED.reason, payload = EXCLUDED.payload, conversation_id = EXCLUDED.conversation_id,
            attempts = q.attempts + 1, last_seen_at = now()""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        account=account_id,
        rows=Jsonb(rows),
    )


async def quarantine_conversations(conn: Conn, scope: Scope, entity: str, reasons: dict[tuple[int, int], str]) -> None:
    """Quarantine conversations (account, id) for which a stage could not make its `entity`, with the reason."""
    await execute(
        conn,
        """
        INSERT INTO sync_quarantine AS q (project_id, account_scope_id, account_id, entity, entity_id,
            conversation_id, reason, payload)
        SELECT %(project)s, %(account_scope)s, account_id, %(entity)s, conversation_id, conversation_id, reason, '{}'
        FROM unnest(%(accounts)s::bigint[], %(conversations)s::bigint[], %(reasons)s::text[])
            r (account_id, conversation_id, reason)
        ORDER BY account_id, conversation_id
        ON CONFLICT (project_id, account_id, entity, entity_id) DO UPDATE
        SET reason = EXCLUDED.reason, attempts = q.attempts + 1, last_seen_at = now()""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        entity=entity,
        accounts=[account for account, _ in reasons],
        conversations=[conversation for _, conversation in reasons],
        reasons=[storable_text(reason)[:500] for reason in reasons.values()],
    )


async def release_conversations(conn: Conn, scope: Scope, entity: str, conversations: list[tuple[int, int]]) -> int:
    """Release conversations (account, id) for which the stage made its `entity`; return how many."""
    return await execute(
        conn,
        """
        DELETE FROM sync_quarantine q
        USING unnest(%(accounts)s::bigint[], %(conversations)s::bigint[]) c (account_id, conversation_id)
        WHERE q.project_id = %(project)s AND q.account_id = c.account_id AND q.entity = %(entity)s
          AND q.entity_id = c.conversation_id::text""",
        project=scope.project_id,
        entity=entity,
        accounts=[account for account, _ in conversations],
        conversations=[conversation for _, conversation in conversations],
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


async def release_items(
    conn: Conn, scope: Scope, account_id: int, entity: str, entity_ids: list[int] | list[str]
) -> int:
    """Release items that are stored now; return how many."""
    return await execute(
        conn,
        """
        DELETE FROM sync_quarantine
        WHERE project_id = %(project)s AND account_id = %(account)s AND entity = %(entity)s
          AND entity_id = ANY (%(ids)s)""",
        project=scope.project_id,
        account=account_id,
        entity=entity,
        ids=[str(i) for i in entity_ids],
    )


async def release_unseen(
    conn: Conn, scope: Scope, account_id: int, conversation_ids: list[int], entity_ids: list[str], since: datetime
) -> None:
    """Release messages of these conversations that were not quarantined again after `since`: repaired or deleted."""
    await execute(
        conn,
        """
        DELETE FROM sync_quarantine
        WHERE project_id = %(project)s AND account_id = %(account)s AND entity = 'message'
          AND conversation_id = ANY (%(ids)s) AND entity_id = ANY (%(entities)s) AND last_seen_at <= %(since)s""",
        project=scope.project_id,
        account=account_id,
        ids=conversation_ids,
        entities=entity_ids,
        since=since,
    )


@dataclass(frozen=True)
class QuarantinedItem:
    """An item that could not be stored."""

    account_id: int
    entity: str
    entity_id: str
    conversation_id: int | None
    reason: str
    attempts: int
    first_seen_at: datetime
    last_seen_at: datetime


async def list_quarantined(conn: Conn, scope: Scope, account_id: int | None, limit: int) -> list[QuarantinedItem]:
    """Return quarantined items, longest waiting first; of one account only those that Chatwoot can resend."""
    return await fetch_all(
        conn,
        QuarantinedItem,
        """
        SELECT account_id, entity, entity_id, conversation_id, reason, attempts, first_seen_at, last_seen_at
        FROM sync_quarantine
        WHERE project_id = %(project)s
          AND (%(account)s::bigint IS NULL OR account_id = %(account)s AND entity NOT IN ('chunks', 'terms'))
        ORDER BY last_seen_at, entity_id LIMIT %(limit)s""",
        project=scope.project_id,
        account=account_id,
        limit=limit,
    )


async def count_quarantined(conn: Conn, scope: Scope) -> int:
    """Return the number of quarantined items."""
    return await fetch_value(
        conn, "SELECT count(*) FROM sync_quarantine WHERE project_id = %(project)s", project=scope.project_id
    )
