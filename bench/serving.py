"""The server under load: two processes and sixteen connections, each with its own session.

wrk measures, and uses a part of the same cores. The floor is /health of the same server: it passes every middleware,
but needs neither session nor database.
"""

import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psycopg

from bench import database
from bench.figures import Curve, Figure, Measurements
from proofdesk.audit.events import system_actor
from proofdesk.database.pool import open_database
from proofdesk.jobs import new_projects

SIZES = (10_000, 100_000, 1_000_000)  # messages
CONNECTIONS, PROCESSES = 16, 2
PASSWORD = secrets.token_urlsafe(16)
_SESSIONS = Path(__file__).with_name("sessions.lua")
START_WITHIN = 60.0
_CONVERSATIONS = """
    INSERT INTO cw_conversations (project_id, account_scope_id, account_id, conversation_id, inbox_id, contact_id,
        status, labels, additional_attributes, custom_attributes, last_activity_at, created_at, updated_at, read_mark,
        chunked_version)
    SELECT id, account_scope_id, 1, n, 1, n, 'open', '{}', '{}', '{}', now(), now(), now(), '', 1
    FROM projects, generate_series(%s::int / 32, %s::int / 32) n ON CONFLICT DO NOTHING"""
_MESSAGES = """
    INSERT INTO cw_messages (project_id, account_scope_id, account_id, message_id, conversation_id, inbox_id,
        message_type, content_type, content, private, deleted, sender_type, content_attributes, attachments, created_at)
    SELECT id, account_scope_id, 1, n, n / 32, 1, 'outgoing', 'text',
        'Your parcel left our workshop on Tuesday and should be with you by tomorrow. Order ' || n, false, false,
        'agent', '{}', '[]', now() - make_interval(secs => 60 * (2000000 - n))
    FROM projects, generate_series(%s::int, %s::int) n"""


@dataclass(frozen=True)
class Load:
    """Requests per second, and the 99th percentile of response times in milliseconds."""

    rate: float
    p99: float

    @property
    def milliseconds(self) -> float:
        """Return the server's milliseconds per request."""
        return 1000 / self.rate


async def measure(quick: bool) -> Measurements:
    """Measure requests per second. Without wrk, return a row that says so."""
    if shutil.which("wrk") is None:
        return Measurements([Figure("requests", "", "not measured: wrk is not installed")])
    seconds = 2 if quick else 5
    with database.fresh() as url:
        async with open_database(url, 2) as db:
            project = await new_projects.create(db, system_actor(), "Served")
        with serve(url) as there:
            cookies = [_sign_in(there, str(project.id)) for _ in range(CONNECTIONS)]
            floor = _run_wrk(f"{there}/health", cookies, seconds)
            empty = _run_wrk(f"{there}/projects", cookies, seconds)
            rows: list[tuple[int, Load, Load]] = []
            for before, size in zip((0, *SIZES), SIZES[:1] if quick else SIZES, strict=False):
                _insert_messages(url, before + 1, size)
                messages = _run_wrk(f"{there}/messages?limit=50", cookies, seconds)
                rows.append((size, messages, _run_wrk(f"{there}/jobs/status", cookies, seconds)))
    size, messages, status = rows[-1]
    figures = [
        _figure("GET /projects", empty, floor, None, 30),
        _figure(f"GET /messages?limit=50 of {size:,} messages", messages, floor, None, 150),
        _figure(f"GET /jobs/status with {size:,} messages", status, floor, 500, 200, p99=50),
    ]
    return Measurements(figures, [] if quick else _curves(rows))


def _curves(rows: list[tuple[int, Load, Load]]) -> list[Curve]:
    return [
        Curve("messages", "Time of a page of messages", "messages", "ms", [(n, m.milliseconds) for n, m, _ in rows]),
        Curve("status", "Time of the job status", "messages", "ms", [(n, s.milliseconds) for n, _, s in rows]),
    ]


def _figure(work: str, load: Load, floor: Load, goal: int | None, limit: float, p99: float | None = None) -> Figure:
    return Figure(
        work=work,
        goal=f"≥ {goal:,} requests/s{f', p99 ≤ {p99:g} ms' if p99 else ''}" if goal else "",
        measured=f"{load.rate:,.0f} requests/s, p99 {load.p99:.0f} ms",
        floor=f"/health: {floor.rate:,.0f} requests/s, p99 {floor.p99:.0f} ms",
        times=floor.rate / load.rate,
        met=load.rate >= goal and (p99 is None or load.p99 <= p99) if goal else None,
        limit=limit,
    )


def _run_wrk(url: str, cookies: list[str], seconds: int) -> Load:
    load = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    command = [*load, "-s", str(_SESSIONS), url, "--", *cookies]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in output, output
    rate, p99 = re.search(r"Requests/sec:\s+([\d.]+)", output), re.search(r"99%\s+([\d.]+)(us|ms|s)", output)
    assert rate and p99, output
    return Load(float(rate[1]), float(p99[1]) * {"us": 0.001, "ms": 1, "s": 1000}[p99[2]])


def _insert_messages(url: str, first: int, last: int) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(_CONVERSATIONS, [first, last])
        conn.execute(_MESSAGES, [first, last])
        conn.execute("VACUUM ANALYZE cw_conversations, cw_messages")


@contextlib.contextmanager
def serve(url: str) -> Iterator[str]:
    """Start `proofdesk serve` on this database and yield its base URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"DATABASE_URL": url, "PORT": str(port), "WEB_PROCESSES": str(PROCESSES), "AUTH_PASSWORD": PASSWORD}
    command = [sys.executable, "-m", "proofdesk", "serve"]
    with subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/health")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for(address: str) -> None:
    """Request the address until it responds 200."""
    until = time.monotonic() + START_WITHIN
    while time.monotonic() < until:
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(address).status_code == 200:
                return
        time.sleep(0.02)
    raise TimeoutError(address)


def _sign_in(base_url: str, project_id: str) -> str:
    with httpx2.Client(base_url=base_url) as client:
        client.post("/auth/login", json={"username": "owner", "password": PASSWORD}).raise_for_status()
        token = {"x-csrf-token": client.cookies["csrf_token"]}
        client.post(f"/projects/{project_id}/select", headers=token).raise_for_status()
        return f"sid={client.cookies['sid']}"
