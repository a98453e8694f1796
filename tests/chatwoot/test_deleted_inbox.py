"""A deleted inbox: its conversations go with it, and the other sources of the project are read all the same (C-17)."""

import psycopg
import pytest

from proofdesk.chatwoot import reconcile, sync
from proofdesk.chatwoot.binding import SourceBindingError
from proofdesk.core.progress import ignore_progress
from proofdesk.database.pool import Database
from proofdesk.projects import sources
from proofdesk.projects.scope import Scope
from proofdesk_simulators.chatwoot import ChatwootSimulator
from tests.support.chatwoot import chatwoot_content, stored_content

OPTIONS = sync.SyncOptions(default_account_id=1)
FAST = 600_000


def _inboxes(conn: psycopg.Connection) -> set[int]:
    return {row[0] for row in conn.execute("SELECT DISTINCT inbox_id FROM cw_conversations").fetchall()}


@pytest.mark.fidelity(
    "Chatwoot",
    "A deleted inbox disappears at once, its conversations later.",
    "Chatwoot 4.15.1, [C-17](chatwoot.md)",
)
async def test_conversations_of_a_deleted_inbox_are_removed(
    db: Database, project: Scope, owner_conn: psycopg.Connection, studio: ChatwootSimulator, connect
):
    client = connect(studio)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    inbox = min(_inboxes(owner_conn))
    studio.delete_inbox(inbox)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert inbox in _inboxes(owner_conn), "a list that lacks a conversation does not prove its deletion"
    assert (await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)).complete
    assert stored_content(owner_conn) == chatwoot_content(studio) and inbox not in _inboxes(owner_conn)
    stored = {row[0] for row in owner_conn.execute("SELECT inbox_id FROM cw_inboxes").fetchall()}
    assert stored == set(studio.account(1).inboxes)


async def test_inbox_that_is_being_deleted_loses_nothing_that_still_exists(
    db: Database, project: Scope, owner_conn: psycopg.Connection, studio: ChatwootSimulator, connect
):
    client = connect(studio)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    inbox = min(_inboxes(owner_conn))
    studio.delete_inbox(inbox, at_most=3)
    await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(studio) and inbox in _inboxes(owner_conn)


async def test_deleted_inbox_does_not_keep_other_sources_from_being_read(
    db: Database, project: Scope, owner_conn: psycopg.Connection, studio: ChatwootSimulator, connect
):
    client = connect(studio)
    deleted, kept, *_ = studio.account(1).inboxes
    for inbox in (deleted, kept):
        await sources.bind(db, project, "chatwoot_inbox", f"1:{inbox}")
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    studio.delete_inbox(deleted)
    live = studio.create_conversation(kept, content="Is this read?")
    synced = await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert synced.binding_error and f"no inbox 1:{deleted}" in synced.binding_error.message
    assert live.id in {c[0] for c in stored_content(owner_conn)[0]}
    found = await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert found.binding_error and found.complete
    assert _inboxes(owner_conn) == {kept}


async def test_deleted_inbox_that_is_the_only_source_is_emptied_and_named(
    db: Database, project: Scope, owner_conn: psycopg.Connection, studio: ChatwootSimulator, connect
):
    client = connect(studio)
    inbox = min(studio.account(1).inboxes)
    await sources.bind(db, project, "chatwoot_inbox", f"1:{inbox}")
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    studio.delete_inbox(inbox)
    with pytest.raises(SourceBindingError, match="If it was deleted, unbind it"):
        await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert _inboxes(owner_conn) == set()


async def test_inbox_that_the_token_may_not_see_keeps_its_conversations(
    db: Database, project: Scope, owner_conn: psycopg.Connection, studio: ChatwootSimulator, connect
):
    client = connect(studio)
    hidden, visible, *_ = studio.account(1).inboxes
    for inbox in (hidden, visible):
        await sources.bind(db, project, "chatwoot_inbox", f"1:{inbox}")
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    before = stored_content(owner_conn)
    studio.installation.users[1].roles[1] = "agent"
    studio.account(1).inboxes[visible].members.add(1)
    studio.account(1).inboxes[hidden].members.discard(1)
    found = await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert found.binding_error and found.changes.removed == 0
    assert stored_content(owner_conn)[1] == before[1]
