"""A person with a browser: sign in, search, read the thread."""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator

import psycopg
import pytest

from proofdesk.audit.trail import system
from proofdesk.auth import accounts
from proofdesk.db.pool import Database
from proofdesk.projects import projects
from tests.review import stories

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-dev-shm-usage",
]  # fmt: skip


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator:
    """The machine's browser; a test without one is skipped, or fails where it must run."""
    if CHROMIUM is None:
        reason = "Chromium is not installed (apt-get install chromium)."
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def page(server: str) -> AsyncIterator:
    """A tab; what it complains about fails the test."""
    async with chromium() as browser:
        tab = await browser.new_page(base_url=server)
        complaints: list[str] = []
        tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        yield tab
        assert complaints == []


async def test_a_person_signs_in_searches_and_reads_the_thread(page, db: Database, owner_conn: psycopg.Connection):
    await accounts.create(db, "amina", "long enough pw")
    made = await projects.create(db, system(), "Studio")
    owner_conn.execute("INSERT INTO project_members SELECT %s, %s, id FROM app_users", [made.id, made.account_scope_id])
    stories.tell(owner_conn, made.id)
    await stories.make_searchable(db, made.id)

    await page.goto("/search")
    await page.get_by_label("Username").fill("amina")
    await page.get_by_label("Password").fill("long enough pw")
    await page.get_by_role("button", name="Sign in").click()

    await page.get_by_label("Exact words").check()
    await page.get_by_label("Question or words").fill("refund")
    await page.keyboard.press("Enter")
    hit = page.locator(".hit").filter(has_text="would like a refund")
    assert await hit.locator("mark").first.text_content() == "refund"
    assert "q=refund" in page.url and "mode=text" in page.url

    await hit.locator(".hit-open").click()
    cited = page.locator("#beside #cited")
    assert "would like a refund" in (await cited.text_content() or "")
    assert await page.locator("#beside .line").count() == len(stories.DELIVERY)
    assert "open=cwmsg" in page.url
    await page.keyboard.press("Escape")
    assert await page.locator("#beside .line").count() == 0 and "open=" not in page.url

    await page.get_by_role("button", name="amina").click()
    await page.get_by_role("button", name="Dark").click()
    await page.reload()
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert await page.locator(".hit").count() > 0
