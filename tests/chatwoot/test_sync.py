"""Sync loses nothing, reads nothing twice, and finds changes."""

import dataclasses
from datetime import timedelta

import psycopg
import pytest

from proofdesk.chatwoot import sync
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.core.progress import ignore_progress
from proofdesk.database.pool import Database
from proofdesk.projects import sources
from proofdesk.projects.scope import Scope
from proofdesk_simulators.chatwoot import ChatwootSimulator
from tests.support.chatwoot import chatwoot_content, create_conversations, stored_content
from tests.support.projects import new_project

OPTIONS = sync.SyncOptions(default_account_id=1)


def fingerprint(conn: psycopg.Connection) -> list[tuple[str, ...]]:
    """Return every row version: it differs as soon as a row was written, even with the same values."""
    return conn.execute(
        "SELECT 'c', xmin::text, conversation_id::text FROM cw_conversations UNION ALL"
        " SELECT 'm', xmin::text, message_id::text FROM cw_messages UNION ALL"
        " SELECT 'p', xmin::text, contact_id::text FROM cw_contacts UNION ALL"
        " SELECT 'i', xmin::text, inbox_id::text FROM cw_inboxes ORDER BY 1, 3"
    ).fetchall()


async def test_whole_sample_is_stored(
    db: Database, project: Scope, owner_conn: psycopg.Connection, studio: ChatwootSimulator, connect
):
    synced = await sync.run(db, connect(studio), project, OPTIONS, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(studio)
    stored = owner_conn.execute("SELECT count(*) FROM cw_messages").fetchone()
    assert (synced.counts.messages,) == stored, "pages are imported concurrently, and each is counted"


async def test_contacts_and_inboxes_are_stored(
    db: Database, project: Scope, owner_conn: psycopg.Connection, studio: ChatwootSimulator, connect
):
    await sync.run(db, connect(studio), project, OPTIONS, ignore_progress)
    contacts = owner_conn.execute("SELECT count(*) FROM cw_contacts").fetchone()
    inboxes = owner_conn.execute("SELECT count(*) FROM cw_inboxes").fetchone()
    assert contacts == (studio.truth(rows=False)["counts"]["contacts"],)
    assert inboxes == (len(studio.account(1).inboxes),)


async def test_second_full_sync_changes_no_row(
    db: Database, project: Scope, owner_conn: psycopg.Connection, studio: ChatwootSimulator, connect
):
    client = connect(studio)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    before = fingerprint(owner_conn)
    owner_conn.execute("DELETE FROM sync_watermarks")
    again = await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert fingerprint(owner_conn) == before
    assert (again.counts.conversations, again.counts.messages) == (0, 0)


async def test_long_conversation_is_read_to_its_first_message(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    create_conversations(simulator, 1, 457)
    await sync.run(db, connect(simulator), project, OPTIONS, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)


async def test_sync_without_changes_costs_at_most_five_requests(
    db: Database, project: Scope, simulator: ChatwootSimulator, connect
):
    create_conversations(simulator, 60)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    simulator.journal.clear()
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert simulator.journal.count() <= 5


async def test_new_message_is_read_from_the_cursor_on(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    ids = create_conversations(simulator, 30, 40)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    simulator.append_message(ids[3], "And one more thing")
    simulator.journal.clear()
    await sync.run(db, client, project, dataclasses.replace(OPTIONS, recheck=timedelta()), ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)
    read = simulator.journal.find(path="*/messages")
    assert [entry.path.split("/")[-2] for entry in read] == [str(ids[3])]
    assert "after=0" not in read[0].query


async def test_status_labels_and_assignee_are_noticed(
    db: Database, project: Scope, owner_conn: psycopg.Connection, studio: ChatwootSimulator, connect
):
    client = connect(studio)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    first, second, third = (c["id"] for c in studio.truth()["conversations"][:3])
    studio.set_status(first, "snoozed")
    studio.set_labels(second, ["urgent", "print"])
    studio.assign(third, 1)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(studio)


async def test_recently_deleted_message_is_updated(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    conversation = simulator.create_conversation(1, content="The password is hunter2")
    # The list shows the newest message; that an older one was deleted it does not show.
    simulator.append_message(conversation.id, "Got it, thank you", message_type="outgoing")
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    message = min(m["id"] for m in simulator.truth()["messages"] if m["conversation_id"] == conversation.id)
    simulator.delete_message(message)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)
    assert owner_conn.execute("SELECT count(*) FROM cw_messages WHERE content LIKE '%hunter2%'").fetchone() == (0,)


@pytest.mark.fidelity(
    "Chatwoot",
    "A smaller message id can become visible after a larger one.",
    "Chatwoot 4.15.1, [C-10](chatwoot.md)",
)
async def test_smaller_id_that_appears_later_is_read(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    (conversation,) = create_conversations(simulator, 1, 30)
    client = connect(simulator)
    uncommitted = simulator.append_message(conversation, "Committed late", held=True)
    simulator.append_message(conversation, "Committed at once")
    options = dataclasses.replace(OPTIONS, recheck=timedelta())
    await sync.run(db, client, project, options, ignore_progress)
    simulator.release_message(uncommitted.id)
    simulator.append_message(conversation, "Afterwards")
    await sync.run(db, client, project, options, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)


@pytest.mark.fidelity(
    "Chatwoot",
    "Several messages can have the same second.",
    "Chatwoot 4.15.1, [C-11](chatwoot.md)",
)
async def test_second_message_in_the_same_second_is_read(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    (conversation,) = create_conversations(simulator, 1)
    at = int(simulator.clock.now())
    simulator.append_message(conversation, "First", at=at)
    client = connect(simulator)
    options = dataclasses.replace(OPTIONS, recheck=timedelta())
    await sync.run(db, client, project, options, ignore_progress)
    simulator.append_message(conversation, "Second", at=at)
    await sync.run(db, client, project, options, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)


@pytest.mark.fidelity(
    "Chatwoot",
    "A list by activity moves while it is read.",
    "Chatwoot 4.15.1, [C-06](chatwoot.md)",
)
async def test_pages_that_shift_during_a_walk_lose_nothing(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    ids = create_conversations(simulator, 160)
    active, gone = iter(ids[::7]), iter(ids[3::11])

    def move() -> None:
        simulator.append_message(next(active), "Back again")
        simulator.delete_conversation(next(gone))
        simulator.create_conversation(1, content="Just arrived")

    simulator.shift(move, every=1, times=10)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    stored, there = stored_content(owner_conn), chatwoot_content(simulator)
    # Reconcile finds a conversation that was deleted after it was read; nothing that exists may be missing.
    assert there[0] <= stored[0]
    assert there[1] <= stored[1]


@pytest.mark.fidelity(
    "Chatwoot",
    "A request of more than 15 seconds is answered with 500, so an unpaged list can fail for ever.",
    "Chatwoot 4.15.1, [C-07](chatwoot.md), [C-13](chatwoot.md)",
)
async def test_too_slow_list_of_changes_is_read_by_pages(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    ids = create_conversations(simulator, 60)
    client = connect(simulator, patience=0.3)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    before = owner_conn.execute("SELECT cursor_ts FROM sync_watermarks").fetchone()
    for conversation in ids[::2]:
        simulator.append_message(conversation, "While nobody read")
    simulator.append_message(ids[1], "Dated back", at=1_700_000_000)
    simulator.set_labels(ids[3], ["urgent"])
    simulator.switches.most_unpaged = 10
    simulator.journal.clear()
    synced = await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator) and synced.finished
    after = owner_conn.execute("SELECT cursor_ts, meta FROM sync_watermarks").fetchone()
    assert before and after and after[0] > before[0] and after[1] == {"phase": "live"}


async def test_sync_completes_although_every_seventh_request_fails(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    create_conversations(simulator, 60)
    simulator.faults.add("500", every=7)
    simulator.faults.add("429", every=13, retry_after=0)
    simulator.faults.add("cut", every=17)
    await sync.run(db, connect(simulator, patience=30.0), project, OPTIONS, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)


@pytest.mark.parametrize(
    ("fault", "status", "hint"),
    [("401_unknown_token", 401, "CHATWOOT_API_TOKEN"), ("404", 404, "CHATWOOT_ACCOUNT_ID")],
)
async def test_refusal_names_endpoint_account_and_fix(
    db: Database, project: Scope, simulator: ChatwootSimulator, connect, fault: str, status: int, hint: str
):
    simulator.faults.add(fault)
    with pytest.raises(ChatwootError, match=hint) as caught:
        await sync.run(db, connect(simulator), project, OPTIONS, ignore_progress)
    assert caught.value.details["upstream"]["status"] == status
    assert caught.value.details["upstream"]["endpoint"] == "/api/v1/accounts/1/inboxes"
    assert caught.value.details["account_id"] == 1


async def test_missing_inbox_is_named(db: Database, project: Scope, simulator: ChatwootSimulator, connect):
    await sources.bind(db, project, "chatwoot_inbox", "1:77")
    with pytest.raises(sync.SourceBindingError, match="1:77") as caught:
        await sync.run(db, connect(simulator), project, OPTIONS, ignore_progress)
    assert caught.value.details["inbox_id"] == 77


async def test_project_with_inbox_sources_imports_only_those(
    db: Database, project: Scope, owner_conn: psycopg.Connection, studio: ChatwootSimulator, connect
):
    inbox = next(iter(studio.account(1).inboxes.values())).id
    await sources.bind(db, project, "chatwoot_inbox", f"1:{inbox}")
    await sync.run(db, connect(studio), project, OPTIONS, ignore_progress)
    stored = owner_conn.execute("SELECT DISTINCT inbox_id FROM cw_conversations").fetchall()
    assert stored == [(inbox,)]
    expected = next(i for i in studio.truth(rows=False)["by_inbox"] if i["inbox_id"] == inbox)
    count = owner_conn.execute("SELECT count(*) FROM cw_messages").fetchone()
    assert count == (expected["messages"],)


async def test_inbox_bound_later_is_read_completely(
    db: Database, project: Scope, owner_conn: psycopg.Connection, studio: ChatwootSimulator, connect
):
    first, second, *_ = (i.id for i in studio.account(1).inboxes.values())
    client = connect(studio)
    await sources.bind(db, project, "chatwoot_inbox", f"1:{first}")
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    await sources.bind(db, project, "chatwoot_inbox", f"1:{second}")
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    expected = {i["inbox_id"]: i["messages"] for i in studio.truth(rows=False)["by_inbox"]}
    stored = dict(owner_conn.execute("SELECT inbox_id, count(*) FROM cw_messages GROUP BY 1").fetchall())
    assert stored == {first: expected[first], second: expected[second]}


async def test_sync_without_a_source_explains_the_fix(
    db: Database, project: Scope, simulator: ChatwootSimulator, connect
):
    with pytest.raises(sync.SourceBindingError, match="CHATWOOT_ACCOUNT_ID"):
        await sync.run(db, connect(simulator), project, sync.SyncOptions(), ignore_progress)


async def test_account_of_another_project_is_not_bound(
    db: Database, project: Scope, simulator: ChatwootSimulator, connect
):
    await sources.bind(db, await new_project(db, "Other"), "chatwoot_account", "1")
    with pytest.raises(sync.SourceBindingError, match="another project"):
        await sync.run(db, connect(simulator), project, OPTIONS, ignore_progress)


async def test_only_conversations_within_the_lookback_are_read(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    old = simulator.create_conversation(1, content="Long ago", at=int(simulator.clock.now()) - 40 * 86400)
    new = simulator.create_conversation(1, content="Today")
    options = dataclasses.replace(OPTIONS, lookback=timedelta(days=30))
    await sync.run(db, connect(simulator), project, options, ignore_progress)
    stored = {c[0] for c in stored_content(owner_conn)[0]}
    assert new.id in stored
    assert old.id not in stored


async def test_stopped_first_sync_resumes_at_its_page(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    calls = 0

    async def every_second_page() -> bool:
        nonlocal calls
        calls += 1
        return calls % 2 == 0

    create_conversations(simulator, 60, 1)
    client = connect(simulator)
    finished = [
        (await sync.run(db, client, project, OPTIONS, ignore_progress, every_second_page)).finished for _ in range(3)
    ]
    # Pages 1 and 2; then, one page earlier, 2 and 3; then 3 and the empty page after it.
    assert finished == [False, False, True]
    assert stored_content(owner_conn) == chatwoot_content(simulator)
    assert simulator.journal.count(path="*/messages") <= 60 + 25, "stored conversations are not read again"
