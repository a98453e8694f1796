"""A server, a worker and simulators that fail on demand."""

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx2
import psycopg
from pydantic import SecretStr

from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.database.pool import Database
from proofdesk.indexing.embeddings import factory as embeddings
from proofdesk.jobs import worker
from proofdesk.jobs.events import RunFeed
from proofdesk.jobs.resources import Resources
from proofdesk.outbound.opt_outs.unsubscribe import UnsubscribeLinks
from proofdesk.settings import Settings
from proofdesk_simulators import chatwoot, openai
from tests.support.chatwoot import chatwoot_content, stored_content
from tests.support.server import Cast

SYNC, EMBED = "chatwoot_sync", "embeddings_run"
PATHS = {SYNC: "/jobs/chatwoot/sync", EMBED: "/jobs/embeddings/run"}
KEY = "sk-proj-this-is-nobodys-business"
UNREACHABLE = "http://127.0.0.1:1"
TIMEOUT = 60.0
THROTTLE_WINDOW = 0.5


@dataclass
class FailureReport:
    """What people see of a failed run: the response, the run, the status page and the schedule."""

    response: httpx2.Response
    run: dict[str, Any]
    status: dict[str, Any]
    last_status: str | None
    last_error: str | None

    @property
    def details(self) -> dict[str, Any]:
        return self.response.json()["details"]

    def agrees(self) -> bool:
        """Return whether all of them show the same error."""
        content = self.response.json()
        job = next(j for j in self.status["jobs"] if j["job_name"] == self.run["job_type"])
        texts = {content["message"], self.run["error"], job["error"], self.last_error}
        upstreams = [self.details["upstream"], self.run["error_details"]["upstream"], job["error_details"]["upstream"]]
        states = {self.run["status"], job["status"], self.last_status}
        return texts == {self.run["error"]} and states == {"failed"} and upstreams == [upstreams[0]] * 3


@dataclass
class FaultDesk:
    """A project with three conversations in Chatwoot, a worker, and services that can fail."""

    cast: Cast
    db: Database
    conn: psycopg.Connection
    chatwoot: chatwoot.ChatwootSimulator
    chatwoot_url: str
    openai: openai.OpenAISimulator
    openai_url: str

    async def run_failing(self, job_type: str, **worker_options: Any) -> FailureReport:
        """Run a job that fails; return what people see of it."""
        response = await self.run_job(job_type, **worker_options)
        get = self.cast.member.client.get
        run = (await get(f"/jobs/runs/{response.json()['details']['run_id']}")).json()["run"]
        status = (await get("/jobs/status")).json()
        row = self.conn.execute(
            "SELECT last_status, last_error FROM scheduled_jobs WHERE project_id = %s AND job_type = %s",
            [self.cast.member.project_id, job_type],
        ).fetchone()
        report = FailureReport(response, run, status, *(row or (None, None)))
        everything = f"{response.text}{run}{status}{report.last_error}"
        assert self.chatwoot.admin_token not in everything and KEY not in everything
        return report

    async def run_repaired(self, job_type: str) -> dict[str, Any]:
        """Run the job again without faults and check that everything is stored exactly once; return its result."""
        self.chatwoot.faults.clear()
        self.openai.faults, self.openai.switches = [], openai.OpenAISwitches()
        response = await self.run_job(job_type)
        assert response.status_code == 200, response.text
        assert stored_content(self.conn) == chatwoot_content(self.chatwoot)
        assert self.chunks().keys() == {"ready"}
        assert (
            self.conn.execute("SELECT count(*) FROM rag_chunks").fetchone()
            == self.conn.execute(
                "SELECT count(DISTINCT (account_id, message_id, chunk_index)) FROM rag_vectors"
            ).fetchone()
        )
        assert self.conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)
        return response.json()["result"]

    def chunks(self) -> dict[str, int]:
        """Return the number of chunks by state."""
        return dict(self.conn.execute("SELECT embedding_status, count(*) FROM rag_chunks GROUP BY 1").fetchall())

    async def run_job(self, job_type: str, **worker_options: Any) -> httpx2.Response:
        """Request a job, let a worker empty the queue, and return the response."""
        request = asyncio.create_task(self.cast.member.client.post(PATHS[job_type], params={"wait": "60"}))
        while True:
            await asyncio.sleep(0.02)
            if request.done() or self.conn.execute("SELECT 1 FROM procrastinate_jobs").fetchone():
                break
        await self.run_worker(**worker_options)
        return await request

    async def run_worker(
        self,
        *,
        down: bool = False,
        response_timeout: float = TIMEOUT,
        configured: bool = True,
        provider_configured: bool = True,
    ) -> None:
        """Work until the queue is empty. `response_timeout` is how many seconds one response of a service may take.

        A request is sent at most twice, however long the machine takes: a limit in seconds would be a race.
        """
        settings = self._settings(down=down, response_timeout=response_timeout)
        client = ChatwootClient(
            UNREACHABLE if down else self.chatwoot_url,
            self.chatwoot.admin_token,
            timeout=response_timeout,
            max_attempts=2,
            throttle_window=THROTTLE_WINDOW,
        )
        provider = embeddings.open_provider(settings)
        resources = Resources(
            settings=settings,
            db=self.db,
            chatwoot=client if configured else None,
            provider=provider if provider_configured else None,
            bot=None,
            links=UnsubscribeLinks(self.db, None),
            outbound={},
            feed=RunFeed(self.db, UNREACHABLE),
        )
        await worker.run_worker(resources, drain=True)
        await client.aclose()
        await provider.aclose()

    def _settings(self, *, down: bool, response_timeout: float) -> Settings:
        return Settings(
            database_url=SecretStr("postgresql://not-connected.test/db"),
            chatwoot_account_id=1,
            embedding_provider="openai",
            openai_api_key=SecretStr(KEY),
            openai_base_url=f"{UNREACHABLE if down else self.openai_url}/v1",
            openai_timeout_ms=int(response_timeout * 1000),
            embedding_dim=256,
            embed_concurrency=1,
            embed_batch_size=2,
            embed_max_attempts=2,
            worker_interval_seconds=1,
        )
