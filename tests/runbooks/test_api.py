"""Runbooks over HTTP and at the terminal."""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psycopg
import pytest
from fastapi.routing import APIRoute

from proofdesk.http.api import openapi
from proofdesk.runbooks import registry
from tests.support.response_schemas import app
from tests.support.server import ORIGIN, Cast

Command = Callable[..., "subprocess.CompletedProcess[str]"]
SLUGS = [
    "search-returns-no-results", "chatwoot-sync-fails", "auth-loop", "scheduler-worker-failing", "embeddings-fail",
    "signup-disabled", "outbound-blocked",
]  # fmt: skip
# Codes that say all there is to say, or that no check could say more about.
WITHOUT = {
    "database_unavailable", "forbidden", "invalid_credentials", "invalid_pin", "job_cancelled", "username_taken",
    "pin_attempts_exceeded", "run_is_over", "four_eyes_required", "duplicate_outbound", "idempotency_conflict",
    "invalid_unsubscribe_link",
}  # fmt: skip


async def test_the_book_has_seven_incidents(cast: Cast):
    told = (await cast.member.client.get("/runbooks")).json()["runbooks"]
    assert [r["slug"] for r in told] == SLUGS
    assert all(r["title"] and r["symptom"] and r["impact"] for r in told)


async def test_a_run_names_the_cause_and_offers_what_the_product_can_do(cast: Cast):
    answer = await cast.member.client.post("/runbooks/search-returns-no-results/run")
    told = answer.json()
    assert (answer.status_code, told["verdict"], told["cause"]["check"]) == (200, "problem", "messages")
    assert all(set(c) == {"id", "title", "status", "observed", "expected", "fix"} for c in told["checks"])
    fix = told["fixes"][1]
    assert (fix["method"], fix["path"], fix["command"]) == ("POST", "/jobs/chatwoot/sync", "proofdesk sync")


async def test_the_request_that_asks_is_looked_at(cast: Cast):
    run = "/runbooks/auth-loop/run"
    told = (await cast.member.client.post(run, headers={"origin": "https://evil.example.org"})).json()
    assert told["cause"]["check"] == "origin"
    told = (await cast.member.client.post(run, headers={"origin": ORIGIN})).json()
    states = {c["id"]: c["status"] for c in told["checks"]}
    assert (states["origin"], states["session"], states["cookie"]) == ("ok", "ok", "ok")
    told = (await cast.member.client.post(run, json={"client_time": "2020-01-01T00:00:00Z"})).json()
    assert told["cause"]["check"] == "clock"
    told = (await cast.member.client.post(run, headers={"x-forwarded-proto": "https"})).json()
    assert told["cause"]["check"] == "proxy"


async def test_evidence_is_a_zip(cast: Cast):
    answer = await cast.member.client.get("/runbooks/embeddings-fail/evidence")
    assert answer.headers["content-type"] == "application/zip"
    assert 'filename="embeddings-fail-' in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["report.md", "report.json"]


async def test_a_runbook_that_is_not_there(cast: Cast):
    for answer in (
        await cast.member.client.post("/runbooks/nonsense/run"),
        await cast.member.client.get("/runbooks/nonsense/evidence"),
    ):
        assert (answer.status_code, answer.json()["error"]) == (404, "runbook_not_found")


async def test_whoever_is_not_let_in_is_told_why(
    anyone: httpx2.AsyncClient, cast: Cast, owner_conn: psycopg.Connection
):
    told = (await anyone.post("/auth/check")).json()
    assert (told["verdict"], told["cause"]["check"]) == ("problem", "cookie")
    told = (await anyone.post("/auth/check", headers={"cookie": "sid=nonsense"})).json()
    assert told["cause"]["check"] == "session"
    owner_conn.execute("UPDATE sessions SET expires_at = now() - interval '1 day'")
    headers = {"cookie": f"sid={cast.member.token}; csrf_token=x"}
    told = (await anyone.post("/auth/check", headers=headers)).json()
    assert told["cause"]["check"] == "session" and "expired" in json.dumps(told)


async def test_a_change_without_its_token_is_told(anyone: httpx2.AsyncClient, cast: Cast):
    headers = {"cookie": f"sid={cast.member.token}; csrf_token={cast.member.csrf}"}
    told = (await anyone.post("/auth/check", headers=headers)).json()
    assert told["cause"]["check"] == "csrf"
    told = (await anyone.post("/auth/check", headers=headers | {"x-csrf-token": cast.member.csrf})).json()
    assert told["verdict"] == "ok"


async def test_errors_name_their_runbook(anyone: httpx2.AsyncClient, cast: Cast):
    refused = await anyone.get("/jobs/status")
    assert refused.json()["details"]["runbook"] == "auth-loop"
    forged = await cast.member.client.post("/jobs/chatwoot/sync", headers={"x-csrf-token": "wrong"})
    assert forged.json()["details"]["runbook"] == "auth-loop"
    nowhere = await cast.owner.client.post("/jobs/chatwoot/sync", json={"wait": 0})
    assert nowhere.json()["details"]["runbook"] == "search-returns-no-results"


def test_every_error_that_has_a_runbook_names_it():
    routes = [r for r in app().routes if isinstance(r, APIRoute) and r.include_in_schema]
    given = {
        (status, code)
        for route in routes
        for method in route.methods or ()
        for status, codes in openapi.route_codes(route, method).items()
        for code in codes
    }
    without = {
        code for status, code in given if status in (401, 403, 409, 429, 502, 503) and not registry.runbook_for_error(code)
    }
    assert without <= WITHOUT
    for slug, codes in registry._OF_ERROR.items():
        assert registry.get_runbook(slug) and codes
    assert registry.runbook_for_error("chatwoot_sync_failed", "worker_lost") == "scheduler-worker-failing"


@pytest.fixture
def doctor(tidy_url: str) -> Iterator[Command]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "DATABASE_URL": tidy_url}
    environment |= {"AUTH_PASSWORD": "a long enough password", "EMBEDDING_PROVIDER": "local"}

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "proofdesk", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    yield run


def test_the_doctor_at_the_terminal(doctor: Command, tmp_path: Path):
    nothing = doctor("doctor", "search-returns-no-results")
    assert nothing.returncode == 1 and "No project is active" in nothing.stdout.splitlines()[0]
    doctor("project", "create", "Agency")
    every = doctor("doctor", "--json")
    assert every.returncode == 1
    told = json.loads(every.stdout)
    assert [d["slug"] for d in told] == SLUGS
    assert {d["slug"]: d["verdict"] for d in told}["auth-loop"] == "ok"
    target = tmp_path / "evidence.zip"
    fine = doctor("doctor", "auth-loop", "--evidence", str(target))
    assert fine.returncode == 0, fine.stdout + fine.stderr
    assert zipfile.is_zipfile(target)
    assert doctor("doctor", "nonsense").returncode == 1
    assert doctor("doctor", "--evidence", str(target)).returncode == 2
