"""Triggers count the rows of a project: the counts always equal a scan, and no writer waits to count."""

import asyncio
import random

import psycopg
import pytest

from proofdesk.conversations import totals, totals_queries
from proofdesk.conversations.totals_queries import EntityCounts
from proofdesk.dashboard import metrics_queries as monitoring
from proofdesk.database.pool import Database
from proofdesk.indexing import vectors
from proofdesk.outbound import messages
from proofdesk.projects.scope import Scope
from tests.support.projects import new_project

SCANNED = """
    SELECT project_id, kind, count(*) FROM (
        SELECT project_id, 'contacts' AS kind FROM cw_contacts
        UNION ALL SELECT project_id, 'conversations' FROM cw_conversations
        UNION ALL SELECT project_id, 'messages' FROM cw_messages
        UNION ALL SELECT project_id, embedding_status FROM rag_chunks
        UNION ALL SELECT project_id, concat_ws(' ', 'outbound', channel, status) FROM outbound_messages) held
    GROUP BY 1, 2 ORDER BY 1, 2"""
COUNTED = "SELECT project_id, kind, sum(n) FROM project_counts GROUP BY 1, 2 HAVING sum(n) <> 0 ORDER BY 1, 2"

CONTACTS = """
    INSERT INTO cw_contacts (project_id, account_scope_id, account_id, contact_id, name, blocked,
        additional_attributes, custom_attributes)
    SELECT %(p)s, %(s)s, 1, n, 'Anna', false, '{}', '{}' FROM generate_series(%(a)s::int, %(b)s) n
    ON CONFLICT (project_id, account_id, contact_id) DO UPDATE SET name = 'Anna again'"""
CONVERSATIONS = """
    INSERT INTO cw_conversations (project_id, account_scope_id, account_id, conversation_id, inbox_id, status, labels,
        additional_attributes, custom_attributes, last_activity_at, created_at, updated_at)
    SELECT %(p)s, %(s)s, 1, n, 1, 'open', '{}', '{}', '{}', now(), now(), now()
    FROM generate_series(%(a)s::int, %(b)s) n ON CONFLICT DO NOTHING"""
MESSAGES = """
    INSERT INTO cw_messages (project_id, account_scope_id, account_id, message_id, conversation_id, inbox_id,
        message_type, content_type, content, private, deleted, sender_type, content_attributes, attachments, created_at)
    SELECT %(p)s, %(s)s, 1, n, n, 1, 'incoming', 'text', 'Hello', false, false, 'contact', '{}', '[]', now()
    FROM generate_series(%(a)s::int, %(b)s) n
    ON CONFLICT (project_id, account_id, message_id) DO UPDATE SET content = 'Hello again'"""
CHUNKS = """
    INSERT INTO rag_chunks (project_id, account_scope_id, account_id, message_id, chunk_index, conversation_id,
        inbox_id,
        sender_type, sender_types, covers, text, context, content_hash, created_at)
    SELECT %(p)s, %(s)s, 1, n, 0, n, 1, 'contact', '{contact}', ARRAY[n], 'Hello', '', '', now()
    FROM generate_series(%(a)s::int, %(b)s) n ON CONFLICT DO NOTHING"""
OUTBOUND = """
    INSERT INTO outbound_messages (project_id, account_scope_id, channel, recipient_ref, payload,
        evidence_refs, idempotency_key, request_hash, max_retries, created_by)
    SELECT %(p)s, %(s)s, CASE WHEN n %% 2 = 0 THEN 'email' ELSE 'telegram' END, n::text, '{"text": "Hello"}', '[]',
        n::text, '', 5, 'anna'
    FROM generate_series(%(a)s::int, %(b)s) n ON CONFLICT DO NOTHING"""
CHANGES = (
    "UPDATE outbound_messages SET status = 'cancelled', cancelled_by = 'anna', cancelled_at = now()"
    " WHERE project_id = %(p)s AND status = 'draft' AND idempotency_key::int BETWEEN %(a)s AND %(b)s - 3",
    "UPDATE outbound_messages SET last_error = NULL WHERE project_id = %(p)s",
    "UPDATE rag_chunks SET embedding_status = CASE message_id %% 3 WHEN 0 THEN 'ready' WHEN 1 THEN 'failed' ELSE"
    " 'processing' END WHERE project_id = %(p)s AND message_id BETWEEN %(a)s AND %(b)s",
    "UPDATE rag_chunks SET text = 'Bye' WHERE project_id = %(p)s AND message_id BETWEEN %(a)s AND %(b)s",
    "DELETE FROM rag_chunks WHERE project_id = %(p)s AND message_id BETWEEN %(a)s AND %(b)s - 2",
    "DELETE FROM cw_messages WHERE project_id = %(p)s AND message_id BETWEEN %(a)s AND %(b)s - 1",
    "DELETE FROM cw_conversations WHERE project_id = %(p)s AND conversation_id BETWEEN %(a)s + 1 AND %(b)s",
    "DELETE FROM cw_contacts WHERE project_id = %(p)s AND contact_id BETWEEN %(a)s AND %(b)s",
)
FILLED = (CONTACTS, CONVERSATIONS, MESSAGES, CHUNKS, OUTBOUND)


@pytest.mark.parametrize("seed", range(4))
async def test_counts_equal_a_scan_after_any_changes(
    db: Database, project: Scope, owner_conn: psycopg.Connection, seed: int
):
    """Random inserts with conflicts, updates, deletes that cascade, and rollbacks."""
    chosen = random.Random(seed)
    scopes = [project, await new_project(db, "Other")]
    for _ in range(12):
        start = chosen.randrange(1, 40)
        statements = [*FILLED, *chosen.sample(CHANGES, 3)]
        await write(db, chosen.choice(scopes), statements, start, start + 9, undone=chosen.random() < 0.3)
        assert owner_conn.execute(COUNTED).fetchall() == owner_conn.execute(SCANNED).fetchall()


async def test_concurrent_writers_are_counted_without_waiting(
    db: Database, project: Scope, owner_conn: psycopg.Connection
):
    ready = asyncio.Barrier(6)

    async def writer(number: int) -> None:
        async with db.scoped(project) as conn:
            for statement in FILLED:
                await conn.execute(statement.encode(), values(project, number * 100 + 1, number * 100 + 20))
            await asyncio.wait_for(ready.wait(), 60)  # each has counted before any has committed

    await asyncio.gather(*(writer(number) for number in range(6)))
    assert owner_conn.execute(COUNTED).fetchall() == owner_conn.execute(SCANNED).fetchall()
    async with db.scoped(project) as conn:
        held = await totals_queries.count_entities(conn, project)
    assert held == EntityCounts(contacts=120, conversations=120, messages=120, rag_chunks=120)
    assert (await messages.count_by_state(db, project))["draft"] == 120
    assert (await messages.count_by_state(db, project, "email"))["draft"] == 60
    assert (await messages.count_by_state(db, project, "email", "Hello"))["draft"] == 60
    monitored = await figures(db)
    assert [(o.channel, o.messages) for o in monitored] == [("email", 60), ("telegram", 60)]
    assert (await vectors.count_chunks(db, project)).pending == 120


async def test_counts_of_closed_connections_are_gathered(
    db: Database, project: Scope, database_url: str, owner_conn: psycopg.Connection
):
    for number in range(3):
        with psycopg.connect(database_url) as conn:
            for statement in FILLED:
                conn.execute(statement.encode(), values(project, number * 10 + 1, number * 10 + 10))
    await write(db, project, FILLED, 91, 95)
    before = owner_conn.execute(COUNTED).fetchall()
    await totals.gather_counts(db, project)
    assert owner_conn.execute(COUNTED).fetchall() == before == owner_conn.execute(SCANNED).fetchall()
    (rows,) = owner_conn.execute("SELECT count(*) FROM project_counts WHERE kind = 'messages'").fetchone() or (0,)
    assert rows == 2, "one of those that ended, one of the connection that still writes"


async def test_application_cannot_change_counts(db: Database, project: Scope):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with db.scoped(project) as conn:
            await conn.execute("UPDATE project_counts SET n = 0")


async def figures(db: Database) -> list[monitoring.OutboundCount]:
    async with db.transaction() as conn:
        return await monitoring.outbound_by_status(conn)


def values(scope: Scope, first: int, last: int) -> dict[str, object]:
    return {"p": scope.project_id, "s": scope.account_scope_id, "a": first, "b": last}


async def write(db: Database, scope: Scope, statements, first: int, last: int, undone: bool = False) -> None:
    async with db.scoped(scope) as conn, conn.transaction(force_rollback=undone):
        for statement in statements:
            await conn.execute(statement.encode(), values(scope, first, last))
