"""One conversation that Chatwoot cannot show breaks each list page that holds it; all others are read (C-43)."""

import psycopg
import pytest

from proofdesk.chatwoot import reconcile, sync
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.core.progress import ignore_progress
from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope
from proofdesk_simulators.chatwoot import ChatwootSimulator
from tests.support.chatwoot import chatwoot_content, create_conversations, stored_content

OPTIONS = sync.SyncOptions(default_account_id=1)
FAST = 600_000
PAGE = 5


async def run_sync(db: Database, project: Scope, client: ChatwootClient) -> sync.SyncResult:
    return await sync.run(db, client, project, OPTIONS, ignore_progress)


def quarantined(conn: psycopg.Connection) -> list[tuple[str, str]]:
    return conn.execute("SELECT entity, entity_id FROM sync_quarantine ORDER BY 1, 2").fetchall()


def message_ids(simulator: ChatwootSimulator, *without: int) -> set[int]:
    return {m[0] for m in chatwoot_content(simulator)[1] if m[1] not in without}


def stored_message_ids(conn: psycopg.Connection) -> set[int]:
    return {m[0] for m in stored_content(conn)[1]}


@pytest.mark.parametrize("places", [[0], [7], [15], [5, 9, 10, 11]], ids=str)
@pytest.mark.fidelity(
    "Chatwoot",
    "A conversation whose contact is missing makes every list page that holds it answer 500.",
    "Chatwoot 4.15.1, [C-43](chatwoot.md)",
)
async def test_conversation_without_contact_stops_no_other(
    places: list[int],
    db: Database,
    project: Scope,
    owner_conn: psycopg.Connection,
    simulator: ChatwootSimulator,
    connect,
):
    simulator.switches.page_size = PAGE
    ids = create_conversations(simulator, 16, 2)
    orphans = [ids[place] for place in places]
    for orphan in orphans:
        simulator.orphan_conversation(orphan)
    client = connect(simulator)
    synced = await run_sync(db, project, client)
    assert stored_message_ids(owner_conn) == message_ids(simulator, *orphans)
    assert quarantined(owner_conn) == sorted(("conversation", str(i)) for i in orphans)
    assert synced.in_quarantine == len(orphans)
    simulator.clear_defects()
    assert (await run_sync(db, project, client)).in_quarantine == 0
    assert stored_content(owner_conn) == chatwoot_content(simulator)


async def test_only_conversation_cannot_be_shown(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    (orphan,) = create_conversations(simulator, 1)
    simulator.orphan_conversation(orphan)
    assert (await run_sync(db, project, connect(simulator))).in_quarantine == 1


async def test_changes_beside_a_conversation_without_contact_are_read(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    simulator.switches.page_size = PAGE
    ids = create_conversations(simulator, 16, 2)
    client = connect(simulator)
    await run_sync(db, project, client)
    for conversation in (ids[2], ids[9], ids[3]):
        simulator.append_message(conversation, "Live")
    new = create_conversations(simulator, 1)
    simulator.orphan_conversation(ids[9])
    before = stored_message_ids(owner_conn)
    await run_sync(db, project, client)
    assert stored_message_ids(owner_conn) == before | message_ids(simulator, ids[9])
    assert {m[1] for m in stored_content(owner_conn)[1]} >= {*new}
    simulator.clear_defects()
    await run_sync(db, project, client)
    assert stored_content(owner_conn) == chatwoot_content(simulator)


async def test_reconcile_keeps_a_conversation_that_cannot_be_shown(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    simulator.switches.page_size = PAGE
    ids = create_conversations(simulator, 12, 2)
    client = connect(simulator)
    await run_sync(db, project, client)
    before = stored_content(owner_conn)
    simulator.orphan_conversation(ids[6])
    found = await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert found.changes.removed == 0 and stored_content(owner_conn) == before
    assert quarantined(owner_conn) == [("conversation", str(ids[6]))]


async def test_page_that_fails_for_a_moment_is_read_as_usual(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    simulator.switches.page_size = PAGE
    create_conversations(simulator, 12, 2)
    simulator.faults.add("500", path="*/conversations", times=4, skip=1)
    await run_sync(db, project, connect(simulator))
    assert stored_content(owner_conn) == chatwoot_content(simulator)
    assert quarantined(owner_conn) == []


async def test_lists_that_all_fail_end_the_run(db: Database, project: Scope, simulator: ChatwootSimulator, connect):
    create_conversations(simulator, 3)
    simulator.faults.add("500", path="*/conversations")
    with pytest.raises(ChatwootError, match="Internal Server Error"):
        await run_sync(db, project, connect(simulator))
