"""An item that cannot be stored is quarantined with its reason, the rest is stored, and each run retries."""

import psycopg
import pytest

from proofdesk.chatwoot import sync
from proofdesk.core.progress import ignore_progress
from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope
from proofdesk_simulators.chatwoot import ChatwootSimulator
from tests.support.chatwoot import chatwoot_content, create_conversations, stored_content

OPTIONS = sync.SyncOptions(default_account_id=1)


@pytest.mark.parametrize(("content", "reason"), [("before\x00after", "NUL"), ("half an emoji \ud83d", "surrogate")])
async def test_unstorable_message_is_quarantined_alone(
    db: Database,
    project: Scope,
    owner_conn: psycopg.Connection,
    simulator: ChatwootSimulator,
    connect,
    content: str,
    reason: str,
):
    (conversation,) = create_conversations(simulator, 1)
    bad = simulator.append_message(conversation, content)
    simulator.append_message(conversation, "After the bad one")
    newest = simulator.append_message(conversation, content)  # the list of conversations embeds the newest
    synced = await sync.run(db, connect(simulator), project, OPTIONS, ignore_progress)
    kept = owner_conn.execute("SELECT entity, entity_id, reason FROM sync_quarantine").fetchall()
    assert {(k[0], k[1]) for k in kept} == {("message", str(bad.id)), ("message", str(newest.id))}
    assert reason in kept[0][2]
    assert synced.counts.quarantined == synced.in_quarantine == 2
    assert stored_content(owner_conn)[1] == {
        m for m in chatwoot_content(simulator)[1] if m[0] not in (bad.id, newest.id)
    }


@pytest.mark.parametrize("wrong", [{"created_at": 10**14}, {"created_at": "yesterday"}, {"message_type": "odd"}])
async def test_repaired_message_leaves_the_quarantine(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect, wrong: dict
):
    # The oldest of many, so that only the quarantine leads to it.
    oldest, *_ = create_conversations(simulator, 60)
    message = next(m["id"] for m in simulator.truth()["messages"] if m["conversation_id"] == oldest)
    simulator.break_message(message, wrong)
    client = connect(simulator)
    assert (await sync.run(db, client, project, OPTIONS, ignore_progress)).in_quarantine == 1
    simulator.clear_defects()
    assert (await sync.run(db, client, project, OPTIONS, ignore_progress)).in_quarantine == 0
    assert stored_content(owner_conn) == chatwoot_content(simulator)


async def test_unreadable_conversation_is_quarantined_and_retried(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    # Created long ago on the simulator's clock, so that only the quarantine leads to it.
    simulator.clock.freeze(simulator.clock.now() - 86_400)
    ids = create_conversations(simulator, 60)
    simulator.clock.run()
    simulator.break_conversation(ids[0], missing=("inbox_id",))
    client = connect(simulator)
    assert (await sync.run(db, client, project, OPTIONS, ignore_progress)).in_quarantine == 1
    assert {c[0] for c in stored_content(owner_conn)[0]} == set(ids[1:])
    simulator.clear_defects()
    assert (await sync.run(db, client, project, OPTIONS, ignore_progress)).in_quarantine == 0
    assert stored_content(owner_conn) == chatwoot_content(simulator)


async def test_unreadable_contact_does_not_block_its_conversation(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    simulator.clock.freeze(simulator.clock.now() - 86_400)
    ids = create_conversations(simulator, 60)
    sender = next(c["meta"]["sender"]["id"] for c in simulator.truth()["conversations"] if c["id"] == ids[0])
    simulator.rename_contact(sender, "half\x00name")
    simulator.clock.run()
    client = connect(simulator)
    assert (await sync.run(db, client, project, OPTIONS, ignore_progress)).in_quarantine == 1
    assert stored_content(owner_conn) == chatwoot_content(simulator)
    simulator.rename_contact(sender, "whole name")
    assert (await sync.run(db, client, project, OPTIONS, ignore_progress)).in_quarantine == 0
    stored = owner_conn.execute("SELECT name FROM cw_contacts WHERE contact_id = %s", [sender]).fetchone()
    assert stored == ("whole name",)


async def test_deleted_items_leave_the_quarantine(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    first, second = create_conversations(simulator, 2)
    bad = simulator.append_message(first, "odd\x00")
    nameless = simulator.append_message(first, "without an id")
    simulator.break_message(nameless.id, missing=("id",))
    simulator.break_conversation(second, {"status": "odd"})
    client = connect(simulator)
    assert (await sync.run(db, client, project, OPTIONS, ignore_progress)).in_quarantine == 3
    simulator.remove_message(bad.id)
    simulator.remove_message(nameless.id)
    simulator.delete_conversation(second)
    assert (await sync.run(db, client, project, OPTIONS, ignore_progress)).in_quarantine == 0


async def test_refused_conversation_is_quarantined_alone(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    ids = create_conversations(simulator, 5)
    simulator.faults.add("401_refused", path=f"*/conversations/{ids[1]}/messages")
    client = connect(simulator)
    synced = await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert synced.in_quarantine == 1
    simulator.faults.clear()
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)
