"""Projects with a row in every table. Chatwoot's ids are the same in each, so a missing condition mixes them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.evidence import references
from proofdesk.jobs import new_projects
from proofdesk.projects import scope, sources
from proofdesk.projects.scope import ProjectOwner
from tests.support import stories, worlds
from tests.support.embedding import DIMENSION

ONLY_THERE = 999  # a conversation that is in the second project only

# Every table whose rows belong to a project.
TABLES: LiteralString = (
    "SELECT table_name::text FROM information_schema.columns JOIN pg_tables ON tablename = table_name"
    " WHERE schemaname = 'public' AND column_name = 'account_scope_id' AND table_name <> 'projects' ORDER BY 1"
)


@dataclass(frozen=True)
class Chunk:
    """A stored chunk."""

    message_id: int
    chunk_index: int
    text: str
    context: str
    covers: list[int]
    content_hash: bytes
    claimed_at: datetime


@dataclass(frozen=True)
class World:
    """A project, the ids of its rows, and a word that all its texts contain."""

    owner: ProjectOwner
    member_id: UUID
    member: str
    word: str
    run_id: UUID
    source_id: UUID
    source: str
    chunk: Chunk
    policy_id: UUID
    outbound: dict[str, UUID]  # a message of each state, by the state

    @property
    def project_id(self) -> UUID:
        return self.owner.project_id

    def message(self, number: int = 10100) -> str:
        return f"cwmsg:{self.project_id}:{stories.ACCOUNT}:{number}"

    def conversation(self, number: int = 101) -> str:
        return f"cw:{self.project_id}:{stories.ACCOUNT}:{number}"


async def create_world(db: Database, conn: psycopg.Connection, name: str, word: str, *, extra: bool = False) -> World:
    """Create a project with its own account scope and a row in every table of projects."""
    made = await new_projects.create(db, events.system_actor(), name, scope_key=name)
    owner = await scope.require_owner(db, await scope.enter(db, events.system_actor(), made.id))
    stories.insert_conversations(conn, made.id)
    if extra:
        lonely = [stories.StoryMessage("contact", "Amina Okafor", "Nobody else has this conversation.")]
        stories._conversation(conn, made.id, ONLY_THERE, 1, 77, "open", ["delivery"], lonely)
    _mark(conn, made.id, word)
    await stories.make_searchable(db, made.id)
    member = f"member.of.{name.lower()}"
    row = conn.execute(
        "INSERT INTO app_users (username, password_hash, may_bind_sources) VALUES (%s, '', true) RETURNING id", [member]
    )
    member_id = _only(row)[0]
    _fill(conn, owner, member_id, word)
    source = await sources.bind(db, owner, "chatwoot_inbox", f"{len(word)}{ord(word[0])}:5")
    ref = {"source": "cw_messages", "ref": f"cwmsg:{made.id}:{stories.ACCOUNT}:10100"}
    async with db.scoped(owner) as app:
        citations = await references.cite(app, owner, [ref])
        details: dict[str, Any] = {"scope": owner, "payload": {"word": word}, "evidence_refs": citations}
        await events.record(app, owner.actor, "source.seen", "source", source.id, **details)
    run_id = _only(conn.execute("SELECT id FROM worker_runs WHERE project_id = %s AND status = 'running'", [made.id]))
    policy_id = _write_policy(conn, owner)
    outbound = _write_outbound(conn, owner, word, policy_id)
    of_source = (source.id, source.external_id)
    return World(owner, member_id, member, word, run_id[0], *of_source, _chunk(conn, made.id), policy_id, outbound)


def _mark(conn: psycopg.Connection, project_id: UUID, word: str) -> None:
    for table, column in (("cw_messages", "content"), ("cw_contacts", "name"), ("cw_inboxes", "name")):
        conn.execute(
            sql.SQL("UPDATE {} SET {column} = {column} || %s WHERE project_id = %s").format(
                sql.Identifier(table), column=sql.Identifier(column)
            ),
            [f" {word}", project_id],
        )
    conn.execute("UPDATE cw_messages SET sender_name = sender_name || %s WHERE project_id = %s", [word, project_id])


def _fill(conn: psycopg.Connection, owner: ProjectOwner, member_id: UUID, word: str) -> None:
    both: dict[str, Any] = {"project": owner.project_id, "account_scope": owner.account_scope_id}
    values = both | {"word": word, "member": member_id, "dimension": DIMENSION, "account": stories.ACCOUNT}
    for statement in (
        "INSERT INTO project_members (project_id, account_scope_id, user_id)"
        " VALUES (%(project)s, %(account_scope)s, %(member)s)",
        "INSERT INTO rag_models (project_id, account_scope_id, model, dimension, complete_at)"
        " SELECT %(project)s, %(account_scope)s, m, %(dimension)s, now() FROM unnest(ARRAY['ours', 'old']) m",
        "INSERT INTO rag_vectors (project_id, account_scope_id, account_id, message_id, chunk_index, model, embedding)"
        " SELECT project_id, account_scope_id, account_id, message_id, chunk_index, m,"
        " array_fill(0.1::real, ARRAY[%(dimension)s])::vector::halfvec"
        " FROM rag_chunks CROSS JOIN unnest(ARRAY['ours', 'old']) m WHERE project_id = %(project)s",
        "UPDATE rag_chunks SET embedding_status = 'processing', claimed_at = now() - interval '1 hour'"
        " WHERE project_id = %(project)s",
        "INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger, status, runner, heartbeat_at)"
        " SELECT %(project)s, %(account_scope)s, 'chatwoot_sync', 'manual', s, 'host:1:1', now()"
        " FROM unnest(ARRAY['running', 'failed', 'ok']) s",
        "INSERT INTO procrastinate_workers DEFAULT VALUES",
        "INSERT INTO sync_watermarks (project_id, account_scope_id, source, cursor_ts)"
        " VALUES (%(project)s, %(account_scope)s, 'chatwoot_account:7', now())",
        "INSERT INTO contact_merges (project_id, account_scope_id, account_id, merged_contact_id, into_contact_id,"
        " addresses, noticed_by) VALUES (%(project)s, %(account_scope)s, %(account)s, 15, 11, '{old@example.com}',"
        " 'conversation')",
        "INSERT INTO telegram_moves (project_id, account_scope_id, chat_id, moved_to)"
        " VALUES (%(project)s, %(account_scope)s, -42, -1042)",
        "INSERT INTO kill_switches (project_id, account_scope_id, switched_by, reason)"
        " VALUES (%(project)s, %(account_scope)s, 'ada', 'A test')",
        "INSERT INTO suppressions (project_id, account_scope_id, channel, name, reason, created_by)"
        " VALUES (%(project)s, %(account_scope)s, 'email', 'gone@example.com', 'bounce', 'system')",
        "INSERT INTO incidents (id, project_id, account_scope_id, runbook, check_id, title, cause, fix, evidence,"
        " state, failures, passes, reopened, reminders, observed_at, opened_at) VALUES (%(project)s, %(project)s,"
        " %(account_scope)s, 'search-returns-no-results', 'probe', %(word)s, %(word)s,"
        " '{\"label\": \"Do it.\", \"command\": null}', '[]', 'open', 2, 0, 0, 0,"
        " now(), now())",
        "INSERT INTO incident_notifications (project_id, account_scope_id, incident_id, channel, kind, number, status)"
        " VALUES (%(project)s, %(account_scope)s, %(project)s, 'email', 'opened', 1, 'pending')",
        "INSERT INTO digest_subscriptions (project_id, account_scope_id, user_id, daily, weekly, email, telegram)"
        " VALUES (%(project)s, %(account_scope)s, %(member)s, true, false, 'a@example.com', false)",
        "INSERT INTO digest_deliveries (project_id, account_scope_id, id, user_id, cadence, channel, ends_at, status)"
        " VALUES (%(project)s, %(account_scope)s, %(project)s, %(member)s, 'daily', 'email', '2020-01-01', 'pending')",
        "INSERT INTO outbound_rules (project_id, account_scope_id) VALUES (%(project)s, %(account_scope)s)",
        "INSERT INTO answers (project_id, account_scope_id, id, asked_by, question, status, mode, sentences)"
        " VALUES (%(project)s, %(account_scope)s, %(project)s, 'somebody', %(word)s, 'answered', 'extractive',"
        " jsonb_build_array(jsonb_build_object('text', %(word)s::text, 'citations', '[]'::jsonb)))",
        "INSERT INTO commitments (project_id, account_scope_id, id, account_id, conversation_id, message_id, said_at,"
        " quote, promised_by, what, conditional, language, confidence, source, state)"
        " VALUES (%(project)s, %(account_scope)s, %(project)s, %(account)s, 101, 10100, now(), %(word)s, 'us',"
        " %(word)s, false, 'english', 0.9, 'rules', 'open')",
        "INSERT INTO calendar_feeds (project_id, account_scope_id, token_hash, created_by)"
        " VALUES (%(project)s, %(account_scope)s, sha256(convert_to(%(project)s::text, 'UTF8')), 'ada')",
        "INSERT INTO sync_quarantine (project_id, account_scope_id, account_id, entity, entity_id, reason, payload)"
        " VALUES (%(project)s, %(account_scope)s, %(account)s, 'message', '1', 'a NUL', '{}')",
    ):
        conn.execute(statement.encode(), values)
    conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")


def _write_policy(conn: psycopg.Connection, owner: ProjectOwner) -> UUID:
    both, contact = [owner.project_id, owner.account_scope_id], f"cwc:{owner.project_id}:{stories.ACCOUNT}:11"
    (policy_id,) = _only(conn.execute(
        "INSERT INTO contact_channel_policies (project_id, account_scope_id, channel, contact_global_id)"
        " VALUES (%s, %s, 'email', %s) RETURNING id",
        [*both, contact],
    ))  # fmt: skip
    conn.execute(
        "INSERT INTO contact_channel_names (project_id, account_scope_id, name, channel, policy_id)"
        " SELECT %s, %s, unnest(ARRAY[%s, 'amina@example.com']), 'email', %s",
        [*both, contact, policy_id],
    )
    return policy_id


def _write_outbound(conn: psycopg.Connection, owner: ProjectOwner, word: str, policy_id: UUID) -> dict[str, UUID]:
    both = [owner.project_id, owner.account_scope_id]
    paths = (
        ["draft"], ["approved"], ["approved", "cancelled"], ["approved", "blocked_opt_out"],
        ["approved", "sending"], ["approved", "sending", "failed"], ["approved", "sending", "sent"],
    )  # fmt: skip
    return {path[-1]: _lead(conn, both, word, path, policy_id) for path in paths}


def _lead(conn: psycopg.Connection, both: list[Any], word: str, path: list[str], policy_id: UUID) -> UUID:
    """Insert a message and move it through these states."""
    (made,) = _only(conn.execute(
        "INSERT INTO outbound_messages (project_id, account_scope_id, channel, recipient_ref, payload, evidence_refs,"
        " idempotency_key, dedupe_key, request_hash, max_retries, created_by, policy_ids)"
        " VALUES (%s, %s, 'email', 'amina@example.com', jsonb_build_object('subject', %s::text, 'text', 'Hello'), '[]',"
        " %s, %s, '', 5, 'somebody', ARRAY[%s]) RETURNING id",
        [*both, word, f"key of {path[-1]}", f"dedupe key of {path[-1]}", policy_id],
    ))  # fmt: skip
    for status in path:
        conn.execute(
            "UPDATE outbound_messages SET status = %(status)s::text, next_attempt_at ="
            " CASE WHEN %(status)s IN ('approved', 'failed') THEN now() - interval '1 hour' END,"
            " approved_by = 'somebody', approved_at = now(), approved_hash = content_hash,"
            " cancelled_by = CASE WHEN %(status)s = 'cancelled' THEN 'somebody' END,"
            " cancelled_at = CASE WHEN %(status)s = 'cancelled' THEN now() END,"
            " sent_at = CASE WHEN %(status)s = 'sent' THEN now() END"
            " WHERE id = %(id)s AND %(status)s <> 'draft'",
            {"status": status, "id": made},
        )
    if "sent" in path:
        conn.execute(
            "INSERT INTO outbound_deliveries (project_id, account_scope_id, outbound_id, account_id, message_id,"
            " sent_at) VALUES (%s, %s, %s, %s, 10100, now())",
            [*both, made, stories.ACCOUNT],
        )
    if path == ["draft"]:
        conn.execute(
            "INSERT INTO outbound_versions (project_id, account_scope_id, outbound_id, number, recipient_ref, payload,"
            " evidence_refs, content_hash, status, replaced_by) SELECT project_id, account_scope_id, id, 1,"
            " recipient_ref, payload, '[]', content_hash, 'draft', 'somebody' FROM outbound_messages WHERE id = %s",
            [made],
        )
    if "sending" in path:
        conn.execute(
            "INSERT INTO outbound_attempts (project_id, account_scope_id, outbound_id, number, started_at, lease_until,"
            " finished_at, outcome) SELECT project_id, account_scope_id, id, 1, now() - interval '1 hour',"
            " now() - interval '1 minute', CASE WHEN status <> 'sending' THEN now() END,"
            " nullif(status, 'sending') FROM outbound_messages WHERE id = %s",
            [made],
        )
    return made


def _chunk(conn: psycopg.Connection, project_id: UUID) -> Chunk:
    row = conn.execute(
        "SELECT message_id, chunk_index, text, context, covers, content_hash, claimed_at FROM rag_chunks"
        " WHERE project_id = %s AND conversation_id = 101 ORDER BY message_id, chunk_index LIMIT 1",
        [project_id],
    )
    return Chunk(*_only(row))


def _only(cursor: psycopg.Cursor[Any]) -> Any:
    row = cursor.fetchone()
    assert row is not None
    return row


def project_hashes(conn: psycopg.Connection, world: World) -> list[Any]:
    """Return the hashes of all rows of a project."""
    parts: list[sql.Composable] = [
        sql.SQL("SELECT md5(t::text) FROM {} t WHERE project_id = %(id)s").format(sql.Identifier(table))
        for (table,) in conn.execute(TABLES).fetchall()
    ]
    parts.append(sql.SQL("SELECT md5(p::text) FROM projects p WHERE id = %(id)s"))
    return sorted(conn.execute(sql.SQL(" UNION ALL ").join(parts), {"id": world.project_id}).fetchall())


@pytest.fixture
async def ours(db: Database, owner_conn: psycopg.Connection) -> World:
    """Create the project that tries to access another one."""
    return await worlds.create_world(db, owner_conn, "Ours", "alpaca")


@pytest.fixture
async def theirs(db: Database, owner_conn: psycopg.Connection) -> World:
    """Create another project, with a conversation of its own."""
    return await worlds.create_world(db, owner_conn, "Theirs", "bramble", extra=True)
