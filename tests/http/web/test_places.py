"""The pages that show how a project does, and what was read: the overview, projects, conversations, contacts."""

import re

import psycopg
import pytest

from proofdesk.database.pool import Database
from tests.support import stories
from tests.support.pages import HTML, PART
from tests.support.server import Cast


@pytest.fixture
async def told(cast: Cast, db: Database, owner_conn: psycopg.Connection) -> Cast:
    """The member's project has conversations, cut into chunks."""
    assert cast.member.project_id is not None
    stories.insert_conversations(owner_conn, cast.member.project_id)
    await stories.make_searchable(db, cast.member.project_id)
    return cast


async def seen(person, path: str, **headers: str) -> str:
    answer = await person.client.get(path, headers=HTML | headers)
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_the_overview_tells_what_there_is_and_how_fresh_it_is(told: Cast, owner_conn: psycopg.Connection):
    owner_conn.execute("UPDATE cw_messages SET created_at = now()")
    page = await seen(told.member, "/")
    assert "Not synced yet" in page and ">stale<" in page and "No worker is running" in page
    assert re.search(r"Messages</dt><dd>9<", page) and "No failed runs." in page
    assert page.count('data-value="') == 60 and '<td class="number" data-value="4">4</td>' in page
    assert told.member.project_id is not None
    both = [told.member.project_id, stories.account_scope_id(owner_conn, told.member.project_id)]
    owner_conn.execute(
        "INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger, status, finished_at, error)"
        " VALUES (%s, %s, 'chatwoot_sync', 'manual', 'ok', now(), NULL),"
        " (%s, %s, 'embeddings_run', 'manual', 'failed', now(), 'The key is <refused>.')",
        [*both, *both],
    )
    page = await seen(told.member, "/")
    assert ">fresh<" in page and "The key is &lt;refused&gt;." in page


async def test_an_empty_project_says_what_to_do(cast: Cast):
    page = await seen(cast.member, "/")
    assert "This project is empty" in page and 'action="/jobs/chatwoot/sync"' in page
    for path in ("/conversations", "/contacts"):
        assert "appear here after the first sync." in await seen(cast.member, path)


async def test_conversations_are_filtered_and_lead_to_their_thread(told: Cast):
    page = await seen(told.member, "/conversations")
    assert page.index("Luis Marin") < page.index("Amina Okafor") and "1 to 2" in page
    resolved = await seen(told.member, "/conversations?status=resolved&inbox_id=2")
    assert "Luis Marin" in resolved and "Amina" not in resolved
    assert "No matching conversations." in await seen(told.member, "/conversations?status=snoozed")
    for nonsense in ("inbox_id=x&status=y&page=z", "inbox_id=99999999999999999999", "page=-1"):
        assert "Luis Marin" in await seen(told.member, f"/conversations?{nonsense}")
    link = re.search(r'row-link" href="([^"]+)"', page)
    assert link and "I cannot log in" in await seen(told.member, link[1])
    assert "Luis" not in await seen(told.stranger, "/conversations")


async def test_lists_are_turned_page_by_page(told: Cast, owner_conn: psycopg.Connection):
    project = told.member.project_id
    assert project is not None
    for number in range(300, 352):
        story = [stories.StoryMessage("contact", f"Person {number}", "Hello there.")]
        stories._conversation(owner_conn, project, number, 1, number, "open", [], story)
    for path in ("/conversations", "/contacts"):
        first = await seen(told.member, path)
        older = re.search(r'href="([^"]+)" rel="next"', first)
        assert older and first.count("row-link") == 50
        second = await seen(told.member, older[1])
        assert second.count("row-link") == 4 and "51 to 54" in second and 'rel="prev"' in second


async def test_contacts_are_found_and_shown_with_their_conversations(told: Cast):
    found = await seen(told.member, "/contacts?q=amina", **PART)
    assert "<html" not in found and "Amina Okafor" in found and "Luis" not in found
    assert "No matching contacts." in await seen(told.member, "/contacts?q=%25")
    contact = f"/contacts/cwc:{told.member.project_id}:{stories.ACCOUNT}:11"
    page = await seen(told.member, contact)
    assert "amina@example.com" in page and "#101" in page and "#102" not in page
    assert (await told.stranger.client.get(contact, headers=HTML)).status_code == 404
    for nothing in ("cwc:x", f"cwc:{told.member.project_id}:7:999"):
        assert (await told.member.client.get(f"/contacts/{nothing}", headers=HTML)).status_code in (400, 404)
