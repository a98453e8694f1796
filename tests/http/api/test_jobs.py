"""Jobs over HTTP. No worker runs here: the tests execute the runs."""

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import pytest

from proofdesk.audit.events import system_actor
from proofdesk.database.pool import Database
from proofdesk.errors import Conflict, ProofdeskError, Unavailable
from proofdesk.jobs import runs
from proofdesk.jobs.runs import RunOutcome
from proofdesk.projects import scope
from tests.support.server import Cast

SYNC = "/jobs/chatwoot/sync"


async def _execute_next(db: Database, cast: Cast, job_type: str, outcome: RunOutcome | ProofdeskError) -> None:
    """Wait for a queued run of the member's project and execute it with this outcome."""
    assert cast.member.project_id is not None
    project_scope = await scope.enter(db, system_actor(), cast.member.project_id)

    async def handler(*_: Any) -> RunOutcome:
        if isinstance(outcome, ProofdeskError):
            raise outcome
        return outcome

    while (run := await runs.claim(db, project_scope, job_type)) is None:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    await runs.execute(db, project_scope, run, handler)


async def _run_job(db: Database, cast: Cast, path: str, job_type: str, outcome: RunOutcome | ProofdeskError) -> Any:
    working = asyncio.create_task(_execute_next(db, cast, job_type, outcome))
    answer = await cast.member.client.post(path)
    await working
    return answer


async def test_a_job_that_finishes_in_time_returns_its_result(cast: Cast, db: Database):
    answer = await _run_job(db, cast, f"{SYNC}?wait=20", "chatwoot_sync", RunOutcome(5, {"messages": 5}))
    assert answer.status_code == 200
    body = answer.json()
    assert (body["result"], body["joined"]) == ({"messages": 5}, False)
    run = body["run"]
    assert (run["status"], run["trigger"], run["processed_count"]) == ("ok", "manual", 5)
    assert run["request_id"] == body["request_id"] and run["finished_at"].endswith("Z")
    assert (await cast.member.client.get(f"/jobs/runs/{run['id']}")).json()["run"] == run


async def test_a_job_that_takes_longer_returns_202_and_is_joined(cast: Cast):
    first = await cast.member.client.post(SYNC, json={"wait": 0})
    assert first.status_code == 202 and first.json()["result"] is None
    second = await cast.member.client.post(SYNC, params={"wait": "0"}, json={"wait": 600})
    assert second.status_code == 202 and second.json()["joined"]
    assert second.json()["run"]["id"] == first.json()["run"]["id"]


UNBOUND = "chatwoot_source_binding_error"
UPSTREAM = {"service": "chatwoot", "method": "GET", "endpoint": "/api/v1/x", "status": 502, "request_id": "up-1"}


EMBED, RECONCILE = "/jobs/embeddings/run", "/jobs/chatwoot/reconcile"


def _unset(code: str) -> Unavailable:
    return Unavailable("Set it.", code=code, configured=False)


@pytest.mark.parametrize(
    ("path", "job_type", "error", "status", "code"),
    [
        (SYNC, "chatwoot_sync", Unavailable("Refused.", details={"upstream": UPSTREAM}), 502, "chatwoot_sync_failed"),
        (SYNC, "chatwoot_sync", _unset("chatwoot_not_configured"), 503, "chatwoot_not_configured"),
        (SYNC, "chatwoot_sync", Conflict("Bind.", code=UNBOUND), 409, UNBOUND),
        (EMBED, "embeddings_run", Unavailable("No."), 502, "embeddings_job_failed"),
        (EMBED, "embeddings_run", _unset("openai_not_configured"), 503, "openai_not_configured"),
        (RECONCILE, "chatwoot_reconcile", Unavailable("No."), 502, "chatwoot_sync_failed"),
    ],
)
async def test_a_failed_job_returns_its_cause(
    cast: Cast, db: Database, path: str, job_type: str, error: ProofdeskError, status: int, code: str
):
    answer = await _run_job(db, cast, f"{path}?wait=20", job_type, error)
    body = answer.json()
    assert (answer.status_code, body["error"], body["message"]) == (status, code, error.message)
    assert UUID(body["details"]["run_id"])
    if error.details:
        assert body["details"]["upstream"] == UPSTREAM


async def test_runs_are_listed_and_filtered(cast: Cast):
    get = cast.member.client.get
    await cast.member.client.post(SYNC, json={"wait": 0})
    await cast.member.client.post("/jobs/embeddings/run", json={"wait": 0, "limit": 10})
    listed = (await get("/jobs/runs")).json()
    assert (listed["total"], [r["job_type"] for r in listed["runs"]]) == (2, ["embeddings_run", "chatwoot_sync"])
    assert (await get("/jobs/runs?job_type=chatwoot_sync&status=queued")).json()["total"] == 1
    assert (await get("/jobs/runs?status=ok")).json()["total"] == 0
    assert (await get("/jobs/runs?status=nonsense")).status_code == 400
    assert (await get("/jobs/runs/nonsense")).json()["error"] == "run_not_found"
    assert (await cast.stranger.client.get(f"/jobs/runs/{listed['runs'][0]['id']}")).status_code == 404
    assert (await cast.stranger.client.get("/jobs/runs")).json()["total"] == 0


async def test_a_wait_that_is_not_a_number_is_refused(cast: Cast):
    for wait in ("nan", "inf", "soon"):
        assert (await cast.member.client.post(f"{SYNC}?wait={wait}")).status_code == 400


async def test_failed_chunks_can_be_retried(cast: Cast):
    assert (await cast.member.client.post("/jobs/embeddings/retry-failed")).json()["reset"] == 0


async def test_the_status_has_every_part(cast: Cast):
    await cast.member.client.post(SYNC, json={"wait": 0})
    body = (await cast.member.client.get("/jobs/status")).json()
    assert [(j["job_name"], j["status"]) for j in body["jobs"]] == [("chatwoot_sync", "queued")]
    assert body["rag_counts"] == {"pending": 0, "processing": 0, "ready": 0, "failed": 0}
    assert body["entities"] == {"contacts": 0, "conversations": 0, "messages": 0, "rag_chunks": 0}
    assert body["storage"]["database_bytes"] > 0 and body["storage"]["scoped_logical_bytes"] == 0
    assert body["storage"]["budget_bytes"] == 20 * 1024**3 and "cw_messages" in body["storage"]["table_bytes"]
    assert body["watermarks"] == []
    assert body["worker"] == {"alive": False, "last_heartbeat_at": None, "workers": 0}
    assert body["backlog"] == {"sync_due": 1, "embeddings_pending": 0, "outbound_due": 0}


async def test_a_worker_with_a_recent_heartbeat_is_alive(cast: Cast, owner_conn: psycopg.Connection):
    owner_conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
    owner_conn.execute("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 day')")
    worker = (await cast.member.client.get("/jobs/status")).json()["worker"]
    assert (worker["alive"], worker["workers"]) == (True, 1)
