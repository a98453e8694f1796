"""A proxy that answers in Chatwoot's place, and a token that loses its rights: the run fails and nothing is lost."""

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
PAGES = ["200_challenge", "200_page", "302_login", "401_basic", "403_challenge", "503_challenge", "404_page"]


def quarantined(conn: psycopg.Connection) -> int:
    row = conn.execute("SELECT count(*) FROM sync_quarantine").fetchone()
    return row[0] if row else 0


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.fidelity(
    "Chatwoot",
    "A proxy answers with a page of its own instead of Chatwoot.",
    "Chatwoot 4.15.1, [C-02](chatwoot.md)",
)
async def test_proxy_page_for_messages_fails_the_run(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect, kind: str
):
    create_conversations(simulator, 10)
    client = connect(simulator, patience=0.2)
    simulator.faults.add(kind, path="*/messages")
    with pytest.raises(ChatwootError, match="an HTML page, probably from a proxy in front of Chatwoot") as raised:
        await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert raised.value.from_proxy and not raised.value.forbidden and quarantined(owner_conn) == 0
    simulator.faults.clear()
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert stored_content(owner_conn) == chatwoot_content(simulator)


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("path", ["*/messages", "*/conversations", "*/conversations/*", "*/contacts"])
async def test_proxy_page_during_reconcile_removes_nothing(
    db: Database,
    project: Scope,
    owner_conn: psycopg.Connection,
    simulator: ChatwootSimulator,
    connect,
    kind: str,
    path: str,
):
    ids = create_conversations(simulator, 4)
    client = connect(simulator, patience=0.2)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    simulator.delete_conversation(ids[1])
    before = stored_content(owner_conn)
    simulator.faults.add(kind, path=path)
    with pytest.raises(ChatwootError, match="an HTML page"):
        await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert chatwoot_content(simulator)[1] <= stored_content(owner_conn)[1] <= before[1]


@pytest.mark.fidelity(
    "Chatwoot",
    "A 401 rarely means that the token is wrong.",
    "Chatwoot 4.15.1, [C-01](chatwoot.md)",
)
async def test_token_that_loses_its_rights_fails_the_run(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    create_conversations(simulator, 60)
    simulator.faults.add("401_refused", path="*/messages", skip=30)
    client = connect(simulator)
    with pytest.raises(ChatwootError, match="make its user an administrator of account 1"):
        await sync.run(db, client, project, OPTIONS, ignore_progress)
    simulator.faults.clear()
    assert (await sync.run(db, client, project, OPTIONS, ignore_progress)).in_quarantine == 0
    assert stored_content(owner_conn) == chatwoot_content(simulator)


async def test_user_who_sees_no_inbox_fails_the_run(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    (conversation,) = create_conversations(simulator, 1)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    simulator.append_message(conversation, "Live")
    roles = simulator.installation.users[1].roles
    simulator.shift(lambda: roles.update({1: "agent"}), path="*/conversations", times=1)
    with pytest.raises(ChatwootError, match="make its user an administrator"):
        await sync.run(db, client, project, OPTIONS, ignore_progress)
    assert quarantined(owner_conn) == 0
    before = stored_content(owner_conn)
    roles[1] = "agent"
    with pytest.raises(ChatwootError, match="make its user an administrator"):
        await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert stored_content(owner_conn) == before


async def test_account_deleted_during_reconcile_removes_nothing(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    create_conversations(simulator, 4)
    client = connect(simulator)
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    before = stored_content(owner_conn)
    simulator.shift(lambda: simulator.installation.accounts.pop(1, None), path="*/conversations", times=1)
    with pytest.raises(ChatwootError, match="CHATWOOT_ACCOUNT_ID"):
        await reconcile.run(db, client, project, OPTIONS, FAST, ignore_progress)
    assert stored_content(owner_conn) == before


async def test_refused_conversation_stops_no_later_run(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    ids = create_conversations(simulator, 5)
    client = connect(simulator)
    simulator.faults.add("401_refused", path=f"*/conversations/{ids[1]}*")
    await sync.run(db, client, project, OPTIONS, ignore_progress)
    simulator.append_message(ids[0], "Live")
    assert (await sync.run(db, client, project, OPTIONS, ignore_progress)).in_quarantine == 1
    assert {m for m in chatwoot_content(simulator)[1] if m[1] != ids[1]} == stored_content(owner_conn)[1]
