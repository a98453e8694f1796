"""Schedules and ticks over HTTP, and runs that are cancelled. No worker runs here."""

from uuid import uuid4

import psycopg

from proofdesk.audit.events import system_actor
from proofdesk.database.pool import Database
from proofdesk.projects import scope
from tests.support.jobs import start_run
from tests.support.server import Cast

SCHEDULER, TICK = "/jobs/scheduler", "/jobs/scheduler/tick"
NAMES = {
    "id", "job_type", "status", "cadence_seconds", "next_run_at", "last_run_at", "last_status", "last_error", "payload",
}  # fmt: skip


async def test_the_scheduler_lists_every_job(cast: Cast):
    body = (await cast.member.client.get(SCHEDULER)).json()
    jobs = {job["job_type"]: job for job in body["jobs"]}
    assert jobs.keys() >= {"chatwoot_sync", "embeddings_run", "chatwoot_reconcile", "maintenance"}
    assert jobs["chatwoot_sync"].keys() >= NAMES
    assert (jobs["chatwoot_sync"]["status"], jobs["chatwoot_sync"]["cadence_seconds"]) == ("active", 900)
    assert jobs["chatwoot_sync"]["next_run_at"].endswith("Z")


async def test_a_job_is_paused_resumed_and_given_a_cadence(cast: Cast, owner_conn: psycopg.Connection):
    patch = cast.member.client.patch
    paused = (await patch(f"{SCHEDULER}/chatwoot_sync", json={"status": "paused", "cadence_seconds": 60})).json()["job"]
    assert (paused["status"], paused["cadence_seconds"], paused["paused_cause"]) == ("paused", 60, None)
    assert [d["job_type"] for d in (await cast.member.client.post(TICK, json={"wait": 0})).json()["result"]["details"]]
    resumed = (await patch(f"{SCHEDULER}/chatwoot_sync", json={"status": "active"})).json()["job"]
    assert (resumed["status"], resumed["cadence_seconds"]) == ("active", 60)
    assert (await patch(f"{SCHEDULER}/chatwoot_sync", json={})).json()["job"] == resumed
    changes = owner_conn.execute("SELECT actor_username FROM audit_events WHERE action = 'job.schedule_changed'")
    assert changes.fetchall() == [("member",), ("member",)]
    others = (await cast.stranger.client.get(SCHEDULER)).json()["jobs"]
    assert {job["cadence_seconds"] for job in others if job["job_type"] == "chatwoot_sync"} == {900}


async def test_invalid_schedules_are_refused(cast: Cast):
    patch = cast.member.client.patch
    for wrong in ({"cadence_seconds": 29}, {"cadence_seconds": 86_401}, {"status": "off"}, {"cadence_seconds": "soon"}):
        answer = await patch(f"{SCHEDULER}/chatwoot_sync", json=wrong)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), wrong
    unknown = await patch(f"{SCHEDULER}/nonsense", json={"status": "paused"})
    assert (unknown.status_code, unknown.json()["error"]) == (404, "job_type_not_found")


async def test_a_tick_starts_due_jobs_of_the_active_project_only(cast: Cast, owner_conn: psycopg.Connection):
    answer = await cast.member.client.post(f"{TICK}?wait=0&limit=1")
    body = answer.json()
    assert answer.status_code == 200
    assert (body["result"]["processed"], body["result"]["ok"], body["result"]["failed"]) == (1, 0, 0)
    [detail] = body["result"]["details"]
    run = (await cast.member.client.get(f"/jobs/runs/{detail['run_id']}")).json()["run"]
    assert (run["trigger"], run["status"], run["request_id"]) == ("schedule", "queued", body["request_id"])
    event = owner_conn.execute(
        "SELECT actor_username, request_id FROM audit_events WHERE entity_id = %s", [run["id"]]
    ).fetchone()
    assert event == ("member", body["request_id"])
    rest = (await cast.member.client.post(TICK, json={"wait": 0, "limit": 1000})).json()["result"]
    assert {d["project_id"] for d in rest["details"]} == {str(cast.member.project_id)}
    assert (await cast.member.client.post(TICK, json={"wait": 0})).json()["result"]["processed"] == 0


async def test_a_queued_run_is_cancelled_and_a_running_one_is_stopped(cast: Cast, db: Database):
    post = cast.member.client.post
    run = (await post("/jobs/chatwoot/sync", json={"wait": 0})).json()["run"]
    cancelled = (await post(f"/jobs/runs/{run['id']}/cancel")).json()["run"]
    assert (cancelled["status"], cancelled["error"]) == ("cancelled", "Cancelled by member.")
    again = await post(f"/jobs/runs/{run['id']}/cancel")
    assert (again.status_code, again.json()["error"]) == (409, "run_is_over")
    assert cast.member.project_id is not None
    project_scope = await scope.enter(db, system_actor(), cast.member.project_id)
    started = await start_run(db, project_scope, "chatwoot_sync", "cli")
    for _ in range(2):
        running = (await post(f"/jobs/runs/{started.run.id}/cancel")).json()["run"]
        assert running["status"] == "running" and running["cancel_requested_at"]


async def test_runs_of_another_project_cannot_be_cancelled(cast: Cast):
    run = (await cast.member.client.post("/jobs/chatwoot/sync", json={"wait": 0})).json()["run"]
    for run_id in (run["id"], str(uuid4()), "nonsense"):
        answer = await cast.stranger.client.post(f"/jobs/runs/{run_id}/cancel")
        assert (answer.status_code, answer.json()["error"]) == (404, "run_not_found")
