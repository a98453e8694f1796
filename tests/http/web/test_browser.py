"""A person with a browser: sign in, search, read the thread."""

import psycopg

from proofdesk.accounts import accounts
from proofdesk.audit.events import system_actor
from proofdesk.database.pool import Database
from proofdesk.jobs import new_projects
from tests.support import stories
from tests.support.browser import Visit


async def test_a_person_signs_in_searches_and_reads_the_thread(
    server: str, db: Database, owner_conn: psycopg.Connection, visit: Visit
):
    await accounts.create(db, "amina", "long enough pw")
    made = await new_projects.create(db, system_actor(), "Studio")
    owner_conn.execute("INSERT INTO project_members SELECT %s, %s, id FROM app_users", [made.id, made.account_scope_id])
    stories.insert_conversations(owner_conn, made.id)
    await stories.make_searchable(db, made.id)

    page = await visit(server, silent=True)
    await page.goto("/search")
    await page.get_by_label("Username").fill("amina")
    await page.get_by_label("Password").fill("long enough pw")
    await page.get_by_role("button", name="Sign in").click()

    await page.get_by_label("Exact words").check()
    await page.get_by_label("Search query").fill("refund")
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
