"""SQL of cutting: the messages of conversations in, their chunks out.

Who changes several chunks at once locks them in the order of their key first, so that no two wait for each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_value
from proofdesk.indexing.chunking.chunker import Chunk
from proofdesk.indexing.transcripts import Said
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class Conversation:
    """A conversation whose chunks are out of date. `version` is that of the content about to be read."""

    account_id: int
    conversation_id: int
    inbox: str
    version: int


@dataclass(frozen=True)
class Mark:
    """A chunk as it is stored, without its text."""

    account_id: int
    message_id: int
    chunk_index: int
    covers: list[int]
    content_hash: bytes
    quoted_from: str | None


async def unchunked(conn: Conn, scope: Scope) -> int:
    """How many conversations are to be cut."""
    return await fetch_value(
        conn,
        """
        SELECT count(*) FROM cw_conversations
        WHERE project_id = %(project)s AND content_version <> chunked_version""",
        project=scope.project_id,
    )


async def take_unchunked(
    conn: Conn, scope: Scope, most: int, but: Sequence[tuple[int, int]] = ()
) -> list[Conversation]:
    """Lock conversations that are to be cut, leaving out those that somebody else has.

    `but` are others (by account and number) to leave out.
    """
    return await fetch_all(
        conn,
        Conversation,
        """
        SELECT c.account_id, c.conversation_id, c.content_version AS version,
               coalesce((SELECT i.name FROM cw_inboxes i WHERE i.project_id = c.project_id
                         AND i.account_id = c.account_id AND i.inbox_id = c.inbox_id), '') AS inbox
        FROM cw_conversations c
        WHERE c.project_id = %(project)s AND c.content_version <> c.chunked_version
          AND (c.account_id, c.conversation_id) NOT IN (
              SELECT * FROM unnest(%(but_accounts)s::bigint[], %(but_conversations)s::bigint[]))
        LIMIT %(most)s FOR NO KEY UPDATE OF c SKIP LOCKED""",
        project=scope.project_id,
        most=most,
        but_accounts=[account for account, _ in but],
        but_conversations=[conversation for _, conversation in but],
    )


async def said(conn: Conn, scope: Scope, conversations: Sequence[Conversation]) -> list[Said]:
    """What was said in them, oldest first in each: no notes, activity lines or deleted messages.

    Of an e-mail the part that is new, and the whole beside it. Of a template only what somebody entered into it, of
    cards, choices, forms and articles also what they show.
    """
    return await fetch_all(
        conn,
        Said,
        r"""
        SELECT m.account_id, m.conversation_id, m.message_id, m.inbox_id, m.created_at, m.attachments,
               CASE WHEN m.message_type = 'template' THEN 'contact' ELSE m.sender_type END AS sender_type,
               m.sender_name,
               CASE WHEN m.message_type <> 'template' THEN coalesce(
                   CASE WHEN mail.plain ~ '\S' THEN mail.plain WHEN mail.html ~ '\S' THEN mail.html END, m.content)
               END AS content,
               CASE m.content_type WHEN 'incoming_email' THEN m.content END AS whole, NULL::text AS quoted_from,
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


async def lock_chunks(conn: Conn, scope: Scope, conversations: Sequence[Conversation]) -> list[Mark]:
    """Lock the chunks that conversations have now."""
    return await fetch_all(
        conn,
        Mark,
        """
        SELECT k.account_id, k.message_id, k.chunk_index, k.covers, k.content_hash, k.quoted_from
        FROM unnest(%(accounts)s::bigint[], %(conversations)s::bigint[]) c (account_id, conversation_id)
        JOIN rag_chunks k USING (account_id, conversation_id)
        WHERE k.project_id = %(project)s
        ORDER BY k.account_id, k.message_id, k.chunk_index FOR UPDATE OF k""",
        project=scope.project_id,
        accounts=[c.account_id for c in conversations],
        conversations=[c.conversation_id for c in conversations],
    )


async def put_chunks(conn: Conn, scope: Scope, chunks: Sequence[Chunk]) -> int:
    """Store chunks that are new or changed. One whose content changed waits for a vector again."""
    return await execute(
        conn,
        """
        INSERT INTO rag_chunks (project_id, account_scope_id, account_id, message_id, chunk_index, conversation_id,
            inbox_id, sender_type, sender_types, covers, text, context, content_hash, created_at,
            quoted_from)
        SELECT %(project)s, %(account_scope)s, account_id, message_id, chunk_index, conversation_id, inbox_id,
            sender_type, sender_types, covers, text, context, decode(content_hash, 'hex'), created_at,
            quoted_from
        FROM jsonb_to_recordset(%(chunks)s) AS r (account_id bigint, message_id bigint, chunk_index int,
            conversation_id bigint, inbox_id bigint, sender_type text, sender_types text[], covers bigint[],
            text text, context text, content_hash text, created_at timestamptz, quoted_from text)
        ON CONFLICT (project_id, account_id, message_id, chunk_index) DO UPDATE SET
            conversation_id = excluded.conversation_id, inbox_id = excluded.inbox_id,
            sender_type = excluded.sender_type, sender_types = excluded.sender_types, covers = excluded.covers,
            text = excluded.text, context = excluded.context, content_hash = excluded.content_hash,
            created_at = excluded.created_at, quoted_from = excluded.quoted_from, updated_at = now(),
            embedding_status = CASE WHEN rag_chunks.content_hash = excluded.content_hash
                               THEN rag_chunks.embedding_status ELSE 'pending' END,
            claimed_at = CASE WHEN rag_chunks.content_hash = excluded.content_hash THEN rag_chunks.claimed_at END,
            error = CASE WHEN rag_chunks.content_hash = excluded.content_hash THEN rag_chunks.error END,
            attempts = CASE WHEN rag_chunks.content_hash = excluded.content_hash THEN rag_chunks.attempts ELSE 0 END
        """,
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        chunks=Jsonb([_row(chunk) for chunk in chunks]),
    )


async def drop_chunks(conn: Conn, scope: Scope, marks: Sequence[Mark]) -> int:
    """Remove chunks, and with them their vectors."""
    return await execute(
        conn,
        """
        DELETE FROM rag_chunks k
        USING unnest(%(accounts)s::bigint[], %(messages)s::bigint[], %(indexes)s::int[])
            gone (account_id, message_id, chunk_index)
        WHERE k.project_id = %(project)s AND k.account_id = gone.account_id AND k.message_id = gone.message_id
          AND k.chunk_index = gone.chunk_index""",
        project=scope.project_id,
        accounts=[m.account_id for m in marks],
        messages=[m.message_id for m in marks],
        indexes=[m.chunk_index for m in marks],
    )


async def refresh_statistics(conn: Conn) -> None:
    """Let the planner know how much there is to search by now."""
    await execute(conn, "SELECT refresh_search_statistics()")


def _row(chunk: Chunk) -> dict[str, Any]:
    said = chunk.anchor
    return {
        "account_id": said.account_id,
        "message_id": said.message_id,
        "chunk_index": chunk.index,
        "conversation_id": said.conversation_id,
        "inbox_id": said.inbox_id,
        "sender_type": said.sender_type,
        "sender_types": chunk.sender_types,
        "covers": chunk.covers,
        "text": chunk.text,
        "context": chunk.context,
        "content_hash": chunk.content_hash.hex(),
        "created_at": said.created_at.isoformat(),
        "quoted_from": said.quoted_from,
    }
