"""The pages of the runbooks: the cause first, then what was looked at, what to do, and the evidence."""

import io
import re
import zipfile

import psycopg
import pytest

from proofdesk.database.pool import Database
from proofdesk.http.web import layout
from proofdesk.runbooks import fixes, registry
from tests.support import stories
from tests.support.browser import Visit
from tests.support.pages import HTML, PART
from tests.support.server import Cast

NOTHING_FOUND = "/runbooks/search-returns-no-results"


async def run(person, slug: str, headers: dict[str, str] = HTML, **fields: str) -> str:
    body = {"csrf_token": person.csrf} | fields
    answer = await person.client.post(f"/runbooks/{slug}/run", data=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_the_list_tells_every_incident_by_its_symptom(cast: Cast):
    page = (await cast.member.client.get("/runbooks", headers=HTML)).text
    for runbook in registry.list_runbooks():
        assert f'href="/runbooks/{runbook.slug}"' in page and runbook.title in page
    assert page.count('class="incident light "') == len(registry.list_runbooks())
    assert 'href="/runbooks" aria-current="page"' in page


async def test_all_runbooks_run_at_once_and_each_has_a_light(told: Cast):
    response = await told.member.client.post("/runbooks/run", data={"csrf_token": told.member.csrf}, headers=PART)
    assert response.text.count('class="incident light ') == len(registry.list_runbooks())
    assert 'class="incident light bad"' in response.text and "problems found." in response.text
    assert "No worker is alive" in response.text
    results = (await told.member.client.post("/runbooks/run", headers={"accept": "application/json"})).json()["results"]
    assert [r["slug"] for r in results] == [r.slug for r in registry.list_runbooks()]


def test_ids_in_results_are_links():
    one = "0a1b2c3d-0000-4000-8000-0123456789ab"
    html = layout.link_ids(f"<b> message {one}; run {one}; cw:{one}:1:7; cwmsg:{one}:1:9; project {one}")
    assert html.startswith("&lt;b&gt;") and html.count("<a ") == 4
    for path in (f"/outbound/{one}", f"/jobs/runs/{one}", f"/conversations/cw:{one}:1:7/thread"):
        assert f'href="{path}"' in html
    assert f'href="/messages/cwmsg:{one}:1:9/thread"' in html


async def test_a_runbook_offers_its_checks_and_runs_nothing_before_it_is_asked(cast: Cast):
    page = (await cast.member.client.get(NOTHING_FOUND, headers=HTML)).text
    runbook = registry.get_runbook("search-returns-no-results")
    assert layout.format_code(runbook.symptom) in page and layout.format_code(runbook.impact) in page
    assert "Run checks" in page
    assert 'class="light' not in page and 'id="cause"' not in page


async def test_the_cause_comes_first_then_the_fixes_then_the_checks(cast: Cast):
    part = await run(cast.member, "search-returns-no-results", PART)
    assert "<html" not in part
    assert part.index('id="cause"') < part.index("Fixes") < part.index("Checks")
    runbook = registry.get_runbook("search-returns-no-results")
    assert part.count('class="light ') == len(runbook.checks)
    assert re.search(r'class="notice bad" role="alert" id="cause">.+?<p>[^<]{10,}</p>', part, re.S)
    assert 'class="light bad"' in part and "Expected: " in part
    assert f'href="{NOTHING_FOUND}/evidence"' in part and 'hx-boost="false"' in part
    whole = await run(cast.member, "search-returns-no-results")
    assert "<html" in whole and 'id="cause"' in whole


async def test_a_fix_is_a_form_of_the_product_or_leads_there_or_is_told(told: Cast, owner_conn: psycopg.Connection):
    part = await run(told.member, "search-returns-no-results", PART)
    assert 'action="/jobs/embeddings/run"' in part
    assert "<code>proofdesk worker</code>" in await run(told.member, "scheduler-worker-failing", PART)
    owner_conn.execute("UPDATE sessions SET active_project_id = NULL")
    nowhere = await run(told.member, "search-returns-no-results", PART)
    assert (
        f'href="/projects" aria-label="Open page: {fixes.SELECT_PROJECT.label}' in nowhere
        and 'action="/projects' not in nowhere
    )


async def test_no_button_leads_to_a_page_route_that_there_is_not(told: Cast):
    for runbook in registry.list_runbooks():
        part = await run(told.member, runbook.slug, PART)
        for action in re.findall(r'<form method="post" action="([^"]+)"', part):
            answer = await told.member.client.post(action, data={"csrf_token": "wrong"}, headers={"x-csrf-token": "no"})
            assert answer.status_code == 403, action
        for link in re.findall(r'class="button " href="(/[^"]*)" aria-label="Open page', part):
            assert (await told.member.client.get(link, headers=HTML)).status_code in (200, 303), link


async def test_the_checks_of_the_login_see_the_form_that_asks_for_them(cast: Cast):
    del cast.member.client.headers["x-csrf-token"]
    cast.member.client.cookies.set("csrf_token", cast.member.csrf)
    part = await run(cast.member, "auth-loop", PART)
    assert re.search(r'class="light good" id="check-csrf"', part)


async def test_a_message_can_be_named_and_is_kept(cast: Cast):
    nobodys = "00000000-0000-4000-8000-000000000001"
    page = (await cast.member.client.get(f"/runbooks/outbound-blocked?outbound_id={nobodys}", headers=HTML)).text
    assert f'name="outbound_id" type="text" value="{nobodys}"' in page
    part = await run(cast.member, "outbound-blocked", PART, outbound_id=nobodys)
    assert f"evidence?outbound_id={nobodys}" in part and 'class="notice bad"' in part
    wrong = await cast.member.client.get("/runbooks/outbound-blocked?outbound_id=7", headers=HTML)
    assert wrong.status_code == 400 and "is a UUID" in wrong.text
    assert 'name="outbound_id"' not in (await cast.member.client.get(NOTHING_FOUND, headers=HTML)).text


async def test_the_evidence_is_a_zip(cast: Cast):
    answer = await cast.member.client.get(f"{NOTHING_FOUND}/evidence", headers=HTML)
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
        assert any(name.endswith(".md") for name in bundle.namelist())


async def test_an_unknown_runbook_is_a_page_that_names_those_that_there_are(cast: Cast):
    answer = await cast.member.client.get("/runbooks/nonsense", headers=HTML)
    assert answer.status_code == 404 and "chatwoot-sync-fails" in answer.text


async def test_an_error_leads_to_its_runbook(cast: Cast, owner_conn: psycopg.Connection):
    owner_conn.execute("UPDATE sessions SET active_project_id = NULL")
    page = await cast.member.client.get("/conversations/cw:1:7:101/thread", headers=HTML)
    assert page.status_code == 409 and f'href="{NOTHING_FOUND}"' in page.text
    part = await cast.member.client.get("/conversations/cw:1:7:101/thread", headers=PART)
    assert f'href="{NOTHING_FOUND}"' in part.text
    assert "/runbooks/" not in (await cast.member.client.get("/nowhere", headers=HTML)).text


async def test_who_is_locked_out_learns_which_command_finds_the_cause(anyone):
    tries = [await anyone.post("/login", data={"username": "nobody", "password": "x"}) for _ in range(4)]
    assert "proofdesk doctor" not in tries[0].text
    assert tries[-1].status_code == 429 and "proofdesk doctor auth-loop" in tries[-1].text


async def test_in_a_browser_the_checks_appear_where_one_is(told: Cast, server: str, visit: Visit):
    tab = await visit(server, told.member.token)
    await tab.goto("/runbooks")
    await tab.get_by_role("link", name="Search returns no results").click()
    await tab.get_by_role("button", name="Run checks").click()
    await tab.locator("#cause").wait_for(timeout=30_000)
    assert tab.url.endswith(NOTHING_FOUND)
    async with tab.expect_download() as coming:
        await tab.get_by_role("link", name="Download evidence").click()
    assert (await coming.value).suggested_filename.endswith(".zip")


@pytest.fixture
async def told(cast: Cast, db: Database, owner_conn: psycopg.Connection) -> Cast:
    """The member's project has conversations, cut into chunks."""
    assert cast.member.project_id is not None
    stories.insert_conversations(owner_conn, cast.member.project_id)
    await stories.make_searchable(db, cast.member.project_id)
    return cast
