"""Reconcile finds what sync cannot see, repairs it, and proves the result."""

from typing import Any

import psycopg
import pytest

from proofdesk.chatwoot import permissions, reconcile, sync
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.core.progress import ignore_progress
from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope
from proofdesk_simulators.chatwoot import ChatwootSimulator
from tests.support.chatwoot import chatwoot_content, create_conversations, stored_content

OPTIONS = sync.SyncOptions(default_account_id=1)
FAST = 600_000


async def test_complete_import_is_proven_complete(db: Database, project: Scope, studio: ChatwootSimulator, connect):
    client = connect(studio)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    found = await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    there = {i["inbox_id"]: i for i in studio.truth(rows=False)["by_inbox"]}
    assert found.complete
    for proof in found.inboxes:
        expected = there[proof.inbox_id]
        assert proof.theirs == proof.ours
        assert proof.theirs["conversations"] == expected["conversations"]
        assert proof.theirs["messages"] == expected["messages"]
        assert proof.theirs["highest_message_id"] == expected["highest_message_id"]
        assert (proof.missing, proof.removed) == (0, 0)


async def test_deletion_that_sync_cannot_see_is_found(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    create_conversations(simulator, 4)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    simulator.delete_message(simulator.truth()["messages"][0]["id"])
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert stored_content(owner_conn) != chatwoot_content(simulator)
    assert (await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)).complete
    assert stored_content(owner_conn) == chatwoot_content(simulator)


async def test_deleted_conversation_is_removed(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    ids = create_conversations(simulator, 4)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    simulator.delete_conversation(ids[1])
    found = await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)
    assert (found.complete, found.inboxes[0].removed) == (True, 3)


async def test_deleted_message_is_removed(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    create_conversations(simulator, 2)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    simulator.remove_message(simulator.truth()["messages"][0]["id"])
    found = await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)
    assert (found.complete, found.inboxes[0].removed, found.inboxes[0].missing) == (True, 1, 0)


async def test_lost_rows_are_read_again_and_counted(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    ids = create_conversations(simulator, 6)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    owner_conn.execute("DELETE FROM cw_conversations WHERE conversation_id = %s", [ids[0]])
    owner_conn.execute("DELETE FROM cw_messages WHERE conversation_id = %s AND content LIKE '%% 1 %%'", [ids[3]])
    found = await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)
    assert (found.complete, found.inboxes[0].missing) == (True, 4)


async def test_renamed_and_merged_contacts_are_updated(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    first = simulator.create_conversation(1, content="Hello", contact_name="Ana")
    second = simulator.create_conversation(1, content="Hi", contact_name="Anna")
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    sender = {c["id"]: c["meta"]["sender"]["id"] for c in simulator.truth()["conversations"]}
    kept, merged = sender[first.id], sender[second.id]
    simulator.merge_contacts(kept, merged)
    simulator.rename_contact(kept, "Ana Lima")
    await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert owner_conn.execute("SELECT contact_id, name FROM cw_contacts").fetchall() == [(kept, "Ana Lima")]


async def test_failed_run_is_resumed(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    create_conversations(simulator, 80)
    client = connect(simulator, patience=0.3)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    simulator.faults.add("500", path="*/conversations", skip=3)
    with pytest.raises(ChatwootError):
        await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    simulator.faults.clear()
    simulator.journal.clear()
    found = await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert found.complete
    assert sum(p.theirs["conversations"] for p in found.inboxes) == 80
    assert simulator.journal.count(path="*/messages") < 80


async def test_failed_page_removes_nothing(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    create_conversations(simulator, 10)
    client = connect(simulator, patience=0.2)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    before = stored_content(owner_conn)
    simulator.faults.add("502", path="*/messages", skip=4)
    with pytest.raises(ChatwootError):
        await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert stored_content(owner_conn) == before


async def test_rate_limit_is_kept(db: Database, project: Scope, simulator: ChatwootSimulator, connect):
    create_conversations(simulator, 10)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    simulator.journal.clear()
    await reconcile.run(db, client, project, OPTIONS, 60 * 40, ignore_progress)
    times = [entry.at for entry in simulator.journal.find()]
    assert max(times) - min(times) >= (len(times) - 1) / 40 * 0.9


async def test_stopped_reconcile_resumes_and_walks_no_source_twice(
    db: Database, project: Scope, simulator: ChatwootSimulator, connect
):
    create_conversations(simulator, 60, 1)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    turns, walked = 0, dict[str, list[reconcile.InboxComparison]]()
    while not (
        found := await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress, always, walked)
    ).finished:
        assert not found.complete
        turns, walked = turns + 1, found.walked
    assert turns == 3, "once after each page"
    assert found.complete and found.inboxes[0].theirs["conversations"] == 60
    simulator.journal.clear()
    again = await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress, always, found.walked)
    assert again.complete and again.inboxes == found.inboxes
    assert simulator.journal.count() == simulator.journal.count(path="*/profile")


async def test_the_token_of_an_agent_proves_nothing(
    db: Database, project: Scope, simulator: ChatwootSimulator, connect, monkeypatch: pytest.MonkeyPatch
):
    create_conversations(simulator, 3, 1)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert (await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)).complete
    find, roles = permissions.find_limited_role, simulator.installation.users[1].roles

    async def find_after_demotion(*arguments: Any) -> str | None:
        roles[1] = "agent"
        return await find(*arguments)

    monkeypatch.setattr(permissions, "find_limited_role", find_after_demotion)
    part = await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert (part.agrees, part.complete, part.limited_role) == (True, False, "agent")


async def always() -> bool:
    """Ask to stop."""
    return True
