"""The keyword index follows the conversations, and its counts stay correct."""

from typing import Any

import psycopg
from psycopg import sql

from proofdesk.indexing import terms
from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.incremental import index_conversations
from tests.support.projects import new_project
from tests.support.search_desk import Desk

Rows = list[tuple[Any, ...]]
LIMITS = ChunkLimits(1000, 30)


async def state(desk: Desk) -> tuple[Rows, Rows]:
    """Return the postings and the terms."""
    return (
        await desk.rows("SELECT term, conversation_id, tf, length FROM search_postings ORDER BY 1, 2"),
        await desk.rows("SELECT term, df, total FROM search_terms ORDER BY 1"),
    )


async def test_incremental_counts_equal_rebuilt_counts(shop: Desk):
    await shop.delete(101)
    await shop.talk("Another parcel is late, and the invoice is wrong, too")
    await index_conversations(shop.db, shop.scope, LIMITS)
    await shop.change("DELETE FROM cw_conversations WHERE conversation_id = 3")
    await shop.change("UPDATE cw_contacts SET name = 'Anne Peterson' WHERE name = 'Anna Petrova'")
    await index_conversations(shop.db, shop.scope, LIMITS)
    kept = await state(shop)
    counted = await shop.rows("SELECT term, count(*), sum(tf) FROM search_postings GROUP BY term ORDER BY term")
    assert kept[1] == counted
    await shop.change("DELETE FROM search_postings")
    assert await state(shop) == ([], [])
    await shop.change("UPDATE cw_conversations SET indexed_version = 0")
    await index_conversations(shop.db, shop.scope, LIMITS)
    assert await state(shop) == kept


async def test_unchanged_conversations_write_nothing(shop: Desk):
    before = await shop.rows("SELECT xmin::text, term, conversation_id FROM search_postings ORDER BY 2, 3")
    assert (await index_conversations(shop.db, shop.scope, LIMITS)).conversations == 0
    await shop.change("UPDATE cw_conversations SET content_version = content_version + 1")
    assert (await index_conversations(shop.db, shop.scope, LIMITS)).conversations == 6
    assert await shop.rows("SELECT xmin::text, term, conversation_id FROM search_postings ORDER BY 2, 3") == before


async def test_progress_is_reported_in_conversations(desk: Desk):
    told: list[tuple[int, int | None, str]] = []
    for _ in range(3):
        await desk.talk("Hello there")
    await index_conversations(desk.db, desk.scope, LIMITS, lambda *values: told.append(values))
    assert told == [(3, 3, "conversations indexed")]


async def test_new_rules_reindex_every_conversation(shop: Desk, monkeypatch):
    monkeypatch.setattr(terms, "VERSION", terms.VERSION + 1)
    assert (await index_conversations(shop.db, shop.scope, LIMITS)).conversations == 6


async def test_renamed_contact_is_found_by_the_new_name_only(shop: Desk):
    await shop.change("UPDATE cw_contacts SET name = 'Zachary Ottoline' WHERE name LIKE 'Bartholomew%%'", x=0)
    await index_conversations(shop.db, shop.scope, LIMITS)
    assert await shop.found("ottoline") == [5]
    assert await shop.found("bartholomew") == []


async def test_each_project_has_its_own_vocabulary(shop: Desk, owner_conn: psycopg.Connection):
    other = Desk(shop.db, await new_project(shop.db, "Other"))
    await other.talk("My parcel is late", contact=("Olga", None, None))
    await other.ready(embed=False)
    sizes = owner_conn.execute("SELECT project_id, df FROM search_terms WHERE term = ''").fetchall()
    assert dict(sizes) == {shop.scope.project_id: 6, other.scope.project_id: 1}
    assert await other.rows("SELECT count(*) FROM search_terms WHERE term = 'lamp'") == [(0,)]


async def test_similar_terms_come_from_the_own_project_only(shop: Desk):
    other = Desk(shop.db, await new_project(shop.db, "Other"))
    asked = "SELECT term FROM similar_terms(ARRAY['quigly'], 5)"
    assert await other.rows(asked) == []
    assert await shop.rows(asked) != []
    async with shop.db.transaction() as conn:
        assert await (await conn.execute(asked)).fetchall() == []


async def test_planner_statistics_refresh_while_a_project_fills(desk: Desk, owner_conn: psycopg.Connection):
    """Without statistics the planner takes the project to be empty, and reads all of it for each batch."""
    await desk.talk("Where is my parcel? It was to be here on Monday")
    for table, key in (("cw_conversations", "conversation_id"), ("cw_messages", "message_id")):
        more = sql.SQL("jsonb_build_object('conversation_id', n, {}, n)").format(key)
        copied = sql.SQL("SELECT (jsonb_populate_record(t, {})).* FROM {} t, generate_series(1000, 1400) n")
        await desk.change(
            sql.SQL("INSERT INTO {} ").format(sql.Identifier(table)) + copied.format(more, sql.Identifier(table))
        )
    assert _known(owner_conn, desk) == set()
    assert (await index_conversations(desk.db, desk.scope, LIMITS)).conversations == 402
    assert _known(owner_conn, desk) == {"rag_chunks", "search_postings", "search_terms"}


def _known(conn: psycopg.Connection, desk: Desk) -> set[str]:
    """Return the tables of search for which the planner expects rows of the project."""
    rows = conn.execute(
        "SELECT tablename FROM pg_stats WHERE attname = 'project_id' AND position(%s IN most_common_vals::text) > 0"
        " AND tablename IN ('rag_chunks', 'search_postings', 'search_terms')",
        [str(desk.scope.project_id)],
    )
    return {name for (name,) in rows}
