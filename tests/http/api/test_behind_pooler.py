"""The server behind PgBouncer. It needs session mode, and reports other modes by name."""

import time
from pathlib import Path

import httpx2
import psycopg
import pytest

from tests.support import pgbouncer
from tests.support.commands import proofdesk
from tests.support.server import run_server


@pytest.mark.long
def test_ready_names_a_pooler_that_shares_sessions(tidy_url: str, tmp_path: Path):
    with (
        pgbouncer.running(
            tidy_url, "session", "default_pool_size = 50\nignore_startup_parameters = options"
        ) as bouncer,
        run_server(bouncer.url, tmp_path / "log") as address,
    ):
        # No worker is alive, but the database responds.
        assert httpx2.get(f"{address}/ready").json()["error"] == "worker_silent"
        bouncer.set_mode("transaction")
        # Another client takes the free server session, which the server used before.
        with httpx2.Client(base_url=address, timeout=10) as client, psycopg.connect(bouncer.url) as other:
            client.get("/ready")
            other.execute("SELECT 1")
            deadline = time.monotonic() + 20
            while "pool_mode = session" not in (text := client.get("/ready").text):
                assert time.monotonic() < deadline, text
                time.sleep(0.2)
            answer = client.get("/ready")
            assert (answer.status_code, answer.json()["error"]) == (503, "database_unavailable")


@pytest.mark.parametrize("command", [["up"], ["worker"]])
def test_commands_refuse_shared_sessions_by_name(tidy_url: str, command: list[str]):
    with pgbouncer.running(tidy_url, "transaction") as bouncer:
        began = time.monotonic()
        refused = proofdesk(*command, DATABASE_URL=bouncer.url, PORT="0")
    assert refused.returncode == 1
    assert "pool_mode = session" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert time.monotonic() - began < 20


def test_doctor_names_the_pooler(tidy_url: str):
    with pgbouncer.running(tidy_url, "session", "default_pool_size = 50") as bouncer:
        done = proofdesk("doctor", "scheduler-worker-failing", "--json", DATABASE_URL=bouncer.url)
    assert "behind a connection pooler in session mode, as proofdesk_app" in " ".join(done.stdout.split())
