"""The real server with two processes, and three people who are signed in."""

import contextlib
import os
import secrets
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest
from argon2 import PasswordHasher

from proofdesk.database.pool import Database
from proofdesk_simulators.telegram import TelegramSimulator

PASSWORD = "correct horse battery"
HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
ORIGIN = "https://app.example.com"
WEBHOOK_SECRET = "only-telegram-knows-this"
PIN_SECRET = "a key for stored pins"
APP = "proofdesk.http.app:from_environment"
# Without a context, each client loads every certificate authority of the machine, which takes longer than most tests.
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass
class Person:
    """A user with a session, and the client that sends its cookie."""

    id: UUID
    username: str
    client: httpx2.AsyncClient
    csrf: str
    token: str
    project_id: UUID | None = None


@dataclass
class Cast:
    """The owner, a member of project A, and a stranger who is a member of project B only."""

    owner: Person
    member: Person
    stranger: Person


@pytest.fixture(scope="session")
def server(database_url: str, telegram_server: tuple[TelegramSimulator, str], server_log: Path) -> Iterator[str]:
    """Start the server as `proofdesk serve` does, with a simulated Telegram. Yield its URL."""
    simulator, telegram_url = telegram_server
    with run_server(
        database_url,
        server_log,
        TELEGRAM_API_BASE_URL=telegram_url,
        TELEGRAM_BOT_TOKEN=simulator.token,
        TELEGRAM_WEBHOOK_SECRET=WEBHOOK_SECRET,
        SIGNUP_PIN_SECRET=PIN_SECRET,
    ) as url:
        yield url


@contextlib.contextmanager
def run_server(database_url: str, log: Path, app: str = APP, **more: str) -> Iterator[str]:
    """Start a server with more environment variables and yield its URL. It logs to the file.

    It must stop within 20 seconds, however many streams are open.
    """
    port = free_port()
    with log.open("w") as output:
        environment = _environment(database_url) | more
        process = subprocess.Popen(_command(port, app), env=environment, stdout=output, stderr=output)
        try:
            _await_ready(f"http://127.0.0.1:{port}", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture
async def anyone(server: str, db: Database) -> AsyncIterator[httpx2.AsyncClient]:
    """Yield a client without a session."""
    async with open_client(server) as client:
        yield client


@pytest.fixture
async def cast(server: str, db: Database, owner_conn: psycopg.Connection) -> AsyncIterator[Cast]:
    """Sign three people in. The member and the stranger each have an active project."""
    owner = create_person(server, owner_conn, "owner", is_owner=True)
    member, stranger = create_person(server, owner_conn, "member"), create_person(server, owner_conn, "stranger")
    for person, name in ((member, "Project A"), (stranger, "Project B")):
        response = await person.client.post("/projects", json={"name": name})
        person.project_id = UUID(response.json()["project"]["id"])
        assert (await person.client.post(f"/projects/{person.project_id}/select")).status_code == 200
    yield Cast(owner, member, stranger)
    for person in (owner, member, stranger):
        await person.client.aclose()


def create_person(
    server: str, conn: psycopg.Connection, username: str, *, is_owner: bool = False, binds_sources: bool = True
) -> Person:
    """Insert a user and a session. No login request: password checks are slow on purpose."""
    row = conn.execute(
        "INSERT INTO app_users (username, password_hash, is_owner, may_bind_sources)"
        " VALUES (%s, %s, %s, %s) RETURNING id",
        [username, HASH, is_owner, binds_sources],
    ).fetchone()
    assert row is not None
    token, csrf = secrets.token_urlsafe(), secrets.token_urlsafe()
    conn.execute(
        "INSERT INTO sessions (id_hash, user_id, csrf_token, expires_at) VALUES (%s, %s, %s, now() + interval '1 day')",
        [sha256(token.encode()).digest(), row[0], csrf],
    )
    client = open_client(server, cookies={"sid": token}, headers={"x-csrf-token": csrf})
    return Person(row[0], username, client, csrf, token)


def open_client(url: str, **more: Any) -> httpx2.AsyncClient:
    """Return a client that fails the test when an error is not declared in the OpenAPI description."""
    hooks = {"response": [_check_declared]}
    return httpx2.AsyncClient(
        base_url=url, **{"timeout": 30, "trust_env": False, "verify": PLAIN, "event_hooks": hooks, **more}
    )


async def _check_declared(response: httpx2.Response) -> None:
    # Imported late: it loads the whole HTTP application, which most test processes never need.
    from tests.support.response_schemas import check_declared

    await check_declared(response)


LISTEN = """
import sys
from proofdesk.cli import server
server.preload(sys.argv[1])
server.serve_processes(sys.argv[1], "127.0.0.1", int(sys.argv[2]), 2)
"""


def _command(port: int, app: str) -> list[str]:
    return [sys.executable, "-W", "error", "-c", LISTEN, app, str(port)]


def _environment(database_url: str) -> dict[str, str]:
    settings = {
        "DATABASE_URL": database_url,
        "DATABASE_POOL_SIZE": "4",
        "LOG_FORMAT": "json",
        "CORS_ORIGIN": ORIGIN,
        "EMBEDDING_PROVIDER": "local",
        "LOGIN_RATE_LIMIT_MAX_ATTEMPTS": "3",
    }
    inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}
    return inherited | settings


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            # Not /ready: it waits for a worker, and none runs here.
            if httpx2.get(f"{url}/health", trust_env=False, verify=PLAIN).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"the server did not start:\n{log.read_text()[-4000:]}")
