"""Delivery of approved messages through every gate, by four workers, to a provider that accepts each immediately.

It measures `delivery.process_due` in four processes. The floor is the necessary minimum, run by pgbench with as many
connections: a row inserted before the call in one transaction and updated after it in another.
"""

import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from bench import database
from bench.figures import Curve, Figure, Measurements
from proofdesk.audit.events import system_actor
from proofdesk.database import postgres_server
from proofdesk.database.pool import open_database
from proofdesk.jobs import new_projects
from proofdesk.outbound.channels.interface import ChannelMessage, ChannelPause, Receipt
from proofdesk.outbound.delivery import delivery
from proofdesk.projects import scope

MESSAGES = 4_000
GROWTH = (100, 1_000, 10_000)
WORKERS = 4
_WRITE = """
    INSERT INTO outbound_messages (project_id, account_scope_id, channel, recipient_ref, payload, evidence_refs,
        idempotency_key, request_hash, max_retries, created_by)
    SELECT id, account_scope_id, 'telegram', n::text, '{"text": "Your order is ready."}', '[]', n::text, '', 5, 'bench'
    FROM projects, generate_series(1, %s::int) n WHERE id = %s"""
_APPROVE = """
    UPDATE outbound_messages SET status = 'approved', approved_by = 'bench', approved_at = now(),
        approved_hash = content_hash, next_attempt_at = now() WHERE status = 'draft'"""
_FLOOR = """
    BEGIN; INSERT INTO attempts (state) VALUES ('begun') RETURNING id \\gset
    COMMIT;
    BEGIN; UPDATE attempts SET state = 'sent' WHERE id = :id; COMMIT;"""


@dataclass
class InstantChannel:
    """A channel that accepts every message immediately."""

    name: str = "telegram"

    def check(self, recipient_ref: str, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return recipient_ref, payload

    async def send(self, message: ChannelMessage) -> Receipt:
        return Receipt(message.key)

    async def find(self, message: ChannelMessage) -> Receipt | None:
        return None

    @property
    def pause(self) -> ChannelPause | None:
        return None

    async def aclose(self) -> None: ...


async def measure(quick: bool) -> Measurements:
    """Measure messages per second, and their growth."""
    messages = 400 if quick else MESSAGES
    with database.fresh() as url:
        seconds = await _send_messages(url, messages)
        floor = _floor(url, messages)
        points = [] if quick else [(size, await _send_messages(url, size)) for size in GROWTH]
    rate = messages / seconds
    figure = Figure(
        work=f"{messages:,} messages sent, {WORKERS} workers",
        goal="≥ 400 messages/s",
        measured=f"{rate:,.0f} messages/s",
        floor=f"one row written and changed: {floor:,.0f}/s",
        times=floor / rate,
        met=rate >= 400,
        limit=100,
    )
    return Measurements(
        [figure], [Curve("outbound", "Time until messages are sent", "messages", "s", points)] if points else []
    )


async def _send_messages(url: str, messages: int) -> float:
    """Return the seconds in which the workers send this many messages of a new project."""
    async with open_database(url, 2) as db:
        project = await new_projects.create(db, system_actor(), f"{messages:,} messages")
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(_WRITE, [messages, project.id])
        conn.execute(_APPROVE)
        conn.execute("VACUUM ANALYZE outbound_messages")
    command = [sys.executable, "-m", "bench.outbound", url, str(project.id)]
    pipe = subprocess.PIPE
    workers = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(WORKERS)]
    for worker in workers:
        assert worker.stdout and worker.stdout.readline() == "ready\n"
    began = time.perf_counter()
    sent = sum(json.loads(told) for told, _ in [worker.communicate("go\n") for worker in workers])
    seconds = time.perf_counter() - began
    assert sent == messages, f"{sent} of {messages} were sent"
    return seconds


def _floor(url: str, messages: int) -> float:
    """Return the messages per second of the necessary minimum."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("CREATE TABLE attempts (id serial PRIMARY KEY, state text NOT NULL)")
    pgbench = postgres_server.program_path("pgbench")
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(_FLOOR)
        script.flush()
        each = f"-t{messages // WORKERS}"
        command = [str(pgbench), "-n", f"-c{WORKERS}", each, "-Mprepared", f"-f{script.name}", url]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"tps = ([\d.]+)", output)
    assert rate, output
    return float(rate[1])


async def _work(url: str, project_id: str) -> int:
    async with open_database(url, 4) as db:
        project_scope = await scope.enter(db, system_actor(), UUID(project_id))
        print("ready", flush=True)
        sys.stdin.readline()
        return (
            await delivery.process_due(db, project_scope, {"telegram": InstantChannel()}, delivery.DeliveryOptions())
        ).sent


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_work(*sys.argv[1:3]))))
