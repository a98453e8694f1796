"""A page that follows changes goes on doing so whatever becomes of its scripts, its stream and its server."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

import psycopg
import pytest
from playwright.async_api import Page, Route, expect

from tests.http.web.runs import insert_run, project_of
from tests.support.browser import Visit
from tests.support.server import Cast


@dataclass
class Desk:
    """Return a tab of a member, whose clock can be put forward, and their project."""

    tab: Page
    conn: psycopg.Connection
    project: UUID

    async def shows_what_begins_now(self) -> None:
        """A run that begins is seen to."""
        progress = '{"done": 3, "total": 40, "unit": "conversations"}'
        run = insert_run(self.conn, self.project, "running", progress=progress)
        await self.tab.locator(f"#run-{run}").get_by_text("3 of 40 conversations").wait_for()


@pytest.fixture
async def desk(cast: Cast, owner_conn: psycopg.Connection, server: str, visit: Visit) -> Desk:
    tab = await visit(server, cast.member.token, timezone_id="Europe/Berlin", locale="en-GB")
    await tab.clock.install()
    return Desk(tab, owner_conn, project_of(cast))


def once(answer: Callable[[Route], Awaitable[None]]) -> Callable[[Route], Awaitable[None]]:
    """Do that to the first request, and let the others through."""
    left = [answer]

    async def handle(route: Route) -> None:
        await (left.pop()(route) if left else route.continue_())

    return handle


async def refuse(route: Route) -> None:
    await route.fulfill(status=503, json={"ok": False, "error": "database_unavailable"})


async def lose(route: Route) -> None:
    await route.abort("connectionreset")


async def test_scripts_that_come_late_and_one_by_one_still_open_the_stream(desk: Desk):
    turns = itertools.count(1)

    async def late(route: Route) -> None:
        await asyncio.sleep(0.5 * next(turns))
        await route.continue_()

    await desk.tab.route("**/*.js?*", late)
    async with desk.tab.expect_response("**/jobs/events"):
        await desk.tab.goto("/jobs")
    await desk.shows_what_begins_now()


@pytest.mark.parametrize("fails", [refuse, lose])
async def test_a_stream_that_was_refused_at_first_is_asked_for_again(desk: Desk, fails):
    await desk.tab.route("**/jobs/events", once(fails))
    async with desk.tab.expect_event("requestfailed" if fails is lose else "requestfinished", _is_stream):
        await desk.tab.goto("/jobs")
    async with desk.tab.expect_response("**/jobs/events"):
        await desk.tab.clock.fast_forward(6_000)
    await desk.shows_what_begins_now()
    assert await desk.tab.get_by_text("The server did not answer").count() == 0


async def test_one_stream_is_enough_however_late_it_is_answered(desk: Desk):
    asked = []

    async def slow(route: Route) -> None:
        asked.append(route.request.url)
        await desk.tab.clock.fast_forward(21_000)
        await route.continue_()

    await desk.tab.route("**/jobs/events", slow)
    async with desk.tab.expect_response("**/jobs/events"):
        await desk.tab.goto("/jobs")
    await desk.tab.clock.fast_forward(21_000)
    await desk.shows_what_begins_now()
    assert len(asked) == 1


async def test_page_without_a_stream_is_refreshed_and_does_not_move(desk: Desk):
    await desk.tab.route("**/jobs/events", lose)
    await desk.tab.goto("/jobs")
    await desk.tab.evaluate("window.kept = document.querySelector('#job-chatwoot_sync time')")
    cadence = desk.tab.get_by_label("Cadence of Sync")
    await cadence.focus()
    await desk.tab.evaluate(WATCHED)
    async with desk.tab.expect_response(lambda answer: answer.url.endswith("/jobs")):
        await desk.tab.clock.fast_forward(31_000)
    await expect(cadence).to_be_focused()
    assert await desk.tab.evaluate("window.kept.isConnected")
    assert [text for text in await desk.tab.evaluate("window.seen") if "UTC" in text] == []


async def test_page_that_cannot_be_refreshed_says_so_and_recovers(desk: Desk):
    await desk.tab.goto("/jobs")
    await expect(desk.tab.get_by_role("table", name="Schedules")).to_be_visible()
    warning = desk.tab.get_by_text("The server does not respond, so this page may be out of date.")
    for fails in (refuse, lose):
        await desk.tab.route("**/jobs", once(fails))
        await desk.tab.clock.fast_forward(31_000)
        await warning.wait_for()
        await expect(desk.tab.get_by_role("table", name="Schedules")).to_be_visible()
        await desk.tab.clock.fast_forward(31_000)
        await warning.wait_for(state="hidden")
    assert await desk.tab.locator(".toast").count() == 0


def _is_stream(request) -> bool:
    return request.url.endswith("/jobs/events")


WATCHED = """
    window.seen = [];
    new MutationObserver((changes) => {
      for (const change of changes) window.seen.push(change.target.textContent);
    }).observe(document.getElementById("live"), { childList: true, characterData: true, subtree: true });
"""
