"""The application without a server: without a database, and with unexpected errors."""

import asyncio
from typing import Any

import httpx2
import psycopg
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from proofdesk.database.pool import Database
from proofdesk.http import app as http_app
from proofdesk.http.web import error_pages
from proofdesk.settings import Settings

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


def _client(app: ASGIApp, state: dict[str, Any]) -> httpx2.AsyncClient:
    async def started(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    return httpx2.AsyncClient(transport=httpx2.ASGITransport(started), base_url="http://test")


async def test_without_its_database_the_server_is_healthy_but_not_ready():
    app = http_app.create_app(Settings(embedding_provider="local"), NOWHERE)
    async with app.router.lifespan_context(app) as state, _client(app, dict(state or {})) as client:
        assert (await client.get("/health")).status_code == 200
        headers = {"cookie": "sid=x", "accept": "text/html", "x-request-id": "away"}
        answer, page = await asyncio.gather(client.get("/ready"), client.get("/search", headers=headers))
        assert (answer.status_code, answer.json()["error"]) == (503, "database_unavailable")
        assert "postgresql://" not in answer.text
        assert page.status_code == 503 and "away" in page.text and 'aria-label="Pages"' not in page.text
        assert error_pages.HINTS[503] in page.text


async def test_with_a_missing_migration_the_server_is_not_ready(
    db: Database, database_url: str, owner_conn: psycopg.Connection
):
    app = http_app.create_app(Settings(embedding_provider="local"), database_url)
    owner_conn.execute("UPDATE schema_migrations SET name = 'later' WHERE name = '0003_access.sql'")
    try:
        async with app.router.lifespan_context(app) as state, _client(app, dict(state or {})) as client:
            answer = await client.get("/ready")
            assert (answer.status_code, answer.json()["error"]) == (503, "database_not_migrated")
            assert "0003_access.sql" in answer.json()["message"] and "proofdesk migrate" in answer.json()["message"]
    finally:
        owner_conn.execute("UPDATE schema_migrations SET name = '0003_access.sql' WHERE name = 'later'")


async def test_an_unexpected_error_reveals_nothing():
    app = http_app.create_app(Settings(auth_password=SecretStr("secret")), NOWHERE)
    async with _client(app, {}) as client:  # no resources are open, so every use of the database fails
        answer = await client.get("/projects", headers={"cookie": "sid=x", "x-request-id": "broken-1"})
        assert answer.status_code == 500
        assert answer.json() == {
            "ok": False,
            "error": "internal_error",
            "message": "Proofdesk failed unexpectedly. The log shows the cause under this request id.",
            "request_id": "broken-1",
        }
        assert answer.headers["x-content-type-options"] == "nosniff"
        page = await client.get(
            "/search", headers={"cookie": "sid=x", "accept": "text/html", "x-request-id": "broken-2"}
        )
        assert page.status_code == 500 and "broken-2" in page.text and "Traceback" not in page.text
