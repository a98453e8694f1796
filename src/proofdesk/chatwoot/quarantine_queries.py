"""SQL of the quarantine: items that could not be stored, and conversations that a stage could not process."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from proofdesk.chatwoot.parsing import InvalidItem, storable_text
from proofdesk.database.rows import Conn, execute, fetch_all, fetch_value
from proofdesk.projects.scope import Scope

Rows = list[dict[str, Any]]


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
