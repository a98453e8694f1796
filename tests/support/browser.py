"""A real browser: one per test process, with a context of its own for each test."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-dev-shm-usage",
]  # fmt: skip


Visit = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The machine's browser; a test without one is skipped, or fails where it must run."""
    if CHROMIUM is None:
        reason = "Chromium is not installed (apt-get install chromium)."
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def visit(chromium: Browser) -> AsyncIterator[Visit]:
    """Opens a tab with cookies, storage and cache of its own, signed in with the token of a session, if there is one.

    A script that breaks off fails the test, and where `silent` so does whatever the console shows as an error.
    """
    contexts, complaints = [], []

    async def begin(url: str, token: str | None = None, *, silent: bool = False, **options: Any) -> Page:
        context = await chromium.new_context(base_url=url, **options)
        contexts.append(context)
        if token:
            await context.add_cookies([{"name": "sid", "value": token, "url": url}])
        tab = await context.new_page()
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        if silent:
            tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        return tab

    yield begin
    for context in contexts:
        await context.close()
    assert complaints == []
