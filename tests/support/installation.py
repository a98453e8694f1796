"""A healthy installation with simulated services, and ways to break it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic import SecretStr

from proofdesk.database.pool import Database
from proofdesk.indexing import vectors
from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.incremental import index_conversations
from proofdesk.jobs import worker_processes
from proofdesk.jobs.resources import open_resources
from proofdesk.projects import sources
from proofdesk.projects.scope import Scope
from proofdesk.runbooks import execution, registry
from proofdesk.runbooks.context import RequestContext, RunbookContext
from proofdesk.runbooks.findings import RunbookResult
from proofdesk.settings import Settings
from proofdesk_simulators import chatwoot, openai, telegram
from proofdesk_simulators.telegram.simulator import TelegramWebhook
from tests.support.search_desk import Desk

REQUEST = RequestContext(
    method="POST",
    scheme="https",
    host="desk.example.com",
    peer="192.0.2.7",
    cookies=frozenset({"sid", "csrf_token"}),
    session_state="active",
    csrf_state="right",
    origin="https://desk.example.com",
)
WEBHOOK_SECRET = "only-telegram-knows-this"
RECIPIENT = "ada@example.com"


@dataclass
class Installation:
    """The installation. Changes of `settings` and `request` apply to the next run of a runbook."""

    db: Database
    conn: psycopg.Connection
    scope: Scope
    chatwoot: chatwoot.ChatwootSimulator
    openai: openai.OpenAISimulator
    telegram: telegram.TelegramSimulator
    settings: dict[str, Any]
    request: RequestContext | None = REQUEST
    outbound_id: UUID | None = None
    in_project: bool = True
    clock: list[datetime] = field(default_factory=list)

    def set(self, **settings: Any) -> None:
        """Change settings, of the server and of the worker."""
        self.set_server(**settings)
        self.set_worker(**self.settings)

    def set_server(self, **settings: Any) -> None:
        """Change settings of the server only."""
        self.settings |= settings

    def set_worker(self, **settings: Any) -> None:
        """Let the worker run with these settings."""
        values = worker_processes.fingerprints(Settings(**settings))
        self.sql("UPDATE worker_processes SET fingerprints = %(values)s", values=Jsonb(values))

    def sql(self, statement: str, **values: Any) -> None:
        """Execute a statement as the owner of the database, with the values `project` and `account_scope`."""
        ids = {"project": self.scope.project_id, "account_scope": self.scope.account_scope_id}
        self.conn.execute(statement.encode(), ids | values)

    def rows(self, statement: str, **values: Any) -> list[Any]:
        """Return the rows of a query, as the owner of the database."""
        return self.conn.execute(statement.encode(), {"project": self.scope.project_id} | values).fetchall()

    def failed_run(self, job_type: str, error: str, details: str = "{}", ago: str = "1 minute") -> None:
        """Insert a failed run."""
        self.sql(
            "INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger, status, created_at, started_at,"
            " finished_at, error, error_details) VALUES (%(project)s, %(account_scope)s, %(job)s, 'manual', 'failed',"
            " now() - %(ago)s::interval, now(), now(), %(error)s, %(details)s::jsonb)",
            job=job_type,
            error=error,
            details=details,
            ago=ago,
        )

    @asynccontextmanager
    async def context(self) -> AsyncIterator[RunbookContext]:
        """Yield the context in which a runbook runs."""
        now = self.clock[0] if self.clock else None
        async with open_resources(Settings(**self.settings)) as resources:
            clock = {"now": lambda: now} if now else {}
            scope = self.scope if self.in_project else None
            yield RunbookContext(resources, self.scope.actor, scope, self.request, self.outbound_id, **clock)

    async def run(self, slug: str) -> RunbookResult:
        """Run a runbook."""
        async with self.context() as context:
            return await execution.run_checks(context, registry.get_runbook(slug))


async def build(
    db: Database, conn: psycopg.Connection, scope: Scope, servers: dict[str, tuple[Any, str]], database_url: str
) -> Installation:
    """Create an installation in which every runbook finds nothing."""
    (cw, cw_url), (ai, ai_url), (tg, tg_url) = servers["chatwoot"], servers["openai"], servers["telegram"]
    settings: dict[str, Any] = {
        "database_url": SecretStr(database_url),
        "database_pool_size": 4,
        "public_url": "https://desk.example.com",
        "chatwoot_base_url": cw_url,
        "chatwoot_api_token": SecretStr(cw.admin_token),
        "chatwoot_account_id": 1,
        "chatwoot_timeout_seconds": 3,
        "openai_api_key": SecretStr("sk-right"),
        "openai_base_url": f"{ai_url}/v1",
        "openai_timeout_ms": 3000,
        "embedding_dim": 256,
        "telegram_api_base_url": tg_url,
        "telegram_bot_token": SecretStr(tg.token),
        "telegram_webhook_secret": SecretStr(WEBHOOK_SECRET),
    }
    installation = Installation(db, conn, scope, cw, ai, tg, settings)
    ai.switches.key = "sk-right"
    await sources.bind(db, scope, "chatwoot_account", "1")
    desk = Desk(db, scope)
    await desk.talk("My parcel has not arrived, it is two weeks late now", "> Sorry! I will ask the courier today")
    await desk.talk("Please send invoice INV-2026-0417 to our accountant", "> Sent to the accountant just now")
    await index_conversations(db, scope, ChunkLimits(1000, 30))
    async with open_resources(Settings(**settings)) as resources:
        assert resources.provider is not None
        await vectors.embed_pending(db, scope, resources.provider, vectors.EmbeddingOptions())
    for job_type in ("chatwoot_sync", "embeddings_run"):
        installation.sql(
            "INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger, status, created_at, finished_at)"
            " VALUES (%(project)s, %(account_scope)s, %(job)s, 'schedule', 'ok', now() - interval '1 hour', now())",
            job=job_type,
        )
    installation.sql("UPDATE scheduled_jobs SET next_run_at = now() + interval '10 minutes', last_status = 'ok'")
    installation.sql("INSERT INTO procrastinate_workers DEFAULT VALUES")
    await worker_processes.report(db, Settings(**settings))
    installation.sql("INSERT INTO telegram_owner (user_id, chat_id, name) VALUES (4711, 4711, 'Ada Lovelace')")
    tg.hook = TelegramWebhook("https://desk.example.com/auth/telegram/webhook", WEBHOOK_SECRET)
    return installation


def add_message(installation: Installation, smtp_url: str) -> None:
    """Configure email, and insert one approved message that is due."""
    installation.set(smtp_url=SecretStr(smtp_url), smtp_from="desk@example.com")
    installation.sql(
        "INSERT INTO outbound_messages (project_id, account_scope_id, channel, recipient_ref, payload, evidence_refs,"
        " idempotency_key, request_hash, max_retries, created_by, status, approved_by, approved_at, approved_hash,"
        " next_attempt_at) VALUES (%(project)s, %(account_scope)s, 'email', %(to)s, %(payload)s::jsonb, '[]', 'k', '',"
        " 5, 'ben', 'approved', 'ben', now(), sha256(convert_to(jsonb_build_array('email'::text, %(to)s::text,"
        " %(payload)s::jsonb)::text, 'UTF8')), now())",
        to=RECIPIENT,
        payload='{"subject": "About your lamp", "text": "It is repaired and waits for you."}',
    )
    installation.outbound_id = installation.rows("SELECT id FROM outbound_messages")[0][0]


def many_vectors(installation: Installation) -> None:
    """Insert so many vectors that they should have an index, but build none."""
    chunk = "(SELECT * FROM rag_chunks ORDER BY message_id LIMIT 1) k"
    installation.sql(
        "INSERT INTO rag_chunks (project_id, account_scope_id, account_id, message_id, chunk_index, conversation_id,"
        " inbox_id, sender_type, sender_types, covers, text, context, content_hash, embedding_status, embedding_model,"
        " created_at) SELECT project_id, account_scope_id, account_id, message_id, n, conversation_id, inbox_id,"
        " sender_type, sender_types, covers, text, context, content_hash, embedding_status, embedding_model, created_at"
        f" FROM {chunk}, generate_series(100, 2200) n"
    )
    installation.sql(
        "INSERT INTO rag_vectors (project_id, account_scope_id, account_id, message_id, chunk_index, model, embedding)"
        " SELECT c.project_id, c.account_scope_id, c.account_id, c.message_id, c.chunk_index, v.model, v.embedding"
        " FROM rag_chunks c JOIN (SELECT * FROM rag_vectors LIMIT 1) v USING (project_id) WHERE c.chunk_index >= 100"
    )


def at(*ago: int) -> datetime:
    """Return the time this many minutes from now."""
    return datetime.fromtimestamp(datetime.now(UTC).timestamp() + 60 * sum(ago), UTC)
