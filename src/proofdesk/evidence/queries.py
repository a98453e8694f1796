"""SQL of evidence: the rows that references name, and the items that were cited."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from proofdesk.audit.events import EvidenceRef
from proofdesk.database.rows import Conn, execute, fetch_all, fetch_optional
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class CitedRow:
    """The row that a reference names. `text` is None when there is none, as for a deleted message."""

    account_id: int | None
    conversation_id: int | None
    message_id: int | None
    contact_id: int | None
    text: str | None
    erased: bool


@dataclass(frozen=True)
class EvidenceItem:
    """A message, conversation, chunk or external document that audit events cite."""

    id: int
    project_id: UUID
    source_type: str
    source_table: str | None
    source_pk: str
    account_id: int | None
    conversation_id: int | None
    message_id: int | None
    contact_id: int | None
    snippet: str | None
    payload: dict[str, Any]
    created_at: datetime


async def get_message(conn: Conn, scope: Scope, account_id: int, message_id: int) -> CitedRow | None:
    """Return a message of the project."""
    return await fetch_optional(
        conn,
        CitedRow,
        """
        SELECT m.account_id, m.conversation_id, m.message_id, c.contact_id,
               CASE WHEN NOT m.deleted THEN m.content END AS text, m.deleted AS erased
        FROM cw_messages m JOIN cw_conversations c USING (project_id, account_id, conversation_id)
        WHERE m.project_id = %(project)s AND m.account_id = %(account)s AND m.message_id = %(message)s""",
        project=scope.project_id,
        account=account_id,
        message=message_id,
    )


async def get_conversation(conn: Conn, scope: Scope, account_id: int, conversation_id: int) -> CitedRow | None:
    """Return a conversation of the project."""
    return await fetch_optional(
        conn,
        CitedRow,
        """
        SELECT account_id, conversation_id, NULL::bigint AS message_id, contact_id, NULL::text AS text,
               false AS erased
        FROM cw_conversations
        WHERE project_id = %(project)s AND account_id = %(account)s AND conversation_id = %(conversation)s""",
        project=scope.project_id,
        account=account_id,
        conversation=conversation_id,
    )


async def get_chunk(conn: Conn, scope: Scope, account_id: int, message_id: int, chunk_index: int) -> CitedRow | None:
    """Return a chunk of the project."""
    return await fetch_optional(
        conn,
        CitedRow,
        """
        SELECT r.account_id, r.conversation_id, r.message_id, c.contact_id, r.text, false AS erased
        FROM rag_chunks r JOIN cw_conversations c USING (project_id, account_id, conversation_id)
        WHERE r.project_id = %(project)s AND r.account_id = %(account)s AND r.message_id = %(message)s
          AND r.chunk_index = %(index)s""",
        project=scope.project_id,
        account=account_id,
        message=message_id,
        index=chunk_index,
    )


async def get_commitment(conn: Conn, scope: Scope, commitment_id: UUID) -> CitedRow | None:
    """Return the message of a commitment; its text is the quote."""
    return await fetch_optional(
        conn,
        CitedRow,
        """
        SELECT c.account_id, c.conversation_id, c.message_id, v.contact_id, c.quote AS text, false AS erased
        FROM commitments c JOIN cw_conversations v USING (project_id, account_id, conversation_id)
        WHERE c.project_id = %(project)s AND c.id = %(id)s""",
        project=scope.project_id,
        id=commitment_id,
    )


async def upsert_item(
    conn: Conn,
    scope: Scope,
    source_type: str,
    reference: EvidenceRef,
    cited: CitedRow,
    snippet: str | None,
) -> None:
    """Store a cited item, or update its snippet and payload."""
    await execute(
        conn,
        """
        INSERT INTO evidence_items AS e (project_id, account_scope_id, source_type, source_table, source_pk, account_id,
                                         conversation_id, message_id, contact_id, snippet, payload)
        VALUES (%(project)s, %(account_scope)s, %(type)s, %(table)s, %(ref)s, %(account)s, %(conversation)s,
                %(message)s, %(contact)s, %(snippet)s, %(payload)s)
        ON CONFLICT (project_id, source_type, source_pk) DO UPDATE
        SET snippet = EXCLUDED.snippet, payload = EXCLUDED.payload
        WHERE (e.snippet, e.payload) IS DISTINCT FROM (EXCLUDED.snippet, EXCLUDED.payload)""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        type=source_type,
        table=None if source_type == "external" else reference.source,
        ref=reference.ref,
        account=cited.account_id,
        conversation=cited.conversation_id,
        message=cited.message_id,
        contact=cited.contact_id,
        snippet=snippet,
        payload=Jsonb({"meta": reference.meta} if reference.meta else {}),
    )


async def search_items(conn: Conn, scope: Scope, query: str, limit: int) -> list[EvidenceItem]:
    """Return cited items whose snippet holds the words of the query, best first."""
    return await fetch_all(
        conn,
        EvidenceItem,
        """
        SELECT id, project_id, source_type, source_table, source_pk, account_id, conversation_id, message_id,
               contact_id, snippet, payload, created_at
        FROM find_evidence(%(question)s, %(limit)s) WHERE project_id = %(project)s""",
        project=scope.project_id,
        question=query,
        limit=limit,
    )


async def list_latest_items(conn: Conn, scope: Scope, limit: int) -> list[EvidenceItem]:
    """Return the items that were cited last."""
    return await fetch_all(
        conn,
        EvidenceItem,
        """
        SELECT id, project_id, source_type, source_table, source_pk, account_id, conversation_id, message_id,
               contact_id, snippet, payload, created_at
        FROM evidence_items WHERE project_id = %(project)s ORDER BY id DESC LIMIT %(limit)s""",
        project=scope.project_id,
        limit=limit,
    )


async def get_items(conn: Conn, scope: Scope, refs: list[str]) -> list[EvidenceItem]:
    """Return the items of these references."""
    return await fetch_all(
        conn,
        EvidenceItem,
        """
        SELECT id, project_id, source_type, source_table, source_pk, account_id, conversation_id, message_id,
               contact_id, snippet, payload, created_at
        FROM evidence_items WHERE project_id = %(project)s AND source_pk = ANY(%(refs)s)""",
        project=scope.project_id,
        refs=refs,
    )
