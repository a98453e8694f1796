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
    """Start Chromium. Without it the test is skipped, or fails in CI."""
    if CHROMIUM is None:
        reason = "Chromium is not installed (apt-get install chromium)."
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def visit(chromium: Browser) -> AsyncIterator[Visit]:
    """Return a function that opens a tab with its own cookies, storage and cache, signed in with a session token.

    A script error fails the test. With `silent`, an error in the console fails it as well.
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
