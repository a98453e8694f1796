"""Evidence in the audit trail, opened where it is cited."""

import re

import psycopg
import pytest
from playwright.async_api import Page, expect

from tests.support import stories
from tests.support.browser import Visit
from tests.support.server import Cast


@pytest.fixture
async def tab(cast: Cast, owner_conn: psycopg.Connection, server: str, visit: Visit) -> Page:
    """The trail of a project in which a message was drafted on two pieces of evidence."""
    member = cast.member
    assert member.project_id is not None
    stories.insert_conversations(owner_conn, member.project_id)
    # A conversation so long that what is cited would be out of sight.
    story = [stories.StoryMessage("contact", "Amina", f"Line {n}. " + "And so on. " * 20) for n in range(40)]
    stories._conversation(owner_conn, member.project_id, 500, 1, 500, "open", [], story)
    cited = owner_conn.execute(
        "SELECT message_id FROM cw_messages WHERE conversation_id = 500 AND content LIKE 'Line 20.%'"
    ).fetchone()
    assert cited is not None
    refs = [f"cwmsg:{member.project_id}:{stories.ACCOUNT}:{number}" for number in (cited[0], 10105)]
    draft = {
        "channel": "email", "recipient_ref": "amina@example.com", "payload": {"subject": "Hello", "text": "Hello"},
        "idempotency_key": "one", "evidence_refs": [{"source": "cw_messages", "ref": ref} for ref in refs],
    }  # fmt: skip
    assert (await member.client.post("/outbound/draft", json=draft)).status_code == 201
    return await visit(server, member.token, silent=True)


async def test_evidence_is_opened_in_place_by_keys_and_closed_again(tab: Page):
    asked = []
    tab.on("request", lambda request: asked.append(request.url) if "/thread" in request.url else None)
    await tab.goto("/audit?action=outbound.*")
    await tab.evaluate("window.kept = true")
    event = tab.locator(".event").filter(has_text="outbound.draft")
    first, second = await event.get_by_text("Show in conversation").all()
    await first.focus()
    await tab.keyboard.press("Enter")
    around = event.get_by_role("region").first
    cited = around.locator(".cited")
    await expect(cited).to_contain_text("Line 20.")
    await expect(cited).to_be_in_viewport()
    assert await around.locator(".line").count() > 10
    await expect(first).to_be_focused()
    await tab.keyboard.press("Enter")
    await expect(around).not_to_be_visible()
    await tab.keyboard.press("Enter")
    await expect(cited).to_be_in_viewport()
    await second.click()
    await expect(event.locator(".cited")).to_have_count(2)
    assert await tab.evaluate("window.kept") and len(asked) == 2
    assert re.search(r"/audit\?action=outbound\.\*$", tab.url)


async def test_without_scripts_evidence_is_a_link_to_its_conversation(tab: Page, cast: Cast):
    page = (await cast.member.client.get("/audit?action=outbound.*", headers={"accept": "text/html"})).text
    link = re.search(r'<a href="(/messages/[^"]+/thread)">Open the conversation</a>', page)
    assert link
    there = await cast.member.client.get(link[1], headers={"accept": "text/html"})
    assert there.status_code == 200 and "Line 20." in there.text
