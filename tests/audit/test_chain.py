"""The audit chain holds under load, cannot be changed by the application, and shows changes by others."""

import asyncio
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from proofdesk.audit import chain
from proofdesk.audit import events as audit_events
from proofdesk.audit.chain import INSTALLATION
from proofdesk.audit.events import Actor, BulkEvent, EvidenceRef, system_actor
from proofdesk.audit.queries import AuditFilter
from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope
from tests.support import samples
from tests.support.audit_events import newest_event, tamper_with_events
from tests.support.projects import new_project

AWKWARD = {"text": 'quote " slash \\ tab \t bell \x07 line \n — ü 🙂', "number": 1.50, "deep": [{"b": 1, "a": None}]}


async def add(db: Database, scope: Scope | None, count: int = 1, **values: object) -> None:
    for number in range(count):
        async with db.scoped(scope) if scope else db.transaction() as conn:
            payload = {"number": number} | values
            await audit_events.record(
                conn, system_actor("req-1"), "test.done", "thing", number, scope=scope, payload=payload
            )


async def ids(db: Database, scope: Scope | None) -> list[int]:
    return [link.id async for link in chain.read_links(db, scope)]


async def test_event_holds_actor_action_and_request_id(db: Database, project: Scope, owner_conn: psycopg.Connection):
    async with db.scoped(project) as conn:
        who = Actor("amina", project.project_id, False, "req-7")
        await audit_events.record(conn, who, "test.done", "thing", 5, scope=project, status="failed", payload={"a": 1})
    event = newest_event(owner_conn)
    assert (event["actor_username"], event["actor_user_id"]) == ("amina", project.project_id)
    assert (event["action"], event["entity_type"], event["entity_id"]) == ("test.done", "thing", "5")
    assert (event["status"], event["request_id"], event["payload"]) == ("failed", "req-7", {"a": 1})
    assert (event["project_id"], event["account_scope_id"]) == (project.project_id, project.account_scope_id)


async def test_rollback_leaves_no_event(db: Database, project: Scope):
    before = await chain.verify(db, project)
    with pytest.raises(RuntimeError):
        async with db.scoped(project) as conn:
            await audit_events.record(conn, system_actor(), "test.done", "thing", 1, scope=project)
            raise RuntimeError
    await add(db, project)
    after = await chain.verify(db, project)
    assert (after.events, after.fault) == (before.events + 1, "")


async def test_fifty_concurrent_writers_keep_one_chain(db: Database, project: Scope):
    other = await new_project(db, "Other")
    await asyncio.gather(*(add(db, scope, 4) for scope in [project, other, None] * 17))
    for scope in (project, other, None):
        proof = await chain.verify(db, scope)
        assert proof.fault == ""
        assert proof.events == 17 * 4 + (1 if scope else 0)
        assert (found := await ids(db, scope)) == sorted(found)


async def test_bulk_events_are_chained_in_order(db: Database, project: Scope):
    events = [BulkEvent("outbound.send", "outbound_message", n, "sent", {"attempt": n}) for n in range(40)]
    async with db.scoped(project) as conn:
        await audit_events.record_many(conn, project, project.actor, events)
        await audit_events.record_many(conn, project, project.actor, [])
    proof = await chain.verify(db, project)
    assert proof.fault == ""
    found = await chain.list_events(db, project, project.actor, AuditFilter(action="outbound.send"), 100, 0)
    assert [(e.entity_id, e.payload) for e in reversed(found)] == [(str(n), {"attempt": n}) for n in range(40)]


async def test_rolled_back_writers_leave_no_gap(db: Database, project: Scope):
    async def write(number: int) -> None:
        async with db.scoped(project) as conn:
            await audit_events.record(conn, system_actor(), "test.done", "thing", number, scope=project)
            if number % 3 == 0:
                raise LookupError

    await asyncio.gather(*(write(n) for n in range(30)), return_exceptions=True)
    proof = await chain.verify(db, project)
    assert (proof.fault, proof.events) == ("", 21)


async def test_every_type_of_value_is_sealed_as_it_is_read(db: Database, project: Scope):
    await add(db, project, 1, **AWKWARD)
    async with db.transaction() as conn:
        await audit_events.record(conn, system_actor(), "test.done", "thing", None)
    assert (await chain.verify(db, project)).fault == ""
    assert (await chain.verify(db, None)).fault == ""


@pytest.mark.parametrize(
    ("change", "first_bad"),
    [
        ("UPDATE audit_events SET payload = '{\"number\": 9}' WHERE id = %s", 2),
        ("UPDATE audit_events SET created_at = created_at + interval '1 us' WHERE id = %s", 2),
        ("UPDATE audit_events SET actor_username = 'somebody' WHERE id = %s", 2),
        ("UPDATE audit_events SET evidence_refs = '[{}]' WHERE id = %s", 2),
        ("DELETE FROM audit_events WHERE id = %s", 3),
    ],
    ids=["payload", "time", "actor", "references", "deleted"],
)
async def test_changed_event_is_detected(
    db: Database, project: Scope, owner_conn: psycopg.Connection, change: str, first_bad: int
):
    await add(db, project, 4)
    numbers = await ids(db, project)
    tamper_with_events(owner_conn, change, numbers[2])
    proof = await chain.verify(db, project)
    assert proof.event_id == numbers[first_bad]
    assert str(numbers[first_bad]) in proof.fault


async def test_references_are_stored_as_they_are(db: Database, project: Scope):
    """The chain does not know what a reference names: `evidence` validates and resolves it."""
    refs = [EvidenceRef("cw_messages", "no such message", {"page": 1}), EvidenceRef("elsewhere", "x")]
    async with db.scoped(project) as conn:
        await audit_events.record(conn, system_actor(), "test.done", "thing", 1, scope=project, evidence_refs=refs)
    [event] = await chain.list_events(db, project, project.actor, AuditFilter(action="test.done"), 10, 0)
    assert event.evidence_refs == [
        {"source": "cw_messages", "ref": "no such message", "meta": {"page": 1}},
        {"source": "elsewhere", "ref": "x"},
    ]
    assert (await chain.verify(db, project)).fault == ""


async def test_swapped_events_are_detected(db: Database, project: Scope, owner_conn: psycopg.Connection):
    await add(db, project, 4)
    numbers = await ids(db, project)
    for old, new in ((numbers[1], -1), (numbers[2], numbers[1]), (-1, numbers[2])):
        tamper_with_events(owner_conn, "UPDATE audit_events SET id = %s WHERE id = %s", new, old)
    assert (await chain.verify(db, project)).event_id == numbers[1]


async def test_forged_hash_breaks_the_next_link(db: Database, project: Scope, owner_conn: psycopg.Connection):
    await add(db, project, 4)
    numbers = await ids(db, project)
    tamper_with_events(owner_conn, "UPDATE audit_events SET payload = '{}' WHERE id = %s", numbers[2])
    tamper_with_events(
        owner_conn,
        "UPDATE audit_events e SET hash = sha256(previous_hash || convert_to(sealed_text(e), 'UTF8')) WHERE id = %s",
        numbers[2],
    )
    assert (await chain.verify(db, project)).event_id == numbers[3]


async def test_truncated_chain_is_detected(db: Database, project: Scope, owner_conn: psycopg.Connection):
    await add(db, project, 4)
    numbers = await ids(db, project)
    tamper_with_events(owner_conn, "DELETE FROM audit_events WHERE id = %s", numbers[-1])
    proof = await chain.verify(db, project)
    assert f"After event {numbers[-2]}, events were removed" in proof.fault
    tamper_with_events(owner_conn, "DELETE FROM audit_heads")
    assert "where the chain ends is gone" in (await chain.verify(db, project)).fault


async def test_event_moved_to_another_chain_is_detected(db: Database, project: Scope, owner_conn: psycopg.Connection):
    other = await new_project(db, "Other")
    await add(db, project, 3)
    numbers = await ids(db, project)
    tamper_with_events(
        owner_conn, "UPDATE audit_events SET project_id = %s WHERE id = %s", other.project_id, numbers[1]
    )
    assert (await chain.verify(db, project)).event_id == numbers[2]
    assert f"Event {numbers[1]} was added behind the end" in (await chain.verify(db, other)).fault


@pytest.mark.parametrize("change", ["UPDATE audit_events SET status = 'x'", "DELETE FROM audit_events"])
async def test_application_cannot_change_an_event(db: Database, project: Scope, change: str):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with db.scoped(project) as conn:
            await conn.execute(change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change", ["TRUNCATE audit_events", "UPDATE audit_heads SET events = 0", "DELETE FROM audit_heads",
               "SELECT nextval('audit_event_ids')", "ALTER TABLE audit_events DISABLE TRIGGER ALL",
               "SET session_replication_role = replica"],
)  # fmt: skip
async def test_application_cannot_disable_the_protection(db: Database, project: Scope, change: str):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with db.scoped(project) as conn:
            await conn.execute(change)  # type: ignore[arg-type]


async def test_application_cannot_set_id_time_or_hash(db: Database, project: Scope):
    for column, value in (("id", "1"), ("created_at", "now()"), ("hash", "'x'"), ("previous_hash", "'x'")):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with db.scoped(project) as conn:
                await conn.execute(f"INSERT INTO audit_events ({column}) VALUES ({value})")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change", ["UPDATE audit_events SET status = 'x'", "DELETE FROM audit_events", "TRUNCATE audit_events"]
)
async def test_table_owner_cannot_change_an_event(
    db: Database, project: Scope, owner_conn: psycopg.Connection, change: str
):
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        owner_conn.execute(change)  # type: ignore[arg-type]


async def test_event_cannot_be_added_to_another_projects_chain(db: Database, project: Scope):
    other = await new_project(db, "Other")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with db.scoped(project) as conn:
            await audit_events.record(conn, system_actor(), "test.done", "thing", 1, scope=other)


async def test_documented_program_verifies_an_export(db: Database, project: Scope, tmp_path: Path):
    await add(db, project, 3, **AWKWARD)
    (prover,) = samples.runnable_samples("docs/audit.md")
    lines = [json.dumps(chain.export_link(link), default=str) + "\n" async for link in chain.read_links(db, project)]
    assert _proved(prover, tmp_path, "".join(lines)) == ""
    assert "AssertionError" in _proved(prover, tmp_path, "".join(lines).replace("test.done", "test.gone"))


async def test_exported_event_holds_its_sealed_text(db: Database, project: Scope):
    await add(db, project, 3, **AWKWARD)
    before = bytes(32)
    async for link in chain.read_links(db, project):
        line = json.loads(json.dumps(chain.export_link(link), default=str))
        assert line["previous_hash"] == before.hex()
        before = hashlib.sha256(before + line["sealed"].encode()).digest()
        assert line["hash"] == before.hex()
        told = json.loads(line["sealed"])
        shown = [line[n] for n in ("id", "project_id", "account_scope_id", "created_at", "actor_username",
                                   "actor_user_id", "action", "entity_type", "entity_id", "status", "request_id",
                                   "payload", "evidence_refs")]  # fmt: skip
        assert told == shown
    assert (await chain.verify(db, project)).last_hash == before.hex()


def _proved(prover: str, folder: Path, trail: str) -> str:
    (folder / "trail.jsonl").write_text(trail)
    command = [sys.executable, "-I", "-c", prover]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stderr


async def test_long_chain_is_read_in_batches(db: Database, project: Scope, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chain, "_BATCH", 3)
    await add(db, project, 10)
    proof = await chain.verify(db, project)
    assert (proof.events, proof.fault) == (11, "")


async def test_installation_has_its_own_chain(db: Database, project: Scope):
    await add(db, None, 2)
    proof = await chain.verify(db, None)
    assert (proof.chain, proof.events, proof.fault) == (INSTALLATION, 2, "")
    async with db.transaction() as conn:
        assert await (await conn.execute("SELECT * FROM audit_events")).fetchall() == []
