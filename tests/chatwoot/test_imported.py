"""Imported history, in which ids and times disagree: sync and reconcile end with exactly the rows of Chatwoot."""

import random

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


def import_history(simulator: ChatwootSimulator, conversation: int, times: list[int]) -> None:
    simulator.import_messages(conversation, [(float(at), f"Imported {n}") for n, at in enumerate(times)])


def disturb(simulator: ChatwootSimulator, chance: random.Random, ids: list[int], uncommitted: list[int]) -> None:
    """Make some changes after which ids and times disagree, or that move no time."""
    now, ago = int(simulator.clock.now()), 40 * 86_400
    simulator.switches.tie_order = chance.choice(("ascending", "descending", "alternating"))
    for _ in range(4):
        conversation = chance.choice(ids)
        times = [now - ago + n for n in range(chance.choice((3, 90, 1010)))]
        act = chance.choice(("reversed", "shuffled", "equal", "dated", "held", "release", "delete", "live"))
        if act in ("reversed", "shuffled", "equal"):
            orders = {
                "reversed": times[::-1],
                "shuffled": chance.sample(times, len(times)),
                "equal": [now] * len(times),
            }
            import_history(simulator, conversation, orders[act])
        elif act == "dated":
            simulator.append_message(conversation, "Dated back", at=now - ago)
        elif act == "held":
            uncommitted.append(simulator.append_message(conversation, "Committed late", held=True).id)
        elif act == "release" and uncommitted:
            simulator.release_message(uncommitted.pop(0))
        elif act == "delete" and (rows := simulator.conversation(conversation).messages):
            simulator.remove_message(chance.choice(rows).id)
        simulator.append_message(conversation, "Live")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.fidelity(
    "Chatwoot",
    "Message lists are selected by id but ordered and cut by time, so imported history breaks a cursor over ids.",
    "Chatwoot 4.15.1, [C-08](chatwoot.md), [C-09](chatwoot.md)",
)
async def test_sync_and_reconcile_end_with_exactly_what_chatwoot_has(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect, seed: int
):
    chance, uncommitted = random.Random(seed), list[int]()
    ids, client = create_conversations(simulator, 4, 40), connect(simulator)
    for _ in range(3):
        disturb(simulator, chance, ids, uncommitted)
        await sync.run(db, client, project, OPTIONS, ignore_progress)
        assert (await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)).complete
        assert stored_content(owner_conn) == chatwoot_content(simulator)


async def test_back_dated_import_hides_no_message(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    (conversation,) = create_conversations(simulator, 1, 1009)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    import_history(simulator, conversation, [1_700_000_000 - n for n in range(80)])
    for _ in range(20):
        simulator.append_message(conversation, "Live")
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)
    found = await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)
    assert (found.complete, found.changes.removed) == (True, 0)


async def test_ten_thousand_messages_in_reversed_order_are_all_read(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    (conversation,) = create_conversations(simulator, 1, 1)
    import_history(simulator, conversation, [1_700_000_000 - n for n in range(10_000)])
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)
    assert simulator.journal.count(path="*/messages") <= 25


async def test_new_message_in_a_long_conversation_costs_two_requests(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    (conversation,) = create_conversations(simulator, 1, 12_000)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    first = simulator.journal.count(path="*/messages")
    simulator.append_message(conversation, "And one more thing")
    simulator.journal.clear()
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)
    assert first <= 25
    assert simulator.journal.count(path="*/messages") == 2, "one from the cursor on, one to recheck the end"


async def test_deletion_among_the_last_hundred_is_noticed_at_once(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    (conversation,) = create_conversations(simulator, 1, 400)
    client = connect(simulator)
    simulator.append_message(conversation, "Live")
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    simulator.delete_message(simulator.conversation(conversation).messages[-100].id)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)


async def test_page_that_lacks_a_message_removes_nothing(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    (conversation,) = create_conversations(simulator, 1, 40)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    rows = simulator.conversation(conversation).messages
    hidden = rows.pop(10)
    # It is back before the second reading, as with a replica of the database that lagged behind.
    simulator.shift(lambda: rows.insert(10, hidden), path="*/messages", times=1)
    found = await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert (found.complete, found.changes.removed) == (False, 0)
    assert stored_content(owner_conn) == chatwoot_content(simulator)


@pytest.mark.fidelity(
    "Chatwoot",
    "A list that lacks a message does not prove a deletion.",
    "Chatwoot 4.15.1, [C-08](chatwoot.md), [C-42](chatwoot.md)",
)
async def test_only_deleted_messages_are_removed(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    (conversation,) = create_conversations(simulator, 1, 60)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    for row in simulator.conversation(conversation).messages[::2]:
        simulator.remove_message(row.id)
    simulator.journal.clear()
    found = await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert (found.complete, found.changes.removed) == (True, 30)
    assert stored_content(owner_conn) == chatwoot_content(simulator)
    assert simulator.journal.count(path="*/messages") <= 4


async def test_server_that_ignores_windows_causes_no_removal(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    (conversation,) = create_conversations(simulator, 1, 60)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    simulator.remove_message(simulator.conversation(conversation).messages[3].id)
    simulator.switches.ignore_windows = True
    found = await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert (found.complete, found.changes.removed) == (False, 0)
    assert chatwoot_content(simulator)[1] <= stored_content(owner_conn)[1]


async def test_server_that_cuts_windows_early_is_named(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    create_conversations(simulator, 1, 60)
    simulator.switches.window_limit = 20
    with pytest.raises(ChatwootError, match="left a message out of a list that was not full"):
        await sync.run(db, connect(simulator), project, OPTIONS, ignore_progress)
