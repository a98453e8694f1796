"""A window that Chatwoot cannot answer is read in halves; a message that it cannot show is quarantined (C-13)."""

import psycopg
import pytest

from proofdesk.chatwoot import reconcile, sync
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.core.progress import ignore_progress
from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope
from proofdesk_simulators.chatwoot import ChatwootSimulator
from tests.support.chatwoot import chatwoot_content, create_conversations, stored_content

OPTIONS = sync.SyncOptions(default_account_id=1)
FAST = 600_000


def quarantined(conn: psycopg.Connection) -> list[tuple[str, str, int | None]]:
    return conn.execute("SELECT entity, entity_id, conversation_id FROM sync_quarantine ORDER BY 1, 2").fetchall()


@pytest.mark.fidelity(
    "Chatwoot",
    "A window of messages can take more than 15 seconds.",
    "Chatwoot 4.15.1, [C-13](chatwoot.md)",
)
async def test_window_too_slow_for_chatwoot_is_made_smaller(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    create_conversations(simulator, 3, 5)
    create_conversations(simulator, 1, 700)
    simulator.switches.most_messages = 100
    await sync.run(db, connect(simulator), project, OPTIONS, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)
    assert quarantined(owner_conn) == []
    assert simulator.journal.count(path="*/messages") < 100


async def test_new_messages_of_a_slow_conversation_are_read(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    (conversation,) = create_conversations(simulator, 1, 300)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    simulator.switches.most_messages = 40
    for number in range(60):
        simulator.append_message(conversation, f"Live {number}")
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert (await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)).complete
    assert stored_content(owner_conn) == chatwoot_content(simulator)


async def test_message_that_chatwoot_cannot_show_stops_no_other(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    ids = create_conversations(simulator, 5, 40)
    simulator.skip_ids(9_000_000)
    bad = simulator.append_message(ids[2], "Cannot be shown")
    simulator.append_message(ids[2], "After it")
    simulator.break_rendering(bad.id)
    client = connect(simulator)
    synced = await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert quarantined(owner_conn) == [("message", str(bad.id), ids[2])] and synced.in_quarantine == 1
    assert stored_content(owner_conn)[1] == {m for m in chatwoot_content(simulator)[1] if m[0] != bad.id}
    simulator.clear_defects()
    assert (await sync.run(db, client, project, OPTIONS, ignore_progress)).in_quarantine == 0
    assert stored_content(owner_conn) == chatwoot_content(simulator)


async def test_reconcile_keeps_a_stored_message_that_cannot_be_shown(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    ids = create_conversations(simulator, 3, 20)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    before = stored_content(owner_conn)
    simulator.break_rendering(simulator.conversation(ids[1]).messages[7].id)
    simulator.append_message(ids[0], "Live")
    found = await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert found.changes.removed == 0
    assert before[1] < stored_content(owner_conn)[1] == chatwoot_content(simulator)[1]


async def test_run_fails_if_chatwoot_shows_no_messages(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    create_conversations(simulator, 20)
    simulator.faults.add("500", path="*/messages")
    client = connect(simulator)
    with pytest.raises(ChatwootError, match="Internal Server Error"):
        await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert quarantined(owner_conn) == []
    simulator.faults.clear()
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)


async def test_conversation_that_cannot_be_read_at_all_is_quarantined(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    ids = create_conversations(simulator, 4)
    simulator.faults.add("500", path=f"*/conversations/{ids[1]}/messages")
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert {m[1] for m in stored_content(owner_conn)[1]} == {*ids} - {ids[1]}
    assert {row[2] or int(row[1]) for row in quarantined(owner_conn)} == {ids[1]}
    simulator.faults.clear()
    assert (await sync.run(db, client, project, OPTIONS, ignore_progress)).in_quarantine == 0
    assert stored_content(owner_conn) == chatwoot_content(simulator)


@pytest.mark.parametrize("kind", ["500", "502", "503", "504"])
@pytest.mark.parametrize("path", ["*/conversations", "*/messages", "*/contacts"])
@pytest.mark.fidelity(
    "Chatwoot",
    "A 500 can come in the middle of a walk.",
    "Chatwoot 4.15.1, [C-03](chatwoot.md), [C-42](chatwoot.md)",
)
async def test_server_error_in_the_middle_of_a_walk_loses_nothing(
    db: Database,
    project: Scope,
    owner_conn: psycopg.Connection,
    simulator: ChatwootSimulator,
    connect,
    kind: str,
    path: str,
):
    create_conversations(simulator, 60)
    simulator.faults.add(kind, path=path, skip=2, times=3)
    client = connect(simulator, patience=30.0)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator) and quarantined(owner_conn) == []
    simulator.faults.add(kind, path=path, skip=2, times=3)
    assert (await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)).complete
    assert stored_content(owner_conn) == chatwoot_content(simulator)
