"""Every page as a person meets it: light enough, and without a barrier that axe knows, in both themes."""

from pathlib import Path

import psycopg
import pytest
from playwright.async_api import Page

from proofdesk.database.pool import Database
from tests.http.web.places import PAGES, Look
from tests.support import stories
from tests.support.browser import Visit
from tests.support.open_incidents import insert_incident
from tests.support.server import Cast

AXE = (Path(__file__).parents[3] / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")
FINDINGS = """async () => (await axe.run({resultTypes: ["violations"]})).violations
    .filter((found) => ["serious", "critical"].includes(found.impact))
    .map((found) => found.id + ": " + found.nodes.map((node) => `${node.target} ${node.failureSummary}`).join("; "))"""
PLOTS_ARE_DRAWN = "[...document.querySelectorAll('[data-plot]')].every((plot) => plot.querySelector('canvas'))"


@pytest.fixture
async def tab(cast: Cast, db: Database, owner_conn: psycopg.Connection, server: str, visit: Visit) -> Page:
    """A tab of the owner, whose project has conversations and a draft; its cache is empty."""
    project = cast.member.project_id
    assert project is not None
    stories.insert_conversations(owner_conn, project)
    await stories.make_searchable(db, project)
    insert_incident(owner_conn, project)
    insert_incident(owner_conn, None, "closed")
    await cast.owner.client.post(f"/projects/{project}/select")
    await cast.owner.client.post(
        "/outbound/draft",
        json={
            "channel": "email",
            "recipient_ref": "amina@example.com",
            "payload": {"text": "Your refund is on its way."},
            "idempotency_key": "one",
            "evidence_refs": [{"source": "cw_messages", "ref": f"cwmsg:{project}:{stories.ACCOUNT}:10103"}],
        },
    )
    # Axe is put into the page past its policy; the pages themselves are held to it in test_pages.
    return await visit(server, cast.owner.token, bypass_csp=True, reduced_motion="reduce")


@pytest.mark.parametrize("look", PAGES, ids=lambda look: look.name)
async def test_a_page_is_light_and_open_to_everybody(tab: Page, look: Look):
    if not look.signed_in:
        await tab.context.clear_cookies()
    transferred = await _weighed(tab)
    await tab.goto(look.path, wait_until="load")
    # The network is never idle where changes are followed: wait for what is fetched late, fonts and plots.
    await tab.evaluate("async () => { await document.fonts.ready }")
    await tab.wait_for_function(PLOTS_ARE_DRAWN)
    assert 5_000 < sum(transferred) <= look.heaviest
    if look.click:
        await tab.locator(look.click).first.click()
        await tab.locator(".line, .facts, .lights").first.wait_for()
    await tab.evaluate(AXE)
    for theme in ("light", "dark"):
        await tab.emulate_media(color_scheme=theme)
        assert await tab.evaluate(FINDINGS) == [], theme
    await tab.set_viewport_size({"width": 390, "height": 844})
    assert await tab.evaluate("document.documentElement.scrollWidth") <= 390


async def _weighed(tab) -> list[int]:
    """The bytes of each answer, as they come over the wire."""
    session, transferred = await tab.context.new_cdp_session(tab), []
    session.on("Network.loadingFinished", lambda event: transferred.append(int(event["encodedDataLength"])))
    await session.send("Network.enable")
    await session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    return transferred
