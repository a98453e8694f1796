"""What the server writes down: JSON lines that say which request caused them, and nothing that is nobody's business."""

import asyncio
import json
import time
from pathlib import Path

import httpx2
import psycopg

from tests.api.server import PASSWORD, Cast
from tests.review import stories

SAID = "the parcel never reached my grandmother"


def lines_of(log: Path, start: int, requests: int) -> str:
    """What was written since `start`, once it tells of so many requests: a line follows its answer by a moment."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        written = log.read_bytes()[start:].decode()
        if written.endswith("\n") and written.count('"event": "request"') >= requests:
            return written
        time.sleep(0.02)
    raise AssertionError("the server did not write of every request")


async def test_log_lines_are_json_and_hold_no_secret_and_no_text(
    cast: Cast, anyone: httpx2.AsyncClient, owner_conn: psycopg.Connection, server_log: Path
):
    assert cast.member.project_id is not None
    stories.tell(owner_conn, cast.member.project_id)
    owner_conn.execute("UPDATE cw_messages SET content = %s", [SAID])
    already = await asyncio.to_thread(lambda: len(server_log.read_bytes()))
    member = cast.member.client
    traced = {"x-request-id": "a-request-to-follow"}
    assert (await anyone.post("/auth/login", json={"username": "member", "password": PASSWORD})).status_code == 200
    assert (await anyone.post("/auth/login", json={"username": "member", "password": "wrong one"})).status_code == 401
    found = await member.post("/search", json={"query": SAID, "mode": "text"}, headers=traced)
    assert found.status_code == 200
    assert (await member.get("/messages")).json()["messages"]
    assert (await member.post("/jobs/chatwoot/sync?wait=0", json={})).status_code == 202
    written = await asyncio.to_thread(lines_of, server_log, already, 5)
    requests = [line for line in map(json.loads, written.splitlines()) if line["event"] == "request"]
    assert len(requests) == 5
    assert all(line["request_id"] for line in requests)
    assert "a-request-to-follow" in {line["request_id"] for line in requests}
    for secret in (SAID, "grandmother", PASSWORD, "wrong one", cast.member.token, cast.member.csrf):
        assert secret not in written
