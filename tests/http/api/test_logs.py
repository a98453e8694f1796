"""The log: JSON lines that name their request, without secrets and message texts."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import psycopg

from proofdesk_simulators.chatwoot import build, create_app
from proofdesk_simulators.serving import running
from tests.support import stories
from tests.support.server import PASSWORD, Cast

TEXT = "the parcel never reached my grandmother"


def read_log(log: Path, start: int, requests: int) -> str:
    """Return the log since `start`, once it has that many request lines. A line follows its response."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        written = log.read_bytes()[start:].decode()
        if written.endswith("\n") and written.count('"event":"request"') >= requests:
            return written
        time.sleep(0.02)
    raise AssertionError("the log lacks a request")


async def test_log_lines_are_json_without_secrets_or_message_texts(
    cast: Cast, anyone: httpx2.AsyncClient, owner_conn: psycopg.Connection, server_log: Path
):
    assert cast.member.project_id is not None
    stories.insert_conversations(owner_conn, cast.member.project_id)
    owner_conn.execute("UPDATE cw_messages SET content = %s", [TEXT])
    already = await asyncio.to_thread(lambda: len(server_log.read_bytes()))
    member = cast.member.client
    traced = {"x-request-id": "a-request-to-follow"}
    assert (await anyone.post("/auth/login", json={"username": "member", "password": PASSWORD})).status_code == 200
    assert (await anyone.post("/auth/login", json={"username": "member", "password": "wrong one"})).status_code == 401
    found = await member.post("/search", json={"query": TEXT, "mode": "text"}, headers=traced)
    assert found.status_code == 200
    assert (await member.get("/messages")).json()["messages"]
    assert (await member.post("/jobs/chatwoot/sync?wait=0", json={})).status_code == 202
    written = await asyncio.to_thread(read_log, server_log, already, 5)
    requests = [line for line in map(json.loads, written.splitlines()) if line["event"] == "request"]
    assert len(requests) == 5
    assert all(line["request_id"] for line in requests)
    assert "a-request-to-follow" in {line["request_id"] for line in requests}
    for secret in (TEXT, "grandmother", PASSWORD, "wrong one", cast.member.token, cast.member.csrf):
        assert secret not in written


async def test_worker_log_lines_name_the_request_and_contain_no_secret(
    cast: Cast, database_url: str, owner_conn: psycopg.Connection
):
    studio, member = build("studio"), cast.member.client
    written = ""
    with running(create_app(studio)) as address:
        for token in (studio.admin_token, "a-token-that-is-refused"):
            response = await member.post("/jobs/chatwoot/sync?wait=0", headers={"x-request-id": f"for-{token[:7]}"})
            assert response.status_code == 202
            written += await asyncio.to_thread(_run_worker, database_url, address, token)
    studio.close()
    texts = owner_conn.execute("SELECT content FROM cw_messages WHERE length(content) > 20").fetchall()
    assert len(texts) > 50 and not any(text in written for (text,) in texts)
    assert studio.admin_token not in written and "a-token-that-is-refused" not in written
    lines = [json.loads(line) for line in written.splitlines()]
    assert [line["request_id"] for line in lines if line["event"] == "run failed"] == ["for-a-token"]


def _run_worker(database_url: str, chatwoot: str, token: str) -> str:
    """Execute queued jobs in a worker process. Return its log."""
    variables = {
        "DATABASE_URL": database_url,
        "LOG_FORMAT": "json",
        "EMBEDDING_PROVIDER": "local",
        "AUTH_PASSWORD": PASSWORD,
        "AUTH_USERNAME": "owner",
        "CHATWOOT_BASE_URL": chatwoot,
        "CHATWOOT_API_TOKEN": token,
        "CHATWOOT_ACCOUNT_ID": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-m", "proofdesk", "worker", "--drain"]
    done = subprocess.run(
        command, env=variables | {"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stderr
