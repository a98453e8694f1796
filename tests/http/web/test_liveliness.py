"""What pages do with scripts: no page is loaded anew, what cannot be undone asks first, toasts tell what was done."""

import re

import psycopg
import pytest
from playwright.async_api import Page, expect

from proofdesk.database.pool import Database
from tests.support import stories
from tests.support.browser import Visit
from tests.support.server import Cast


@pytest.fixture
async def tab(cast: Cast, db: Database, owner_conn: psycopg.Connection, server: str, visit: Visit) -> Page:
    """Return a tab of a member in Berlin, with conversations in their project. Console errors fail the test."""
    assert cast.member.project_id is not None
    stories.insert_conversations(owner_conn, cast.member.project_id)
    await stories.make_searchable(db, cast.member.project_id)
    return await visit(server, cast.member.token, silent=True, timezone_id="Europe/Berlin", locale="en-GB")


async def test_going_about_loads_no_page_anew(tab):
    await tab.goto("/")
    await tab.evaluate("window.kept = true")
    for place in ("Conversations", "Contacts", "Audit", "Projects", "Settings", "Search"):
        await tab.get_by_role("navigation", name="Pages").first.get_by_role("link", name=place, exact=True).click()
        await expect(tab).to_have_title(re.compile(f"^{place} "))
        assert await tab.evaluate("document.activeElement.id") in ("main", "q")
    await tab.go_back()
    await expect(tab).to_have_title(re.compile("^Settings "))
    assert await tab.evaluate("window.kept")


async def test_irreversible_action_asks_first_and_a_toast_confirms_it(tab, cast: Cast):
    member = cast.member
    await member.client.put(f"/projects/{member.project_id}/members/stranger", json={"role": "member"})
    await tab.goto("/settings")
    opener = tab.get_by_role("button", name="Remove stranger")
    await opener.click()
    dialog = tab.get_by_role("dialog", name="Remove stranger?")
    assert await dialog.get_by_role("button", name="Cancel").evaluate("it => it === document.activeElement")
    await tab.keyboard.press("Escape")
    await dialog.wait_for(state="hidden")
    await opener.click()
    await dialog.get_by_role("button", name="Remove member", exact=True).click()
    await tab.get_by_role("status").filter(has_text="Member removed").wait_for()
    assert await opener.count() == 0


async def test_a_button_answers_with_a_toast_and_the_page_stays(tab):
    await tab.goto("/")
    await tab.evaluate("window.kept = true")
    await tab.get_by_role("button", name="Run sync").click()
    await tab.get_by_role("status").filter(has_text="Sync started.").wait_for()
    assert await tab.evaluate("window.kept")


async def test_times_are_those_of_the_reader_with_the_exact_one_on_hover(tab):
    await tab.goto("/search?q=refund&mode=text")
    time = tab.locator(".hit time").first
    assert "2026" in await time.inner_text() and "UTC" not in await time.inner_text()
    assert "CET" in (await time.get_attribute("title") or "") or "GMT+1" in (await time.get_attribute("title") or "")


async def test_days_are_plotted_from_the_table_that_stays_for_others(tab):
    await tab.goto("/", wait_until="networkidle")
    await tab.locator(".plot canvas").wait_for()
    assert await tab.get_by_role("table", name="Messages per day").get_by_role("row").count() == 31


async def test_on_a_phone_the_menu_opens_and_the_thread_fills_the_screen(tab):
    await tab.set_viewport_size({"width": 390, "height": 844})
    await tab.goto("/search?q=refund&mode=text")
    places = tab.get_by_role("link", name="Conversations")
    assert not await places.is_visible()
    await tab.get_by_role("button", name="Menu").click()
    assert await places.is_visible()
    await tab.keyboard.press("Escape")
    assert not await places.is_visible()
    await tab.locator(".hit-open").first.click()
    await tab.locator("#beside #cited").wait_for()
    assert (await tab.locator("#beside").bounding_box())["width"] == 390
    await tab.get_by_role("link", name="Close conversation").click()
    assert not await tab.locator("#beside").is_visible()
