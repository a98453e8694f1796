"""Runbooks over HTTP and at the terminal."""

import io
import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx2
import psycopg
import pytest
from fastapi.routing import APIRoute

from proofdesk.http.api import openapi
from proofdesk.runbooks import registry
from tests.support.response_schemas import app
from tests.support.server import ORIGIN, Cast
from tests.support.terminal import Terminal

Command = Callable[..., "subprocess.CompletedProcess[str]"]
SLUGS = [
    "search-returns-no-results", "chatwoot-sync-fails", "auth-loop", "scheduler-worker-failing", "embeddings-fail",
    "signup-disabled", "outbound-blocked", "commitments-wrong", "database-and-disk",
]  # fmt: skip
# Codes whose message is enough: no check could add anything.
WITHOUT = {
    "forbidden", "invalid_credentials", "invalid_pin", "job_cancelled", "username_taken",
    "pin_attempts_exceeded", "run_is_over", "incident_closed", "four_eyes_required", "duplicate_outbound",
    "answer_budget_exceeded", "answer_model_failed", "project_changed", "outbound_edited", "idempotency_conflict",
    "invalid_unsubscribe_link",
}  # fmt: skip


async def test_the_runbooks_are_listed(cast: Cast):
    runbooks = (await cast.member.client.get("/runbooks")).json()["runbooks"]
    assert [r["slug"] for r in runbooks] == SLUGS
    assert all(r["title"] and r["symptom"] and r["impact"] for r in runbooks)


async def test_a_run_names_the_cause_and_its_fixes(cast: Cast):
    response = await cast.member.client.post("/runbooks/search-returns-no-results/run")
    result = response.json()
    assert (response.status_code, result["verdict"], result["cause"]["check"]) == (200, "problem", "messages")
    assert all(set(c) == {"id", "title", "status", "observed", "expected", "fix"} for c in result["checks"])
    fix = result["fixes"][0]
    assert (fix["method"], fix["path"]) == ("POST", "/projects/{id}/sources")
    assert result["summary"] == result["cause"]["message"]


async def test_the_auth_runbook_checks_its_own_request(cast: Cast):
    run = "/runbooks/auth-loop/run"
    response = (await cast.member.client.post(run, headers={"origin": "https://evil.example.org"})).json()
    assert response["cause"]["check"] == "origin"
    response = (await cast.member.client.post(run, headers={"origin": ORIGIN})).json()
    states = {c["id"]: c["status"] for c in response["checks"]}
    assert (states["origin"], states["session"], states["cookie"]) == ("ok", "ok", "ok")
    response = (await cast.member.client.post(run, json={"client_time": "2020-01-01T00:00:00Z"})).json()
    assert response["cause"]["check"] == "clock"
    response = (await cast.member.client.post(run, headers={"x-forwarded-proto": "https"})).json()
    assert response["cause"]["check"] == "proxy"


async def test_evidence_is_a_zip_file(cast: Cast):
    response = await cast.member.client.get("/runbooks/embeddings-fail/evidence")
    assert response.headers["content-type"] == "application/zip"
    assert 'filename="embeddings-fail-' in response.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.namelist() == ["report.md", "report.json"]


async def test_an_unknown_runbook_is_not_found(cast: Cast):
    for response in (
        await cast.member.client.post("/runbooks/nonsense/run"),
        await cast.member.client.get("/runbooks/nonsense/evidence"),
    ):
        assert (response.status_code, response.json()["error"]) == (404, "runbook_not_found")


async def test_the_auth_check_works_without_a_session(
    anyone: httpx2.AsyncClient, cast: Cast, owner_conn: psycopg.Connection
):
    response = (await anyone.post("/auth/check")).json()
    assert (response["verdict"], response["cause"]["check"]) == ("problem", "cookie")
    response = (await anyone.post("/auth/check", headers={"cookie": "sid=nonsense"})).json()
    assert response["cause"]["check"] == "session"
    owner_conn.execute("UPDATE sessions SET expires_at = now() - interval '1 day'")
    headers = {"cookie": f"sid={cast.member.token}; csrf_token=x"}
    response = (await anyone.post("/auth/check", headers=headers)).json()
    assert response["cause"]["check"] == "session" and "expired" in json.dumps(response)


async def test_the_auth_check_finds_a_missing_csrf_token(anyone: httpx2.AsyncClient, cast: Cast):
    headers = {"cookie": f"sid={cast.member.token}; csrf_token={cast.member.csrf}"}
    response = (await anyone.post("/auth/check", headers=headers)).json()
    assert response["cause"]["check"] == "csrf"
    response = (await anyone.post("/auth/check", headers=headers | {"x-csrf-token": cast.member.csrf})).json()
    assert response["verdict"] == "ok"


async def test_errors_name_their_runbook(anyone: httpx2.AsyncClient, cast: Cast):
    refused = await anyone.get("/jobs/status")
    assert refused.json()["details"]["runbook"] == "auth-loop"
    forged = await cast.member.client.post("/jobs/chatwoot/sync", headers={"x-csrf-token": "wrong"})
    assert forged.json()["details"]["runbook"] == "auth-loop"
    nowhere = await cast.owner.client.post("/jobs/chatwoot/sync", json={"wait": 0})
    assert nowhere.json()["details"]["runbook"] == "search-returns-no-results"


def test_every_error_code_has_a_runbook_or_needs_none():
    routes = [r for r in app().routes if isinstance(r, APIRoute) and r.include_in_schema]
    given = {
        (status, code)
        for route in routes
        for method in route.methods or ()
        for status, codes in openapi.route_codes(route, method).items()
        for code in codes
    }
    without = {
        code
        for status, code in given
        if status in (401, 403, 409, 429, 502, 503) and not registry.runbook_for_error(code)
    }
    assert without <= WITHOUT
    for slug, codes in registry._ERROR_CODES.items():
        assert registry.get_runbook(slug) and codes
    assert registry.runbook_for_error("chatwoot_sync_failed", "worker_lost") == "scheduler-worker-failing"


@pytest.fixture
def doctor(tidy_url: str, terminal: Terminal) -> Command:
    environment = {"DATABASE_URL": tidy_url, "AUTH_PASSWORD": "a long enough password", "EMBEDDING_PROVIDER": "local"}
    return lambda *arguments: terminal(arguments, environment)


def test_doctor_command(doctor: Command, tmp_path: Path):
    nothing = doctor("doctor", "search-returns-no-results")
    headlines = nothing.stdout.splitlines()
    assert nothing.returncode == 1 and "Database: " in headlines[0] and "No project is active" in headlines[2]
    doctor("project", "create", "Agency")
    every = doctor("doctor", "--json")
    assert every.returncode == 1
    response = json.loads(every.stdout)
    assert [d["slug"] for d in response] == SLUGS
    assert {d["slug"]: d["verdict"] for d in response}["auth-loop"] == "ok"
    target = tmp_path / "evidence.zip"
    fine = doctor("doctor", "auth-loop", "--evidence", str(target))
    assert fine.returncode == 0, fine.stdout + fine.stderr
    assert zipfile.is_zipfile(target)
    assert doctor("doctor", "nonsense").returncode == 1
    assert doctor("doctor", "--evidence", str(target)).returncode == 2
