"""What is monitored, over real HTTP: alive, ready, and every metric of the page about monitoring."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from proofdesk.audit.events import system_actor
from proofdesk.database.pool import Database
from proofdesk.jobs import runs
from proofdesk.jobs.runs import RunOutcome
from proofdesk.projects import scope
from tests.support import stories
from tests.support.databases import delete_all_rows
from tests.support.jobs import start_run
from tests.support.server import PLAIN, Cast, free_port, open_client

PAGE = Path(__file__).parents[3] / "docs" / "monitoring.md"
PATIENCE = 60.0


@pytest.fixture(scope="module")
def served(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `proofdesk serve` with two processes, as people start it."""
    folder = tmp_path_factory.mktemp("served")
    port = free_port()
    environment = {
        **{name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ},
        "DATABASE_URL": database_url,
        "WEB_PROCESSES": "2",
        "PORT": str(port),
        "EMBEDDING_PROVIDER": "local",
        "EMBEDDING_DIM": "256",
        "PROOFDESK_HOME": str(folder),
        "TMPDIR": str(folder),
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "proofdesk", "serve"], env=environment, stdout=log, stderr=log
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _await_health(url, process, folder / "log")
            assert len(list(folder.glob("proofdesk-metrics-*"))) == 1
            with psycopg.connect(database_url, autocommit=True) as conn:
                delete_all_rows(conn)  # the command made the owner's account, and tests make their own
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
    assert list(folder.glob("proofdesk-metrics-*")) == [], "the files go with the server"


def _await_health(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx2.get(f"{url}/health", trust_env=False, verify=PLAIN).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"the server did not start:\n{log.read_text()[-4000:]}")


class Metrics:
    """Samples of one scrape, by name and labels."""

    def __init__(self, text: str):
        self.names: set[str] = set()
        self.samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in text_string_to_metric_families(text):
            self.names.add(f"{family.name}_total" if family.type == "counter" else family.name)
            for sample in family.samples:
                self.samples[sample.name, frozenset(sample.labels.items())] = sample.value

    def of(self, name: str, **labels: str) -> float:
        """The value of a sample, 0 when there is none."""
        return self.samples.get((name, frozenset(labels.items())), 0)


async def scraped(client: httpx2.AsyncClient) -> Metrics:
    """The metrics as they are now."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Metrics(answer.text)


async def _get(served: str, path: str) -> None:
    # A connection of its own, so that either process may take it.
    async with open_client(served, timeout=PATIENCE) as client:
        await client.get(path)


async def test_requests_are_counted_by_route_over_all_processes(served: str, tidy_url: str):
    async with open_client(served, timeout=PATIENCE) as client:
        before = await scraped(client)
        await asyncio.gather(*(_get(served, f"/api/v1/conversations/{n}/thread") for n in range(30)))
        await asyncio.gather(*(_get(served, f"/nothing/{n}") for n in range(10)))
        await client.request("BREW", "/health")
        for _ in range(5):  # whichever process answers
            async with open_client(served, timeout=PATIENCE) as another:
                after = await scraped(another)

            thread = {"route": "/v1/conversations/{conversation_id}/thread", "method": "GET"}
            for name, labels, count in (
                ("proofdesk_http_requests_total", thread | {"status": "401"}, 30),
                ("proofdesk_http_request_seconds_count", thread, 30),
                ("proofdesk_http_requests_total", {"route": "none", "method": "GET", "status": "404"}, 10),
            ):
                assert after.of(name, **labels) - before.of(name, **labels) == count
            labels = {dict(labels).get("route", "") for _, labels in after.samples}
            assert not any(re.search(r"\d{2}|nothing", label) for label in labels), "no path of a request"
            assert {dict(labels).get("method") for _, labels in after.samples} <= {None, "GET", "HEAD", "other"}
        async with asyncio.timeout(PATIENCE):  # each process looks every few seconds
            while (await scraped(client)).of("proofdesk_pool_connections", state="idle") < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.5)


async def test_metrics_count_runs_chunks_queue_and_lag_of_all_projects(
    served: str, cast: Cast, db: Database, owner_conn: psycopg.Connection
):
    assert cast.member.project_id is not None and cast.stranger.project_id is not None
    for project_id in (cast.member.project_id, cast.stranger.project_id):
        inside = await scope.enter(db, system_actor(), project_id)
        begun = await start_run(db, inside, "chatwoot_sync", "manual")

        async def work(*_: object) -> RunOutcome:
            return RunOutcome(1, {})

        await runs.execute(db, inside, begun.run, work)
        await runs.request(db, inside, "embeddings_run", "manual")
        stories.insert_conversations(owner_conn, project_id)
        await stories.make_searchable(db, project_id)
    owner_conn.execute("UPDATE rag_chunks SET embedding_status = 'pending'")
    owner_conn.execute(
        "INSERT INTO project_sources (project_id, account_scope_id, source_kind, external_id, account_id, created_at)"
        " SELECT id, account_scope_id, 'chatwoot_account', '77', 77, now() - interval '2 hours' FROM projects LIMIT 1"
    )
    owner_conn.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
    chunks = owner_conn.execute("SELECT count(*) FROM rag_chunks").fetchone()
    async with open_client(served, timeout=PATIENCE) as client:
        found = await _fresh(client)
    assert found.of("proofdesk_database_up") == 1
    assert found.of("proofdesk_runs_total", job_type="chatwoot_sync", outcome="ok") == 2
    assert found.of("proofdesk_runs_under_way", job_type="embeddings_run", status="queued") == 2
    assert found.of("proofdesk_queue_depth") == 2
    assert found.of("proofdesk_workers") == 1
    assert chunks is not None and found.of("proofdesk_chunks", status="pending") == chunks[0] > 0
    assert 7200 <= found.of("proofdesk_sync_lag_seconds") < 9000


async def _fresh(client: httpx2.AsyncClient) -> Metrics:
    """The metrics once they are of this test: each process keeps its reading some seconds."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await scraped(client)
            if found.of("proofdesk_runs_under_way", job_type="embeddings_run", status="queued") == 2:
                return found
            await asyncio.sleep(0.5)


async def test_the_monitoring_page_names_every_metric(served: str, tidy_url: str, owner_conn: psycopg.Connection):
    async with open_client(served, timeout=PATIENCE) as client:
        found = await scraped(client)
    named = set(re.findall(r"^\| `(proofdesk_\w+)`", PAGE.read_text("utf-8"), re.MULTILINE))
    always = found.names | {"proofdesk_sync_lag_seconds"}  # left out where nothing is read by schedule
    assert named == always
    documented = set(re.findall(r"\bproofdesk_\w+", PAGE.read_text("utf-8")))
    assert documented - named == set(), "alerts use existing metrics"


async def test_metrics_contain_no_personal_data(served: str, cast: Cast, owner_conn: psycopg.Connection):
    async with open_client(served, timeout=PATIENCE) as client:
        text = (await client.get("/metrics")).text
    for secret in (str(cast.member.project_id), "Project A", "member", "stranger"):
        assert secret not in text
