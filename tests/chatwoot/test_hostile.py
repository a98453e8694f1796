"""Hostile values in every field of every response that a sync reads: no run stops, and no other item is lost."""

import json
import random
import string
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as HttpScope

from proofdesk.chatwoot import cursor_queries, item_storage, lenient_json, parsing, queries, sync
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.parsing import ParsedItems
from proofdesk.cli.errors import report_error
from proofdesk.core.progress import ignore_progress
from proofdesk.database import errors, migrate
from proofdesk.database.pool import Database
from proofdesk.errors import Unavailable
from proofdesk.indexing import vectors
from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.incremental import index_conversations
from proofdesk.projects.scope import Scope
from proofdesk_simulators.chatwoot import ChatwootSimulator, create_app
from proofdesk_simulators.serving import running
from tests.support.chatwoot import create_conversations
from tests.support.embedding import local_model

_LETTERS = "".join(random.Random(1).choices(string.ascii_lowercase, k=3000))
VALUES = [
    *(b"1e999", b"NaN", b"-Infinity", b"9" * 400, b"9" * 5000, b"-1", b"0", b"9223372036854775808", b"1.5", b"true"),
    *(b"null", b"[]", b"{}", b'"12"', b'""', b'"a\\u0000b"', b'"half \\ud83d"', b'{"\\u0000": 1}', b'{"\\ud83d": 1}'),
    *(b'{"n": 1e999}', b'{"n": NaN}', b'{"a": 1, "a": {}}', b'"\xff\xfe"', b"[" * 10_000 + b"]" * 10_000),
    *(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, f'"{_LETTERS}"'.encode(), f'["{_LETTERS}"]'.encode()),
]  # fmt: skip
LONG = [json.dumps(text).encode() for text in ("." * 150_000, "e\u0301\u0323" * 50_000, "\U0001f600" * 150_000)]


@dataclass
class Hostile:
    """An application in front of the simulator that puts raw values into fields of the objects with some ids."""

    app: ASGIApp
    values: dict[tuple[str, int], tuple[str, bytes]] = field(default_factory=dict)

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started: list[Message] = []
        body = bytearray()

        async def take(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(message)
            else:
                body.extend(message.get("body", b""))

        await self.app(scope, receive, take)
        changed = self._changed(scope["path"], bytes(body))
        headers = [(k, v) for k, v in started[0]["headers"] if k.lower() != b"content-length"]
        await send({**started[0], "headers": [*headers, (b"content-length", str(len(changed)).encode())]})
        await send({"type": "http.response.body", "body": changed})

    def _changed(self, path: str, body: bytes) -> bytes:
        try:
            answer = json.loads(body)
        except ValueError:
            return body
        raw: list[bytes] = []
        for kind, item in _items(path, answer):
            name, value = self.values.get((kind, item.get("id", 0)), ("", b""))
            if name:
                item[name] = f"raw value {len(raw)}."
                raw.append(value)
        body = json.dumps(answer).encode()
        for number, value in enumerate(raw):
            body = body.replace(f'"raw value {number}."'.encode(), value)
        return body


def _items(path: str, answer: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    data = answer.get("data", answer) if isinstance(answer, dict) else {}
    listed = data.get("payload") if isinstance(data, dict) else None
    kinds = {"messages": "message", "conversations": "conversation", "contacts": "contact", "inboxes": "inbox"}
    for item in listed if isinstance(listed, list) else []:
        kind = kinds.get(path.rpartition("/")[2], "")
        if kind == "conversation":
            yield "contact", item["meta"]["sender"]
        yield kind, item


async def _run(
    db: Database, project: Scope, simulator: ChatwootSimulator, values: dict[Any, Any], patience: float = 5
) -> Any:
    with running(Hostile(create_app(simulator), values)) as url:
        client = ChatwootClient(url, simulator.admin_token, retry_timeout=patience)
        try:
            return await sync.run(db, client, project, sync.SyncOptions(default_account_id=1), ignore_progress)
        finally:
            await client.aclose()


def _stored(conn: psycopg.Connection) -> set[int]:
    return {row[0] for row in conn.execute("SELECT message_id FROM cw_messages")}


@pytest.mark.fidelity(
    "Chatwoot",
    "Any field can hold any value: the client sees what customers and integrations wrote.",
    "generated values in every field of a message",
)
async def test_hostile_message_never_loses_another(
    db: Database, project: Scope, simulator: ChatwootSimulator, owner_conn: psycopg.Connection
):
    fields = ["id", "content", "conversation_id", "inbox_id", "message_type", "content_type", "content_attributes",
              "private", "status", "source_id", "sender", "attachments", "created_at"]  # fmt: skip
    cases = [(name, value) for name in fields for value in VALUES] + [("content", value) for value in LONG]
    ids = create_conversations(simulator, len(cases))
    every = [m for m in simulator.truth()["messages"] if m["conversation_id"] in set(ids)]
    middle = {m["conversation_id"]: m["id"] for m in every if m["content"].startswith("Message 1 ")}
    values = {("message", middle[i]): case for i, case in zip(ids, cases, strict=True)}
    began = time.monotonic()
    synced = await _run(db, project, simulator, values)
    assert {m["id"] for m in every} - _stored(owner_conn) <= set(middle.values()), "only hostile ones may be missing"
    assert synced.in_quarantine > len(fields)
    await index_conversations(db, project, ChunkLimits(1000, 30))
    await vectors.embed_pending(db, project, local_model(), vectors.EmbeddingOptions())
    behind = "SELECT count(*) FROM cw_conversations WHERE content_version <> LEAST(indexed_version, chunked_version)"
    assert owner_conn.execute(behind).fetchone() == (0,)
    assert owner_conn.execute("SELECT count(*) FROM rag_chunks WHERE embedding_status <> 'ready'").fetchone() == (0,)
    assert time.monotonic() - began < 60


async def test_hostile_conversation_never_loses_another(
    db: Database, project: Scope, simulator: ChatwootSimulator, owner_conn: psycopg.Connection
):
    fields = ["id", "uuid", "inbox_id", "status", "priority", "labels", "additional_attributes", "custom_attributes",
              "snoozed_until", "waiting_since", "first_reply_created_at", "last_activity_at", "created_at",
              "updated_at", "messages"]  # fmt: skip
    cases = [(name, value) for name in fields for value in VALUES]
    ids = create_conversations(simulator, len(cases) + 50, messages=1)
    values = {("conversation", i): case for i, case in zip(ids, cases, strict=False)}
    await _run(db, project, simulator, values)
    stored = {row[0] for row in owner_conn.execute("SELECT conversation_id FROM cw_conversations")}
    assert set(ids[len(cases) :]) <= stored
    kept = {row[0] for row in owner_conn.execute("SELECT entity_id FROM sync_quarantine")}
    unknown = [i for i, case in zip(ids, cases, strict=False) if case[0] != "id" and i not in stored]
    assert {str(i) for i in unknown} <= kept, "what is not stored is in quarantine"


async def test_hostile_contact_never_loses_its_conversation(
    db: Database, project: Scope, simulator: ChatwootSimulator, owner_conn: psycopg.Connection
):
    fields = ["id", "name", "email", "phone_number", "identifier", "blocked", "additional_attributes",
              "custom_attributes", "created_at"]  # fmt: skip
    cases = [(name, value) for name in fields for value in VALUES]
    ids = create_conversations(simulator, len(cases) + 20, messages=1)
    senders = {c["id"]: c["meta"]["sender"]["id"] for c in simulator.truth()["conversations"]}
    values = {("contact", senders[i]): case for i, case in zip(ids, cases, strict=False)}
    await _run(db, project, simulator, values)
    stored = {row[0] for row in owner_conn.execute("SELECT conversation_id FROM cw_conversations")}
    assert stored == set(ids)
    contacts = {row[0] for row in owner_conn.execute("SELECT contact_id FROM cw_contacts")}
    assert {senders[i] for i in ids[len(cases) :]} <= contacts


@pytest.mark.parametrize("name", ["name", "channel_type"])
async def test_hostile_inbox_stops_nothing(db: Database, project: Scope, simulator: ChatwootSimulator, name: str):
    create_conversations(simulator, 1)
    for value in VALUES:
        await _run(db, project, simulator, {("inbox", 1): (name, value)})


async def test_database_refusing_one_row_quarantines_that_row(
    db: Database, project: Scope, simulator: ChatwootSimulator, owner_conn: psycopg.Connection
):
    ids = create_conversations(simulator, 5)
    bad = simulator.truth()["messages"][4]["id"]
    owner_conn.execute(f"ALTER TABLE cw_messages ADD CONSTRAINT odd CHECK (message_id <> {bad})".encode())
    try:
        synced = await _run(db, project, simulator, {})
    finally:
        owner_conn.execute("ALTER TABLE cw_messages DROP CONSTRAINT odd")
    assert synced.in_quarantine == 1
    assert _stored(owner_conn) == {m["id"] for m in simulator.truth()["messages"]} - {bad}
    (reason,) = owner_conn.execute("SELECT reason FROM sync_quarantine").fetchone() or ("",)
    assert "odd" in reason
    assert len(ids) == 5


async def test_one_message_in_two_conversations_is_stored_once(db: Database, project: Scope):
    rows = [{"message_id": 7, "conversation_id": number, "content": "x"} for number in (1, 2)]
    parsed = ParsedItems(rows)
    item_storage.reject_duplicates(parsed, "message")
    assert [row["conversation_id"] for row in parsed.rows] == [1]
    assert [(bad.entity_id, bad.conversation_id) for bad in parsed.invalid] == [("7", 2)]
    async with db.scoped(project) as conn:
        assert await queries.list_conversation_ids(conn, project, 1, None) == []


async def test_message_with_the_id_of_a_stored_one_overwrites_nothing(
    db: Database, project: Scope, simulator: ChatwootSimulator, owner_conn: psycopg.Connection
):
    first, second = create_conversations(simulator, 2)
    await _run(db, project, simulator, {})
    before = owner_conn.execute("SELECT message_id, conversation_id, content FROM cw_messages").fetchall()
    stored_id = min(message for message, conversation, _ in before if conversation == first)
    added = simulator.append_message(second, "I claim the id of another message")
    synced = await _run(db, project, simulator, {("message", added.id): ("id", str(stored_id).encode())})
    assert set(owner_conn.execute("SELECT message_id, conversation_id, content FROM cw_messages")) >= set(before)
    assert synced.in_quarantine == 1
    (item,) = synced.waiting
    assert (item.entity, item.entity_id, item.conversation_id) == ("message", str(stored_id), second)
    assert f"is stored in conversation {first}" in item.reason
    async with db.scoped(project) as conn:
        rows = [{"message_id": stored_id, "conversation_id": second}]
        assert [m.conversation_id for m in await cursor_queries.find_stored_elsewhere(conn, project, 1, rows)] == [
            first
        ]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"conversation_id": 2}, "it names conversation 2, and was listed in 1"),
        ({"content_attributes": {"n": float("inf")}}, "Out of range float"),
        ({"content_attributes": {"\0": 1}}, "NUL"),
        ({"created_at": 10**400}, "too large"),
    ],
)
def test_rejected_message_names_the_reason(wrong: dict[str, Any], reason: str):
    message = {"id": 7, "conversation_id": 1, "inbox_id": 1, "message_type": 0, "content": "x", "created_at": 10**9}
    parsed = parsing.parse_messages([message | wrong, message | {"id": 8}], 1)
    assert [row["message_id"] for row in parsed.rows] == [8]
    assert reason in parsed.invalid[0].reason


def test_one_hostile_value_leaves_the_rest_of_an_answer_readable():
    for value in VALUES:
        read = lenient_json.loads(b'{"before": 1, "it": ' + value + b', "after": [{"text": "x]y\\"{"}]}')
        assert (read["before"], read["after"]) == (1, [{"text": 'x]y"{'}])


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SELECT pg_sleep(5)", "statement_timeout"),
        ("CREATE TABLE x ()", "read-only"),
        ("DO $$ BEGIN RAISE 'planted' USING ERRCODE = '53100'; END $$", "disk of the database server is full"),
        ("DO $$ BEGIN RAISE 'planted' USING ERRCODE = '53300'; END $$", "max_connections"),
        ("DO $$ BEGIN RAISE 'planted' USING ERRCODE = '57P03'; END $$", "starting up"),
    ],
)
async def test_database_failures_are_named(db: Database, statement: str, reason: str):
    with pytest.raises(Unavailable, match=reason):
        async with db.transaction() as conn:
            await conn.execute("SET LOCAL statement_timeout = 50")
            if reason == "read-only":
                await conn.execute("SET TRANSACTION READ ONLY")
            await conn.execute(statement.encode())


async def test_refused_value_is_not_a_database_failure(db: Database, project: Scope):
    for statement in ("SELECT 1/0", "SELECT '1e999999'::jsonb", "SELECT repeat('x', 2000000)::tsvector"):
        with pytest.raises(psycopg.Error) as refused:
            async with db.scoped(project) as conn:
                await conn.execute(statement.encode())
        assert errors.is_data_error(refused.value)
        assert errors.classify(refused.value) is None


def test_read_only_server_is_named_by_migrate_and_by_commands(
    database_url: str,
    owner_conn: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr(migrate, "_check_server", lambda conn: conn.execute("SET default_transaction_read_only = on"))
    monkeypatch.setattr(migrate, "_prepare", lambda conn: conn.execute("CREATE TABLE x ()"))
    with pytest.raises(Unavailable, match="The database is read-only"):
        migrate.migrate(database_url)
    with pytest.raises(psycopg.Error) as refused, owner_conn.transaction():
        owner_conn.execute("SET TRANSACTION READ ONLY")
        owner_conn.execute("CREATE TABLE x ()")
    assert report_error(refused.value) == 1
    assert "Connect to the primary server" in capsys.readouterr().err
