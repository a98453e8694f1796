"""What people come for, from one end to the other, in a real browser, with a worker and the simulated services."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.async_api import Page
from pydantic import SecretStr

from proofdesk.accounts import accounts
from proofdesk.accounts import telegram as binding
from proofdesk.audit.events import system_actor
from proofdesk.database.pool import Database
from proofdesk.settings import Settings
from proofdesk_simulators import chatwoot
from proofdesk_simulators.chatwoot import ChatwootSimulator
from proofdesk_simulators.serving import running
from proofdesk_simulators.telegram import TelegramSimulator as Telegram
from tests.support.browser import Visit
from tests.support.server import WEBHOOK_SECRET, run_server

PASSWORD = "long enough pw"
OWNER = 4711  # in Telegram
INVALID_TOKEN = "401_unknown_token"
SEARCHABLE = """
    SELECT (SELECT bool_and(content_version = chunked_version AND content_version = indexed_version)
            FROM cw_conversations)
       AND (SELECT bool_and(embedding_status = 'ready') FROM rag_chunks)"""


@pytest.fixture
def studio() -> Iterator[tuple[ChatwootSimulator, str]]:
    """A simulated Chatwoot with the sample studio, and its address."""
    simulator = chatwoot.build("studio")
    with running(chatwoot.create_app(simulator)) as url:
        yield simulator, url
    simulator.close()


@pytest.fixture
def desk(tidy_url: str, studio: tuple[ChatwootSimulator, str], tmp_path: Path) -> Iterator[str]:
    """The address of a Proofdesk that reads that Chatwoot, and whose worker looks at the schedule every second."""
    simulator, chatwoot_url = studio
    settings = {
        "CHATWOOT_BASE_URL": chatwoot_url,
        "CHATWOOT_API_TOKEN": simulator.admin_token,
        "CHATWOOT_ACCOUNT_ID": "1",
        "EMBEDDING_PROVIDER": "local",
        "WORKER_INTERVAL_SECONDS": "1",
    }
    with run_server(tidy_url, tmp_path / "server.log", **settings) as url, _worker(tidy_url, settings):
        yield url


@pytest.fixture
async def tab(desk: str, db: Database, visit: Visit) -> Page:
    """A tab of somebody who has an account and nothing else."""
    await accounts.create(db, "amina", PASSWORD)
    await accounts.allow_sources(db, "amina", system_actor(), allowed=True)
    page = await visit(desk)
    page.set_default_timeout(60_000)
    return page


async def test_from_first_sync_to_evidence_and_from_failure_to_cause(
    tab: Page, studio: tuple[ChatwootSimulator, str], owner_conn: psycopg.Connection
):
    await tab.goto("/login")
    await tab.get_by_label("Username").fill("amina")
    await tab.get_by_label("Password").fill(PASSWORD)
    await tab.get_by_role("button", name="Sign in").click()
    await tab.get_by_role("button", name="Create project").wait_for()
    await tab.get_by_label("Name").fill("Kestrel Studio")
    await tab.get_by_role("button", name="Create project").click()
    await tab.locator(".switch").get_by_text("Kestrel Studio").wait_for()

    # The worker syncs what is due, binds the account, and embeds at once.
    await tab.goto("/jobs")
    history = tab.locator("#history tbody tr")
    await history.filter(has_text="Sync").filter(has_text="501 messages").filter(has_text="ok").first.wait_for()
    await history.filter(has_text="Embeddings").filter(has_text=re.compile(r"[1-9]\d+ chunks")).first.wait_for()
    async with asyncio.timeout(60):
        while owner_conn.execute(SEARCHABLE).fetchone() != (True,):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await tab.goto("/search")
    await tab.get_by_label("Search query").fill("charged twice by direct debit")
    await tab.keyboard.press("Enter")
    await tab.locator(".hit").first.wait_for()
    assert "direct debit" in (await tab.locator(".hit").first.text_content() or "").lower()

    # Somebody takes the token away.
    owner_conn.execute("UPDATE scheduled_jobs SET next_run_at = now() + interval '1 hour'")
    studio[0].faults.add(INVALID_TOKEN)
    await tab.goto("/jobs")
    await tab.get_by_role("button", name="Run sync", exact=True).click()
    failed = history.filter(has_text="failed").first
    await failed.get_by_role("link", name="Open runbook").click()
    await tab.get_by_role("button", name="Run checks").click()
    await tab.locator("#cause").wait_for()
    assert "CHATWOOT_API_TOKEN" in (await tab.locator("#found").text_content() or "")

    # It is given back, and the fix is a button.
    studio[0].faults.clear()
    await tab.get_by_role("button", name="Apply fix").first.click()
    await tab.goto("/jobs")
    await history.nth(0).filter(has_text="Sync").filter(has_text="ok").wait_for()


async def test_somebody_new_is_let_in_by_the_pin_that_the_owner_gets(
    server: str, telegram_server: tuple[Telegram, str], db: Database, visit: Visit
):
    telegram = telegram_server[0]
    telegram.reset()
    telegram.hook.url, telegram.hook.secret_token = f"{server}/auth/telegram/webhook", WEBHOOK_SECRET
    code, _ = await binding.create_bind_code(db, Settings(telegram_bot_token=SecretStr("1:x")), system_actor())
    await asyncio.to_thread(telegram.write, OWNER, f"/bind@proofdesk_bot {code}")
    page = await visit(server)
    await page.goto("/login")
    await page.get_by_text("Create an account").click()
    await page.get_by_label("New username").fill("noor")
    await page.get_by_label("New password").fill(PASSWORD)
    await page.get_by_role("button", name="Send PIN to the owner").click()
    await page.get_by_label("PIN").fill("000000")
    await page.get_by_role("button", name="Create account").click()
    await page.locator("#wrong").wait_for()
    pin = re.search(r"\b\d{6}\b", telegram.sent[-1].text)
    assert pin and telegram.sent[-1].chat_id == OWNER
    await page.get_by_label("PIN").fill(pin[0])
    await page.get_by_role("button", name="Create account").click()
    await page.get_by_role("button", name="Create project").wait_for()
    assert "noor" in (await page.locator("body").text_content() or "")
    telegram.reset()


@contextlib.contextmanager
def _worker(database_url: str, settings: dict[str, str]) -> Iterator[None]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = kept | {"DATABASE_URL": database_url, "PYTHONPATH": os.pathsep.join(sys.path)} | settings
    worker = subprocess.Popen([sys.executable, "-m", "proofdesk", "worker"], env=environment, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(30)
