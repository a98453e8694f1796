"""The page of jobs: what stands on it, its buttons, and that two people see the same run go on."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from playwright.async_api import Page

from proofdesk.database.pool import Database
from proofdesk.http.web import run_views
from proofdesk.jobs.run_queries import Run
from tests.http.web.runs import insert_run, project_of
from tests.support import stories
from tests.support.browser import Visit
from tests.support.server import Cast

HTML = {"accept": "text/html"}
UPSTREAM = '{"code": "chatwoot_sync_failed", "upstream": {"service": "chatwoot", "method": "GET", "status": 502}}'


def run(**changes: Any) -> Run:
    """A run that has read 300 of 1,200 conversations within a minute."""
    now = datetime(2026, 5, 4, 12, tzinfo=UTC)
    told = {
        "id": uuid4(), "job_type": "chatwoot_sync", "trigger": "manual", "status": "running",
        "created_at": now, "started_at": now - timedelta(minutes=1), "finished_at": None, "processed_count": 0,
        "progress": progress(300, 1200, "conversations read"), "error": None, "error_details": None, "meta": {},
        "params": {}, "request_id": None, "attempt": 1, "runner": None, "heartbeat_at": None,
        "cancel_requested_at": None,
    }  # fmt: skip
    return Run(**{**told, **changes})


def progress(done: int, total: int | None, unit: str, *, at_first: int = 0, seconds: int = 60) -> dict[str, Any]:
    """What a worker tells of a stage that goes on for so long."""
    since = datetime(2026, 5, 4, 12, tzinfo=UTC) - timedelta(seconds=seconds)
    return {"done": done, "total": total, "unit": unit, "stage": {"done": at_first, "since": since.isoformat()}}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "300 of 1,200 conversations read, 5 per second, 3 minutes left"),
        (
            {"progress": progress(600, 800, "conversations cut", at_first=200, seconds=10)},
            "600 of 800 conversations cut, 40 per second, 5 seconds left",
        ),
        ({"progress": {"done": 8, "total": 9, "unit": "chunks"}}, "8 of 9 chunks"),
        ({"progress": None}, "starting"),
        ({"progress": progress(1, None, "conversations read")}, "1 conversation read, 1 per minute"),
        ({"progress": progress(900, 900, "chunks")}, "900 of 900 chunks, 15 per second"),
        ({"status": "queued"}, ""),
    ],
)  # fmt: skip
def test_a_run_tells_its_pace_and_the_time_that_is_left(changes: dict[str, Any], said: str):
    assert run_views.run_card(run(**changes), datetime(2026, 5, 4, 12, tzinfo=UTC)).pace == said


async def test_a_failed_run_shows_its_request_and_leads_to_its_runbook(cast: Cast, owner_conn: psycopg.Connection):
    project = project_of(cast)
    run_id = insert_run(owner_conn, project, "failed", error="Chatwoot answered 502.", error_details=UPSTREAM)
    listed = await cast.member.client.get("/jobs?status=failed", headers=HTML)
    assert "Chatwoot answered 502." in listed.text and "/runbooks/chatwoot-sync-fails" in listed.text
    alone = await cast.member.client.get(f"/jobs/runs/{run_id}", headers=HTML)
    assert "Failed request" in alone.text and ">502<" in alone.text
    stranger = await cast.stranger.client.get(f"/jobs/runs/{run_id}", headers=HTML)
    assert stranger.status_code == 404


async def test_a_job_is_paused_resumed_and_paced_by_forms(cast: Cast, owner_conn: psycopg.Connection):
    project = project_of(cast)
    for form, stands in (
        ({"status": "paused"}, ("paused", 900)),
        ({"status": "active"}, ("active", 900)),
        ({"cadence_seconds": "3600"}, ("active", 3600)),
    ):
        sent = await cast.member.client.post("/jobs/scheduler/chatwoot_sync", data=form | _token(cast))
        assert sent.status_code == 303
        row = owner_conn.execute(
            "SELECT status, cadence_seconds FROM scheduled_jobs WHERE project_id = %s AND job_type = 'chatwoot_sync'",
            [project],
        ).fetchone()
        assert row == stands
    wrong = await cast.member.client.post("/jobs/scheduler/chatwoot_sync", data={"cadence_seconds": "5"} | _token(cast))
    assert wrong.status_code == 400


@pytest.fixture
async def tabs(cast: Cast, db: Database, owner_conn: psycopg.Connection, server: str, visit: Visit) -> list[Page]:
    """A tab each of two people who look at the jobs of the same project; complaints of the pages fail the test."""
    project = project_of(cast)
    stories.insert_conversations(owner_conn, project)
    await cast.owner.client.post(f"/projects/{project}/select")
    pages = [await visit(server, person.token) for person in (cast.owner, cast.member)]
    for page in pages:
        await page.goto("/jobs")
    return pages


async def test_two_browsers_see_the_same_run_go_on_without_loading_anything_anew(
    tabs: list[Page], cast: Cast, owner_conn: psycopg.Connection
):
    run_id = insert_run(
        owner_conn, project_of(cast), "running", progress='{"done": 3, "total": 40, "unit": "conversations"}'
    )
    for tab in tabs:
        await tab.locator(f"#run-{run_id}").get_by_text("3 of 40 conversations").wait_for()
    owner_conn.execute(
        'UPDATE worker_runs SET progress = \'{"done": 31, "total": 40, "unit": "conversations"}\' WHERE id = %s',
        [run_id],
    )
    for tab in tabs:
        await tab.locator(f"#run-{run_id}").get_by_text("31 of 40 conversations").wait_for()
    await tabs[0].get_by_role("button", name="Cancel Sync").click()
    await tabs[0].get_by_text("It stops at the next page or batch.").wait_for()
    await tabs[1].locator(f"#run-{run_id}").get_by_text("Stops at the next page or batch").wait_for()
    owner_conn.execute("UPDATE worker_runs SET status = 'cancelled', finished_at = now() WHERE id = %s", [run_id])
    for tab in tabs:
        await tab.locator(f"#ran-{run_id}").get_by_text("cancelled").wait_for()
        assert await tab.locator(f"#run-{run_id}").count() == 0


def _token(cast: Cast) -> dict[str, str]:
    return {"csrf_token": cast.member.csrf}
