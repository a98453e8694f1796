"""Projects full of data. What Chatwoot numbers has the same numbers in each, so a forgotten condition mixes them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from proofdesk.audit import trail
from proofdesk.db.pool import Database
from proofdesk.projects import projects, scope, sources
from proofdesk.projects.scope import Keeper
from tests.conftest import DIMENSION
from tests.review import stories

ONLY_THERE = 999  # a conversation that is in the second project only

# Every table whose rows belong to a project.
TABLES: LiteralString = (
    "SELECT table_name::text FROM information_schema.columns JOIN pg_tables ON tablename = table_name"
    " WHERE schemaname = 'public' AND column_name = 'account_scope_id' AND table_name <> 'projects' ORDER BY 1"
)


@dataclass(frozen=True)
class Chunk:
    """A chunk as it is stored."""

    message_id: int
    chunk_index: int
    text: str
    context: str
    covers: list[int]
    content_hash: bytes
    claimed_at: datetime


@dataclass(frozen=True)
class World:
    """A project, the ids of what is in it, and a word that every text of it holds."""

    keeper: Keeper
    member_id: UUID
    member: str
    word: str
    run_id: UUID
    source_id: UUID
    source: str
    chunk: Chunk

    @property
    def project_id(self) -> UUID:
        return self.keeper.project_id

    def message(self, number: int = 10100) -> str:
        return f"cwmsg:{self.project_id}:{stories.ACCOUNT}:{number}"

    def conversation(self, number: int = 101) -> str:
        return f"cw:{self.project_id}:{stories.ACCOUNT}:{number}"


async def make(db: Database, conn: psycopg.Connection, name: str, word: str, *, extra: bool = False) -> World:
    """A project of an account scope of its own with a row in every table of projects."""
    made = await projects.create(db, trail.system(), name, scope_key=name)
    keeper = await scope.keep(db, await scope.enter(db, trail.system(), made.id))
    stories.tell(conn, made.id)
    if extra:
        lonely = [stories.Written("contact", "Amina Okafor", "Nobody else has this conversation.")]
        stories._conversation(conn, made.id, ONLY_THERE, 1, 77, "open", ["delivery"], lonely)
    _mark(conn, made.id, word)
    await stories.make_searchable(db, made.id)
    member = f"member.of.{name.lower()}"
    row = conn.execute("INSERT INTO app_users (username, password_hash) VALUES (%s, '') RETURNING id", [member])
    member_id = _only(row)[0]
    _fill(conn, keeper, member_id)
    source = await sources.bind(db, keeper, "chatwoot_inbox", f"{len(word)}{ord(word[0])}:5")
    ref = {"source": "cw_messages", "ref": f"cwmsg:{made.id}:{stories.ACCOUNT}:10100"}
    async with db.scoped(keeper) as app:
        told: dict[str, Any] = {"scope": keeper, "payload": {"word": word}, "evidence_refs": [ref]}
        await trail.record(app, keeper.actor, "source.seen", "source", source.id, **told)
    run_id = _only(conn.execute("SELECT id FROM worker_runs WHERE project_id = %s AND status = 'running'", [made.id]))
    return World(keeper, member_id, member, word, run_id[0], source.id, source.external_id, _chunk(conn, made.id))


def _mark(conn: psycopg.Connection, project_id: UUID, word: str) -> None:
    for table, column in (("cw_messages", "content"), ("cw_contacts", "name"), ("cw_inboxes", "name")):
        conn.execute(
            sql.SQL("UPDATE {} SET {column} = {column} || %s WHERE project_id = %s").format(
                sql.Identifier(table), column=sql.Identifier(column)
            ),
            [f" {word}", project_id],
        )
    conn.execute("UPDATE cw_messages SET sender_name = sender_name || %s WHERE project_id = %s", [word, project_id])


def _fill(conn: psycopg.Connection, keeper: Keeper, member_id: UUID) -> None:
    both: dict[str, Any] = {"project": keeper.project_id, "account_scope": keeper.account_scope_id}
    values = both | {"member": member_id, "dimension": DIMENSION, "account": stories.ACCOUNT}
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
        "INSERT INTO sync_watermarks (project_id, account_scope_id, source, cursor_ts)"
        " VALUES (%(project)s, %(account_scope)s, 'chatwoot_account:7', now())",
        "INSERT INTO sync_quarantine (project_id, account_scope_id, account_id, entity, entity_id, reason, payload)"
        " VALUES (%(project)s, %(account_scope)s, %(account)s, 'message', '1', 'a NUL', '{}')",
    ):
        conn.execute(statement.encode(), values)


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
