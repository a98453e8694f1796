"""The main flow, stage after stage, as a worker carries it out."""

import dataclasses

import psycopg
import pytest

from proofdesk.database.pool import Database
from proofdesk.jobs import catalog, runs, worker
from proofdesk.jobs.resources import Resources
from proofdesk.outbound import approval, drafts, messages
from proofdesk.outbound.drafts import DraftRequest
from proofdesk.projects.scope import Scope
from proofdesk.search import results
from proofdesk.search.results import SearchQuery
from proofdesk_simulators.chatwoot import ChatwootSimulator
from tests.support.jobs import start_run


async def test_worker_makes_messages_searchable(
    db: Database, project: Scope, resources: Resources, studio: ChatwootSimulator
):
    requested = await runs.request(db, project, catalog.SYNC.name, "manual")
    await worker.run_worker(resources, drain=True)
    synced = await runs.get(db, project, requested.run.id)
    assert synced.status == "ok", synced.error
    assert synced.meta["result"]["messages"] == studio.truth(rows=False)["counts"]["messages"]
    embedded = {run.job_type: run for run in await runs.list_latest(db, project)}[catalog.EMBED.name]
    assert embedded.status == "ok", "a sync that made chunks asks for their embedding"
    answer = await results.search(db, project, resources.provider, resources.settings, SearchQuery(text="invoice"))
    assert answer.results
    assert answer.results[0].source_url


async def test_sync_without_chatwoot_names_the_settings(db: Database, project: Scope, resources: Resources):
    alone = dataclasses.replace(resources, chatwoot=None)
    requested = await start_run(db, project, catalog.SYNC.name, "cli")
    ended = await runs.execute(db, project, requested.run, catalog.bind_handler(alone, catalog.SYNC.name))
    assert ended.status == "failed"
    assert (ended.error_details or {})["code"] == "chatwoot_not_configured"
    assert "CHATWOOT_BASE_URL" in (ended.error or "")


async def test_chatwoot_failure_is_stored_with_its_request(
    db: Database, project: Scope, resources: Resources, studio: ChatwootSimulator
):
    studio.faults.add("401_unknown_token")
    requested = await runs.request(db, project, catalog.SYNC.name, "manual")
    await worker.run_worker(resources, drain=True)
    ended = await runs.get(db, project, requested.run.id)
    details = ended.error_details or {}
    assert (ended.status, details["code"]) == ("failed", "chatwoot_sync_failed")
    assert details["upstream"]["status"] == 401
    assert studio.admin_token not in f"{ended.error}{details}"


async def test_reconcile_returns_its_proof(
    db: Database, project: Scope, resources: Resources, owner_conn: psycopg.Connection
):
    for job in (catalog.SYNC.name, catalog.RECONCILE.name):
        requested = await start_run(db, project, job, "cli")
        ended = await runs.execute(db, project, requested.run, catalog.bind_handler(resources, job))
        assert ended.status == "ok", ended.error
    assert ended.meta["result"]["complete"] is True
    for proof in ended.meta["result"]["inboxes"]:
        assert proof["theirs"] == proof["ours"]


async def test_worker_sends_approved_messages(
    db: Database, project: Scope, resources: Resources, owner_conn: psycopg.Connection
):
    requested = await start_run(db, project, catalog.SYNC.name, "cli")
    await runs.execute(db, project, requested.run, catalog.bind_handler(resources, catalog.SYNC.name))
    [place] = owner_conn.execute(
        "SELECT format('cw:%s:%s:%s', project_id, account_id, conversation_id) FROM cw_conversations"
        " WHERE contact_id IS NOT NULL ORDER BY last_activity_at DESC LIMIT 1"
    ).fetchall()
    draft, _ = await drafts.create(
        db, project, DraftRequest("chatwoot", place[0], {"text": "A word from the worker"}, "key")
    )
    message = await approval.approve(db, project, draft.id)
    requested = await runs.request(db, project, catalog.OUTBOUND.name, "schedule")
    await worker.run_worker(resources, drain=True)
    ended = await runs.get(db, project, requested.run.id)
    assert (ended.status, ended.processed_count) == ("ok", 1), ended.error
    assert ended.meta["result"]["sent"] == 1
    dossier = await messages.get_details(db, project, message.id)
    assert dossier.outbound.status == "sent"
    assert dossier.history[-1].request_id == ended.request_id
    await runs.request(db, project, catalog.SYNC.name, "manual")
    await worker.run_worker(resources, drain=True)
    number = dossier.attempts[0].provider_message_id
    stored = owner_conn.execute("SELECT content FROM cw_messages WHERE message_id = %s::bigint", [number]).fetchone()
    assert stored == ("A word from the worker",), "the conversation has it, and a sync brings it back"


@pytest.mark.parametrize("job", [catalog.SYNC.name, catalog.EMBED.name, catalog.RECONCILE.name, catalog.OUTBOUND.name])
async def test_second_run_of_a_job_changes_nothing(
    db: Database, project: Scope, resources: Resources, owner_conn: psycopg.Connection, job: str
):
    for step in (catalog.SYNC.name, catalog.EMBED.name, job):
        requested = await start_run(db, project, step, "cli")
        await runs.execute(db, project, requested.run, catalog.bind_handler(resources, step))
    before = _versions(owner_conn)
    requested = await start_run(db, project, job, "cli")
    ended = await runs.execute(db, project, requested.run, catalog.bind_handler(resources, job))
    assert ended.status == "ok", ended.error
    assert _versions(owner_conn) == before


def _versions(conn: psycopg.Connection) -> list[tuple[str, ...]]:
    return conn.execute(
        "SELECT 'message', xmin::text, message_id::text FROM cw_messages"
        " UNION ALL SELECT 'conversation', xmin::text, conversation_id::text FROM cw_conversations"
        " UNION ALL SELECT 'chunk', xmin::text, message_id || '#' || chunk_index FROM rag_chunks"
        " UNION ALL SELECT 'vector', xmin::text, message_id || '#' || chunk_index FROM rag_vectors ORDER BY 1, 3"
    ).fetchall()
