"""The plans of the hottest statements, as the role of the application and behind row-level security: none reads a table
as a whole.

The tables hold a small project among the rows of a large one. Each statement is planned both ways that a connection may
come to use: for its values, and once for all values.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from pgvector import HalfVector

from proofdesk.accounts import session_queries as auth_session_queries
from proofdesk.audit import events
from proofdesk.conversations import queries as review_queries
from proofdesk.conversations import totals_queries
from proofdesk.core.ids import GlobalId
from proofdesk.dashboard import overview_queries
from proofdesk.database import vector_indexes
from proofdesk.database.pool import GENERIC_PLAN, open_database
from proofdesk.database.rows import Conn
from proofdesk.indexing import vector_queries as embedding_queries
from proofdesk.jobs import run_queries as scheduler_queries
from proofdesk.outbound import message_count_queries, recipient_queries
from proofdesk.projects import projects, scope
from proofdesk.projects import queries as project_queries
from proofdesk.projects.scope import Scope
from proofdesk.search import queries as search_queries
from proofdesk.search import ranking_queries, semantic_queries
from proofdesk.search.queries import FilterParams, QueryVector, WeightedTerm
from proofdesk.search.ranking_queries import RankingParams
from tests.support.databases import copy_database
from tests.support.plans import explained, rows_read

LARGE, SMALL = 4000, 40  # conversations of four messages
MOST = 3000  # rows that a frequent statement may read of a table; each table has 4,000 or more
BIG = {"sessions", "cw_contacts", "cw_conversations", "cw_messages", "rag_chunks", "rag_vectors", "search_postings",
       "search_terms", "worker_runs", "outbound_messages"}  # fmt: skip
MODEL = QueryVector("one", 3, HalfVector([1, 0, 0]))
TERMS = [WeightedTerm(0, "w1", 1.0, 10), WeightedTerm(1, "w2", 1.0, 10)]
RANKING = RankingParams(TERMS[:1], TERMS[1:], 9.0, 9, 9, MODEL, 10)
OF_ONE_WORD = [WeightedTerm(-1, "w2", 1.0, 10), WeightedTerm(-1, "w3", 1.0, 10)]

Hot = Callable[[Conn, Scope], Awaitable[Any]]
HOT: dict[str, Hot] = {
    "the session of a request": lambda c, s: auth_session_queries.fetch_session(c, b"1", mark_seen=True),
    "the project of a request": lambda c, s: project_queries.get_visible_project(c, s.actor, s.project_id),
    "the newest messages": lambda c, s: review_queries.list_messages(c, s, None, None, None, 50),
    "the newest messages of a conversation": lambda c, s: review_queries.list_messages(
        c, s, GlobalId("conversation", s.project_id, 1, 7), None, None, 50
    ),
    "the conversations active last": lambda c, s: review_queries.list_conversations(c, s, None, None, 50, 0),
    "a conversation": lambda c, s: review_queries.list_conversation_messages(
        c, s, GlobalId("conversation", s.project_id, 1, 7)
    ),
    "the contacts changed last": lambda c, s: review_queries.list_contacts(c, s, None, 50, 0),
    "contacts to write to": lambda c, s: recipient_queries.fetch_reachable_contacts(c, s, "email", "%ann%", None, 10),
    "messages of each of the last days": lambda c, s: overview_queries.messages_by_day(c, s, 30),
    "its latest runs": scheduler_queries.latest_runs,
    "the same as they change": lambda c, s: scheduler_queries.changed_runs(c, s, [], with_latest=True),
    "its newest runs": lambda c, s: scheduler_queries.run_history(c, s, None, None, 30, 0),
    "messages to a person": lambda c, s: recipient_queries.fetch_message_ids(c, s, "anna@example.com", 20),
    "chunks to embed": lambda c, s: embedding_queries.claim_chunks(c, s, 100),
    "words of a question": lambda c, s: search_queries.load_index_statistics(
        c, s, ["w1", "w2", ":english"], "", "one", "none"
    ),
    "chunks by meaning": lambda c, s: semantic_queries.store_nearest(c, s, MODEL, FilterParams(), 200),
    "chunks of the best conversations": lambda c, s: ranking_queries.select_best_chunks(c, s, RANKING, FilterParams()),
    "the same where a word has several terms": lambda c, s: ranking_queries.select_best_chunks(
        c, s, replace(RANKING, common=OF_ONE_WORD), FilterParams()
    ),
}


@pytest.fixture(scope="module")
def filled_url(server_url: str, worker_id: str) -> Iterator[str]:
    """A database with a large and a small project."""
    url = copy_database(server_url, f"plans_{worker_id}")
    with psycopg.connect(url, autocommit=True) as conn:
        for name, conversations in (("Large", LARGE), ("Small", SMALL)):
            made = conn.execute(_PROJECT, [name]).fetchone()
            assert made is not None
            for statement in _FILLED:
                conn.execute(statement.encode(), {"p": made[0], "s": made[1], "n": conversations})
            if conversations == LARGE:
                asyncio.run(_index_vectors(url, made[0]))
        conn.execute(_SESSIONS)
        conn.execute("VACUUM ANALYZE")
    yield url


@pytest.fixture(params=["Large", "Small"])
async def inside(filled_url: str, request: pytest.FixtureRequest) -> Scope:
    async with open_database(filled_url, 2) as db:
        (found,) = [p for p in await projects.list_visible(db, events.system_actor()) if p.name == request.param]
        return await scope.enter(db, events.system_actor(), found.id)


@pytest.mark.parametrize("planned", ["force_custom_plan", "force_generic_plan"])
async def test_frequent_statements_read_no_whole_table(filled_url: str, inside: Scope, planned: str):
    guilty = []
    settings = {**search_queries.transaction_settings(100, False), "plan_cache_mode": planned}
    async with explained(filled_url, inside, settings) as (conn, plans):
        for name, hot in HOT.items():
            await hot(conn, inside)
            nodes = await plans.nodes()
            assert nodes, f"{name}: no plan was told"
            read = {n["Relation Name"] for n in nodes if n["Node Type"] == "Seq Scan"} & BIG
            guilty += [f"{name} reads the whole of {table}" for table in sorted(read)]
            guilty += [
                f"{name} reads {rows} rows of {table}" for table, rows in rows_read(nodes).items() if rows > MOST
            ]
    assert guilty == []


@pytest.mark.parametrize("name", ["the newest messages", "the newest messages of a conversation"])
async def test_message_page_uses_the_index_with_a_generic_plan(filled_url: str, inside: Scope, name: str):
    async with explained(filled_url, inside, GENERIC_PLAN) as (conn, plans):
        await HOT[name](conn, inside)
        nodes = {node["Node Type"]: node for node in await plans.nodes()}
        assert "Nested Loop" in nodes and not {"Sort", "Incremental Sort", "Hash Join", "Merge Join"} & nodes.keys()
        # With an unknown limit the planner expects a tenth of all rows, and joins whole tables.
        assert nodes["Limit"]["Plan Rows"] <= 50


async def test_date_filter_reads_chunks_of_those_days_only(filled_url: str, inside: Scope):
    some = FilterParams(since=datetime.now(UTC) - timedelta(days=10, minutes=1))
    async with explained(filled_url, inside, search_queries.transaction_settings(100, some.is_set)) as (conn, plans):
        passing = await semantic_queries.count_matching_chunks(conn, inside, some, LARGE)
        await semantic_queries.store_nearest_exact(conn, inside, MODEL, some, 200)
        assert rows_read(await plans.nodes())["rag_chunks"] == 2 * passing


async def test_each_day_is_its_own_index_range(filled_url: str, inside: Scope):
    async with explained(filled_url, inside) as (conn, plans):
        await HOT["messages of each of the last days"](conn, inside)
        [newest, *ranges] = sorted(
            (n for n in await plans.nodes() if "Relation Name" in n), key=_expected, reverse=True
        )
    assert newest["Actual Rows"] == 1
    # For a range from an unknown day the planner expects a third of all rows, and reads whole tables.
    assert ranges and all(_expected(node) < LARGE / 20 for node in ranges)


def _expected(node: dict[str, Any]) -> int:
    return node["Plan Rows"]


async def test_totals_are_read_from_counts_only(filled_url: str, inside: Scope):
    async with explained(filled_url, inside) as (conn, plans):
        await totals_queries.count_entities(conn, inside)
        await embedding_queries.count_by_status(conn, inside)
        await message_count_queries.count_by_state(conn, inside, "email")
        assert {n["Relation Name"] for n in await plans.nodes() if "Relation Name" in n} == {"project_counts"}


async def test_statement_that_reads_a_whole_table_is_detected(filled_url: str, inside: Scope):
    async with explained(filled_url, inside) as (conn, plans):
        await conn.execute("SELECT count(*) FROM cw_messages WHERE content LIKE '%lamp%'")
        assert "Seq Scan" in {node["Node Type"] for node in await plans.nodes()}


async def _index_vectors(url: str, project_id: UUID) -> None:
    async with vector_indexes.index_connection(url) as conn:
        await vector_indexes.build_index(conn, project_id, MODEL.model, MODEL.dimension, LARGE * 4)


_PROJECT = """
    WITH s AS (INSERT INTO account_scopes (scope_key, name) VALUES (gen_random_uuid()::text, 'x') RETURNING id)
    INSERT INTO projects (account_scope_id, name) SELECT id, %s FROM s RETURNING id, account_scope_id"""
_SESSIONS = """
    WITH u AS (INSERT INTO app_users (username, password_hash) VALUES ('ben', '') RETURNING id)
    INSERT INTO sessions (id_hash, user_id, csrf_token, expires_at)
    SELECT n::text::bytea, u.id, '', now() + interval '1 day' FROM u, generate_series(1, 5000) n"""
_FILLED = (
    "INSERT INTO cw_contacts (project_id, account_scope_id, account_id, contact_id, name, email,"
    " blocked, additional_attributes, custom_attributes)"
    " SELECT %(p)s, %(s)s, 1, n, 'Anna', n || '@example.com', false, '{}', '{}' FROM generate_series(1, %(n)s::int) n",
    "INSERT INTO cw_conversations (project_id, account_scope_id, account_id, conversation_id, inbox_id, contact_id,"
    " status, labels, additional_attributes, custom_attributes, last_activity_at, created_at, updated_at)"
    " SELECT %(p)s, %(s)s, 1, n, 1, n, 'open', '{}', '{}', '{}', now() - n * interval '1 min', now(), now()"
    " FROM generate_series(1, %(n)s::int) n",
    "INSERT INTO cw_messages (project_id, account_scope_id, account_id, message_id, conversation_id, inbox_id,"
    " message_type, content_type, content, private, deleted, sender_type, content_attributes, attachments, created_at)"
    " SELECT %(p)s, %(s)s, 1, n, 1 + n / 4, 1, 'incoming', 'text', repeat('Hello ', 20), false, false, 'contact',"
    " '{}', '[]', now() - n * interval '1 hour' FROM generate_series(1, %(n)s::int * 4 - 1) n",
    "INSERT INTO rag_chunks (project_id, account_scope_id, account_id, message_id, chunk_index, conversation_id,"
    " inbox_id, sender_type, sender_types, covers, text, context, content_hash, embedding_status, created_at)"
    " SELECT project_id, account_scope_id, 1, message_id, 0, conversation_id, 1, 'contact', '{contact}',"
    " ARRAY[message_id], content, '', '', CASE WHEN message_id %% 50 = 0 THEN 'pending' ELSE 'ready' END, created_at"
    " FROM cw_messages WHERE project_id = %(p)s",
    "INSERT INTO rag_vectors SELECT project_id, account_scope_id, 1, message_id, 0, 'one',"
    " format('[%%s,%%s,%%s]', random(), random(), random())::halfvec FROM rag_chunks WHERE project_id = %(p)s",
    "INSERT INTO search_postings SELECT %(p)s, %(s)s, 'w' || w, 1, c, 1, 9"
    " FROM generate_series(1, 10) w, generate_series(1, %(n)s::int) c WHERE (c * w) %% 3 = 0",
    "INSERT INTO search_postings SELECT %(p)s, %(s)s, 'rare' || c, 1, c, 1, 9 FROM generate_series(1, %(n)s::int) c",
    "INSERT INTO outbound_messages (project_id, account_scope_id, channel, recipient_ref, payload, content_hash,"
    " evidence_refs, idempotency_key, request_hash, max_retries, created_by)"
    " SELECT %(p)s, %(s)s, 'email', n || '@example.com', '{\"text\": \"Hello\"}', '', '[]', n::text, '', 5, 'anna'"
    " FROM generate_series(1, %(n)s::int) n",
    "INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger, status, created_at)"
    " SELECT %(p)s, %(s)s, j, 'schedule', 'ok', now() - n * interval '15 min'"
    " FROM unnest(ARRAY['chatwoot_sync', 'embeddings_run']) j, generate_series(1, %(n)s::int) n",
)
