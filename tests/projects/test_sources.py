"""Sources are bound concurrently, unbound during an import, and never bound again without a request."""

import asyncio

import psycopg
import pytest

from proofdesk.accounts import accounts
from proofdesk.audit.events import Actor, system_actor
from proofdesk.chatwoot import binding, sync
from proofdesk.database.pool import Database
from proofdesk.jobs import schedule_queries
from proofdesk.projects import projects, scope, sources
from proofdesk.projects.scope import ProjectNotFound, Scope
from proofdesk.projects.sources import SourceAlreadyBound, SourceUnbound
from proofdesk_simulators.chatwoot import ChatwootSimulator
from tests.support.audit_events import list_actions, newest_event
from tests.support.chatwoot import create_conversations
from tests.support.projects import new_project

ACCOUNT, INBOX = ("chatwoot_account", "7"), ("chatwoot_inbox", "7:2")


async def race(db: Database, wanted: list[tuple[Scope, tuple[str, str]]]) -> list[object]:
    """Bind all at the same time, and return the result of each."""
    ready = asyncio.Barrier(len(wanted))

    async def bind(inside: Scope, source: tuple[str, str]) -> object:
        await ready.wait()
        return await sources.bind(db, inside, *source)

    return await asyncio.gather(*(bind(*one) for one in wanted), return_exceptions=True)


async def claims(conn: psycopg.Connection) -> list[tuple[str, str]]:
    rows = conn.execute("SELECT claimed_by::text, external_id FROM source_claims ORDER BY 2").fetchall()
    held = conn.execute("SELECT project_id::text, external_id FROM project_sources ORDER BY 2").fetchall()
    assert rows == held
    return rows


@pytest.mark.parametrize("source", [ACCOUNT, INBOX], ids=["account", "inbox"])
async def test_one_of_several_projects_binds_the_same_source(
    db: Database, owner_conn: psycopg.Connection, source: tuple[str, str]
):
    rivals = [await new_project(db, f"Rival {n}") for n in range(8)]
    outcomes = await race(db, [(rival, source) for rival in rivals])
    refused = [o for o in outcomes if isinstance(o, SourceAlreadyBound)]
    assert len(refused) == 7 and len(await claims(owner_conn)) == 1
    assert list_actions(owner_conn, "source.") == ["source.bound"]


async def test_account_and_its_inbox_stay_in_one_project(db: Database, owner_conn: psycopg.Connection):
    for number in range(6):
        first, second = await new_project(db, f"First {number}"), await new_project(db, f"Second {number}")
        whole, part = ("chatwoot_account", f"{number + 1}"), ("chatwoot_inbox", f"{number + 1}:5")
        outcomes = await race(db, [(first, whole), (second, part)])
        assert sum(isinstance(o, SourceAlreadyBound) for o in outcomes) == 1
    assert len(await claims(owner_conn)) == 6


async def test_inboxes_of_an_account_can_be_in_several_projects(db: Database):
    first, second = await new_project(db, "First"), await new_project(db, "Second")
    outcomes = await race(db, [(first, ("chatwoot_inbox", "7:1")), (second, INBOX)])
    assert not any(isinstance(o, BaseException) for o in outcomes)
    with pytest.raises(SourceAlreadyBound, match="Another project has bound"):
        await sources.bind(db, first, *ACCOUNT)


async def test_unbound_source_is_free_and_its_data_stays(db: Database, project: Scope, owner_conn: psycopg.Connection):
    bound = await sources.bind(db, project, *ACCOUNT)
    owner_conn.execute(
        "INSERT INTO cw_inboxes VALUES (%s, %s, 7, 2, 'Shop', 'Channel::Api')",
        [project.project_id, project.account_scope_id],
    )
    assert (await sources.unbind(db, project, bound.id)).external_id == "7"
    assert newest_event(owner_conn)["action"] == "source.unbound"
    assert newest_event(owner_conn)["payload"] == {"source_kind": "chatwoot_account", "external_id": "7"}
    assert owner_conn.execute("SELECT count(*) FROM cw_inboxes").fetchone() == (1,)
    await sources.bind(db, await new_project(db, "Other"), *INBOX)


async def test_import_stops_when_its_source_is_unbound(db: Database, project: Scope):
    bound = await sources.bind(db, project, *ACCOUNT)
    inboxes = await sources.bind(db, project, *INBOX)
    async with db.scoped(project) as conn:
        await sources.lock_sources(conn, project, 7, None)
        await sources.lock_sources(conn, project, 7, frozenset([2]))
        letting_go = asyncio.create_task(sources.unbind(db, project, bound.id))
        await asyncio.sleep(0.1)
        assert not letting_go.done()  # the current page is stored first
    await letting_go
    async with db.scoped(project) as conn:
        with pytest.raises(SourceUnbound):
            await sources.lock_sources(conn, project, 7, None)
        with pytest.raises(SourceUnbound):
            await sources.lock_sources(conn, project, 7, frozenset([2, 3]))
        await sources.lock_sources(conn, project, 7, frozenset([2]))
    await sources.unbind(db, project, inboxes.id)


async def test_stopped_sync_keeps_what_it_imported(
    db: Database, project: Scope, owner_conn: psycopg.Connection, simulator: ChatwootSimulator, connect
):
    create_conversations(simulator, 100)
    [bound] = await sync.bound_sources(db, project, 1)
    let_go: list[sources.Source] = []

    async def between_pages() -> bool:
        if not let_go:
            let_go.append(await sources.unbind(db, project, bound.id))
        return False

    with pytest.raises(SourceUnbound):
        await sync.run(
            db, connect(simulator), project, sync.SyncOptions(default_account_id=1), lambda *_: None, between_pages
        )
    assert let_go == [bound]
    stored = owner_conn.execute("SELECT count(*) FROM cw_conversations").fetchone()
    assert stored is not None and 0 < stored[0] < 100


async def test_default_account_is_bound_once(db: Database, project: Scope):
    [bound] = await sync.bound_sources(db, project, 7)
    assert await sync.bound_sources(db, project, 7) == [bound]
    await sources.unbind(db, project, bound.id)
    with pytest.raises(sync.SourceBindingError, match="any more"):
        await sync.bound_sources(db, project, 7)


async def test_concurrent_archive_and_bind_leave_no_claim(db: Database, owner_conn: psycopg.Connection):
    for number in range(6):
        inside = await new_project(db, f"Leaving {number}")
        owner = await scope.require_owner(db, inside)
        await asyncio.gather(
            sources.bind(db, inside, "chatwoot_account", f"{number + 1}"),
            projects.archive(db, owner),
            return_exceptions=True,
        )
        assert await claims(owner_conn) == []
        with pytest.raises(ProjectNotFound):
            await sources.bind(db, inside, "chatwoot_account", f"{number + 1}")


async def test_events_hold_actor_and_request_id(db: Database, project: Scope, owner_conn: psycopg.Connection):
    actor = Actor("amina", project.project_id, True, "req-9")
    await sources.bind(db, await scope.enter(db, actor, project.project_id), *ACCOUNT)
    assert (newest_event(owner_conn)["actor_username"], newest_event(owner_conn)["request_id"]) == ("amina", "req-9")
    assert system_actor().request_id is None


async def test_only_whom_the_owner_allows_may_bind_a_source(db: Database, owner_conn: psycopg.Connection):
    account = await accounts.create(db, "eve", "long enough pw")
    eve = Actor("eve", account.id, False)
    own = await new_project(db, "Eve's project", eve)
    for source in (ACCOUNT, INBOX):
        with pytest.raises(sources.BindingNotAllowed, match="Ask the owner"):
            await sources.bind(db, own, *source)
    with pytest.raises(sync.SourceBindingError, match="Ask the owner"):
        await sync.bound_sources(db, own, 7)
    assert await claims(owner_conn) == [] and not await sources.may_bind(db, own)
    await accounts.allow_sources(db, "eve", system_actor())
    await sources.bind(db, own, *INBOX)
    await accounts.allow_sources(db, "eve", system_actor(), allowed=False)
    with pytest.raises(sources.BindingNotAllowed):
        await sources.bind(db, own, "chatwoot_inbox", "7:3")
    assert list_actions(owner_conn, "auth.sources") == ["auth.sources_allowed", "auth.sources_forbidden"]


async def test_waiting_schedule_resumes_for_allowed_creators_only(db: Database, owner_conn: psycopg.Connection):
    account = await accounts.create(db, "eve", "long enough pw")
    await new_project(db, "Eve's project", Actor("eve", account.id, False))
    waiting = "UPDATE scheduled_jobs SET status = 'paused', paused_cause = %s WHERE job_type = 'chatwoot_sync'"
    owner_conn.execute(waiting, [binding.NoSourceBound.code])

    async def resume() -> int:
        async with db.transaction() as conn:
            await schedule_queries.show_all_projects(conn)
            return await schedule_queries.resume_unblocked(
                conn,
                chatwoot_configured=True,
                default_account_id=7,
                unconfigured="none",
                unbound=binding.NoSourceBound.code,
            )

    assert await resume() == 0
    await accounts.allow_sources(db, "eve")
    assert await resume() == 1
