"""The server's time for every page of a project with 100,000 messages.

    python -m bench.pages       prints each page

The application responds over ASGI, with a session and without a network. The floor is a page that reads nothing of the
project, with the same navigation and session.
"""

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID

import httpx2
import psycopg
from starlette.types import Receive, Scope, Send

from bench import database, dataset
from bench.figures import Figure, Measurements, percentile
from proofdesk import logging
from proofdesk.audit import events
from proofdesk.database.pool import Database, open_database
from proofdesk.http import app as http_app
from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.incremental import index_conversations
from proofdesk.jobs import new_projects
from proofdesk.projects import scope
from proofdesk.settings import Settings

MESSAGES, FEW = 100_000, 5_000
REQUESTS, WARMING = 20, 3
LIMIT = 100.0  # milliseconds
FLOOR = "/runbooks"
HTML = {"accept": "text/html"}
PAGES = (
    "/", "/search", "/search?q=gadora&mode=text", "/conversations", "/conversations?status=resolved",
    "/conversations?page=200", "{conversation}", "/contacts", "/contacts?q=nobody", "{contact}", "/outbound",
    "/outbound?q=nothing", "/outbound?compose=1", "/outbound/policies", "{message}", "/jobs", "/jobs?status=failed",
    "/audit", "/audit?action=job.*", "/projects", "{sources}", "/settings", "/help/", "/docs",
)  # fmt: skip
_MORE = (
    """
    INSERT INTO cw_contacts (project_id, account_scope_id, account_id, contact_id, name, email, blocked,
        additional_attributes, custom_attributes)
    SELECT id, account_scope_id, 1, n, 'Person ' || n, 'person' || n || '@example.com', false, '{}', '{}'
    FROM projects, generate_series(1, %(n)s::int / 4) n""",
    """
    UPDATE cw_conversations SET contact_id = conversation_id + 1, labels = ARRAY['label ' || conversation_id % 40],
        status = CASE WHEN conversation_id % 10 = 0 THEN 'resolved' ELSE 'open' END""",
    """
    INSERT INTO outbound_messages (project_id, account_scope_id, channel, recipient_ref, payload, content_hash,
        evidence_refs, idempotency_key, request_hash, max_retries, created_by)
    SELECT id, account_scope_id, 'email', 'person' || n || '@example.com', '{"subject": "Hello", "text": "Hello"}', '',
        '[]', n::text, '', 5, 'amina'
    FROM projects, generate_series(1, %(n)s::int / 10) n""",
    "UPDATE cw_messages SET created_at = now() - message_id * interval '5 min'",
    """
    UPDATE outbound_messages SET status = 'cancelled', cancelled_by = 'amina', cancelled_at = now()
    WHERE idempotency_key::int % 3 = 0""",
    """
    INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger, status, created_at, started_at,
        finished_at, processed_count)
    SELECT id, account_scope_id, (ARRAY['chatwoot_sync', 'embeddings_run', 'outbound_process'])[1 + n % 3], 'schedule',
        CASE WHEN n % 7 = 0 THEN 'failed' ELSE 'ok' END, at, at, at + interval '9 s', n % 100
    FROM projects, generate_series(1, %(n)s::int / 10) n, LATERAL (SELECT now() - n * interval '5 min' AS at) a""",
)


@dataclass(frozen=True)
class PageTime:
    """The response time of a page in milliseconds."""

    page: str
    median: float
    p95: float


async def measure(quick: bool) -> Measurements:
    """Measure every page and report the slowest."""
    messages = FEW if quick else MESSAGES
    pages = await _measure_pages(messages)
    slow = sorted((page for page in pages if page.page != FLOOR), key=lambda page: page.median, reverse=True)
    floor = next(page for page in pages if page.page == FLOOR)
    worst = ", ".join(f"{page.page} {page.median:.0f} ms" for page in slow[:3])
    figure = Figure(
        work=f"the slowest of {len(slow)} pages, with {messages:,} messages of one year",
        goal=f"median ≤ {LIMIT:.0f} ms of the server",
        measured=f"{worst}; p95 of the slowest {slow[0].p95:.0f} ms",
        floor=f"a page without project data: {floor.median:.0f} ms",
        times=slow[0].median / floor.median,
        met=slow[0].median <= LIMIT,
        limit=20,
    )
    return Measurements([figure])


async def _measure_pages(messages: int) -> list[PageTime]:
    with database.fresh() as url:
        async with open_database(url, 2) as db:
            project_id = await _fill(db, url, messages)
        async with _client(url, project_id) as client:
            pages = (FLOOR, *PAGES)
            return [
                await _measure_page(client, page, address) for page, address in zip(pages, _addresses(url), strict=True)
            ]


async def _fill(db: Database, url: str, messages: int) -> UUID:
    project = await new_projects.create(db, events.system_actor(), "Studio")
    project_scope = await scope.enter(db, events.system_actor(), project.id)
    with psycopg.connect(url, autocommit=True) as conn:
        await asyncio.to_thread(dataset.fill, conn, project.id, messages, 64)
        for statement in _MORE:
            conn.execute(statement.replace("% ", "%% ").encode(), {"n": messages})
        await index_conversations(db, project_scope, ChunkLimits.from_settings(Settings()))
        audit_events = [
            events.BulkEvent("job.requested", "worker_run", str(number)) for number in range(messages // 10)
        ]
        async with db.scoped(project_scope) as noting:
            await events.record_many(noting, project_scope, project_scope.actor, audit_events)
        conn.execute("VACUUM ANALYZE")
    return project.id


@asynccontextmanager
async def _client(url: str, project_id: UUID) -> AsyncIterator[httpx2.AsyncClient]:
    settings = Settings(embedding_provider="local", database_pool_size=4, log_level="error")
    logging.setup(settings)
    app = http_app.create_app(settings, url)
    token = secrets.token_urlsafe()
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            "WITH u AS (INSERT INTO app_users (username, password_hash, is_owner) VALUES ('amina', '', true) RETURNING"
            " id) INSERT INTO sessions (id_hash, user_id, csrf_token, active_project_id, expires_at)"
            " SELECT %s, id, 'token', %s, now() + interval '1 day' FROM u",
            [sha256(token.encode()).digest(), project_id],
        )
    async with app.router.lifespan_context(app) as state:

        async def started(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx2.ASGITransport(started)
        async with httpx2.AsyncClient(transport=transport, base_url="http://bench", headers=HTML) as client:
            client.cookies.set("sid", token)
            yield client


def _addresses(url: str) -> list[str]:
    with psycopg.connect(url) as conn:
        row = conn.execute("SELECT id, (SELECT min(id::text) FROM outbound_messages) FROM projects").fetchone()
    assert row is not None, "the project was project"
    named: dict[str, Any] = {
        "conversation": f"/conversations/cw:{row[0]}:{dataset.ACCOUNT}:7/thread",
        "contact": f"/contacts/cwc:{row[0]}:{dataset.ACCOUNT}:7",
        "message": f"/outbound/{row[1]}",
        "sources": f"/projects/{row[0]}/sources",
    }
    return [page.format(**named) for page in (FLOOR, *PAGES)]


async def _measure_page(client: httpx2.AsyncClient, page: str, address: str) -> PageTime:
    times = []
    for number in range(WARMING + REQUESTS):
        began = time.perf_counter()
        response = await client.get(address)
        took = (time.perf_counter() - began) * 1000
        assert response.status_code == 200, f"{address} responded {response.status_code}"
        times += [took] if number >= WARMING else []
    return PageTime(page, percentile(times, 50), percentile(times, 95))


def main() -> None:
    """Measure and print each page, slowest first."""
    for page in sorted(
        asyncio.run(_measure_pages(FEW if "--quick" in sys.argv else MESSAGES)), key=lambda page: -page.median
    ):
        print(f"{page.median:8.1f} ms  p95 {page.p95:8.1f} ms  {page.page}")


if __name__ == "__main__":
    main()
