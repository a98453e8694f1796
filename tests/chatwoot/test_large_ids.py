"""Ids above 2^31 are read, compared, indexed and found like any other (C-14)."""

import psycopg
import pytest

from proofdesk.chatwoot import reconcile, sync
from proofdesk.core.progress import ignore_progress
from proofdesk.database.pool import Database
from proofdesk.projects import sources
from proofdesk.projects.scope import Scope
from proofdesk_simulators.chatwoot import ChatwootSimulator
from proofdesk_simulators.chatwoot.foundation import add_inbox
from tests.support.chatwoot import chatwoot_content, create_conversations, stored_content

OPTIONS = sync.SyncOptions(default_account_id=1)
FAST = 600_000
LARGE = [2**31, 2**40, 2**53]


@pytest.mark.parametrize("number", LARGE)
@pytest.mark.fidelity(
    "Chatwoot",
    "Ids can exceed 32 bits.",
    "Chatwoot 4.15.1, [C-14](chatwoot.md)",
)
async def test_large_ids_are_synced_and_reconciled(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect, number: int
):
    create_conversations(simulator, 3, 4)
    simulator.skip_ids(number)
    ids = create_conversations(simulator, 3, 30)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert min(ids) > number and stored_content(owner_conn) == chatwoot_content(simulator)
    simulator.append_message(ids[0], "Live")
    simulator.remove_message(simulator.conversation(ids[1]).messages[3].id)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    found = await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert (found.complete, found.changes.removed) == (True, 1)
    assert stored_content(owner_conn) == chatwoot_content(simulator)
    assert simulator.journal.count(path="*/messages") < 60


async def test_conversation_across_the_boundary_costs_few_requests(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    (conversation,) = create_conversations(simulator, 1, 1_500)
    simulator.skip_ids(2**31)
    for _ in range(1_200):
        simulator.append_message(conversation, "After the boundary")
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)
    assert simulator.journal.count(path="*/messages") < 20


async def test_inbox_with_a_large_id_can_be_bound(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    simulator.skip_ids(2**31)
    inbox = add_inbox(simulator.installation, simulator.account(1), "Large", "Channel::Api")
    simulator.create_conversation(inbox.id, content="Hello")
    await sources.bind(db, project, "chatwoot_inbox", f"1:{inbox.id}")
    await sync.run(db, connect(simulator), project, OPTIONS, ignore_progress)
    stored = owner_conn.execute("SELECT inbox_id FROM cw_conversations").fetchall()
    assert inbox.id > 2**31 and stored == [(inbox.id,)]
