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
from tests.support.chatwoot import ours, theirs
from tests.support.server import Cast

SYNC, EMBED = "chatwoot_sync", "embeddings_run"


PATHS = {SYNC: "/jobs/chatwoot/sync", EMBED: "/jobs/embeddings/run"}


KEY = "sk-proj-this-is-nobodys-business"


NOWHERE = "http://127.0.0.1:1"


SLOW = 60.0


@dataclass
class Shown:
    """What people see of a run that failed: the answer, the run, the status page, the schedule."""

    answer: httpx2.Response
    run: dict[str, Any]
    status: dict[str, Any]
    last_status: str | None
    last_error: str | None

    @property
    def details(self) -> dict[str, Any]:
        return self.answer.json()["details"]

    def agrees(self) -> bool:
        """Whether everybody is told the same."""
        told = self.answer.json()
        job = next(j for j in self.status["jobs"] if j["job_name"] == self.run["job_type"])
        texts = {told["message"], self.run["error"], job["error"], self.last_error}
        upstreams = [self.details["upstream"], self.run["error_details"]["upstream"], job["error_details"]["upstream"]]
        states = {self.run["status"], job["status"], self.last_status}
        return texts == {self.run["error"]} and states == {"failed"} and upstreams == [upstreams[0]] * 3


@dataclass
class Desk:
    """A project with three conversations over there, and what fails around it."""

    cast: Cast
    db: Database
    conn: psycopg.Connection
    chatwoot: chatwoot.Simulator
    chatwoot_url: str
    openai: openai.Simulator
    openai_url: str

    async def fails(self, job_type: str, **how: Any) -> Shown:
        """Ask for a job that fails."""
        answer = await self.asked(job_type, **how)
        get = self.cast.member.client.get
        run = (await get(f"/jobs/runs/{answer.json()['details']['run_id']}")).json()["run"]
        status = (await get("/jobs/status")).json()
        row = self.conn.execute(
            "SELECT last_status, last_error FROM scheduled_jobs WHERE project_id = %s AND job_type = %s",
            [self.cast.member.project_id, job_type],
        ).fetchone()
        shown = Shown(answer, run, status, *(row or (None, None)))
        everything = f"{answer.text}{run}{status}{shown.last_error}"
        assert self.chatwoot.admin_token not in everything and KEY not in everything
        return shown

    async def mends(self, job_type: str) -> dict[str, Any]:
        """Ask again when nothing fails any more: it ends, and all that is there is here, once; the result."""
        self.chatwoot.faults.clear()
        self.openai.faults, self.openai.switches = [], openai.Switches()
        answer = await self.asked(job_type)
        assert answer.status_code == 200, answer.text
        assert ours(self.conn) == theirs(self.chatwoot)
        assert self.chunks().keys() == {"ready"}
        assert (
            self.conn.execute("SELECT count(*) FROM rag_chunks").fetchone()
            == self.conn.execute(
                "SELECT count(DISTINCT (account_id, message_id, chunk_index)) FROM rag_vectors"
            ).fetchone()
        )
        assert self.conn.execute("SELECT count(*) FROM procrastinate_jobs").fetchone() == (0,)
        return answer.json()["result"]

    def chunks(self) -> dict[str, int]:
        """The chunks by their state."""
        return dict(self.conn.execute("SELECT embedding_status, count(*) FROM rag_chunks GROUP BY 1").fetchall())

    async def asked(self, job_type: str, **how: Any) -> httpx2.Response:
        """Ask the server for a job, let a worker do all that is queued, and give the answer."""
        asking = asyncio.create_task(self.cast.member.client.post(PATHS[job_type], params={"wait": "60"}))
        while True:
            await asyncio.sleep(0.02)
            if asking.done() or self.conn.execute("SELECT 1 FROM procrastinate_jobs").fetchone():
                break
        await self.work(**how)
        return await asking

    async def work(
        self,
        *,
        down: bool = False,
        seconds: float = SLOW,
        patience: float = 0.3,
        configured: bool = True,
        provider_configured: bool = True,
    ) -> None:
        """Be a worker until the queue is empty; `seconds` are what one answer may take."""
        settings = self._settings(down=down, seconds=seconds)
        client = ChatwootClient(
            NOWHERE if down else self.chatwoot_url, self.chatwoot.admin_token, timeout=seconds, retry_timeout=patience
        )
        provider = embeddings.open_provider(settings)
        held = Resources(
            settings=settings,
            db=self.db,
            chatwoot=client if configured else None,
            provider=provider if provider_configured else None,
            bot=None,
            links=UnsubscribeLinks(self.db, None),
            outbound={},
            feed=RunFeed(self.db, NOWHERE),
        )
        await worker.run_worker(held, drain=True)
        await client.aclose()
        await provider.aclose()

    def _settings(self, *, down: bool, seconds: float) -> Settings:
        return Settings(
            database_url=SecretStr("postgresql://not-connected.test/db"),
            chatwoot_account_id=1,
            embedding_provider="openai",
            openai_api_key=SecretStr(KEY),
            openai_base_url=f"{NOWHERE if down else self.openai_url}/v1",
            openai_timeout_ms=int(seconds * 1000),
            embedding_dim=256,
            embed_concurrency=1,
            embed_batch_size=2,
            embed_max_attempts=2,
            worker_interval_seconds=1,
        )
