"""Projects on their page: what they read, by the names that Chatwoot gives it, bound, let go and put away there."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from playwright.async_api import Page

from proofdesk.chatwoot import available_sources
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.database.pool import Database
from proofdesk_simulators import chatwoot
from proofdesk_simulators.serving import running
from tests.support import stories
from tests.support.browser import Visit
from tests.support.pages import HTML, PART, get_page, submit_and_follow, submit_form
from tests.support.server import Cast, Person, create_person, run_server


def sources_of(person: Person) -> str:
    """Return the path of the sources of the project."""
    return f"/projects/{person.project_id}/sources"


async def test_sources_are_bound_and_let_go_by_forms(cast: Cast):
    here = sources_of(cast.member)
    page = await submit_and_follow(cast.member, here, external_id="7:2")
    source = re.search(r'name="source_id" value="([^"]+)"', page)
    assert source and "The next sync imports it" in page
    taken = await submit_form(cast.stranger, sources_of(cast.stranger), external_id="7")
    assert taken.status_code == 409 and "Another project has bound" in taken.text
    gone = await submit_form(cast.stranger, f"{sources_of(cast.stranger)}/unbind", source_id=source[1])
    assert gone.status_code == 404
    for path, fields in ((here, {"external_id": "8"}), (f"{here}/unbind", {"source_id": source[1]})):
        assert (await submit_form(cast.stranger, path, **fields)).status_code == 404
    page = await submit_and_follow(cast.member, f"{here}/unbind", source_id=source[1])
    assert "The import has stopped. What was imported stays" in page
    for wrong in ("7:", "x", ""):
        refused = await submit_form(cast.member, here, external_id=wrong)
        assert refused.status_code == 400 and 'role="alert"' in refused.text
    assert "Bind source" not in await get_page(cast.member)


async def test_a_project_shows_what_it_holds_and_why_chatwoot_lists_nothing(
    cast: Cast, owner_conn: psycopg.Connection, db: Database
):
    member = cast.member
    assert member.project_id is not None
    stories.insert_conversations(owner_conn, member.project_id)
    await submit_form(member, sources_of(member), external_id=f"{stories.ACCOUNT}:2")
    assert sources_of(member) in await get_page(member, "/projects")
    part = (await member.client.get(sources_of(member), headers=PART)).text
    assert "<html" not in part and "Support mail" in part and re.search(r"Contacts</dt><dd>2<", part)
    assert "Chatwoot is not configured: set CHATWOOT_BASE_URL" in part and 'placeholder="1 or 1:5"' in part
    assert "Support mail" in await get_page(member, sources_of(member))
    for path in (sources_of(member), f"{sources_of(member)}?x=1"):
        assert (await cast.stranger.client.get(path, headers=PART)).status_code == 404


async def test_a_project_is_put_away_by_whoever_keeps_it(cast: Cast):
    member, project = cast.member, cast.member.project_id
    await member.client.put(f"/projects/{project}/members/stranger", json={"role": "member"})
    assert "Archive Project A" in await get_page(member, sources_of(member))
    assert "Archive Project A" not in await get_page(cast.stranger, sources_of(member))
    assert (await submit_form(cast.stranger, f"/projects/{project}/archive")).status_code == 403
    page = await submit_and_follow(member, f"/projects/{project}/archive")
    assert "Project archived" in page and "Project A" not in page
    assert (await member.client.get(sources_of(member), headers=HTML)).status_code == 404


@pytest.fixture
async def tab(
    db: Database, database_url: str, owner_conn: psycopg.Connection, tmp_path: Path, visit: Visit
) -> AsyncIterator[Page]:
    """A tab of somebody with a project, on a server that knows a Chatwoot."""
    simulator = chatwoot.build("studio")
    with running(chatwoot.create_app(simulator)) as chatwoot_url:
        known = {"CHATWOOT_BASE_URL": chatwoot_url, "CHATWOOT_API_TOKEN": simulator.admin_token}
        with run_server(database_url, tmp_path / "server.log", EMBEDDING_PROVIDER="local", **known) as url:
            person = create_person(url, owner_conn, "amina")
            person.project_id = (await person.client.post("/projects", json={"name": "Studio"})).json()["project"]["id"]
            yield await visit(url, person.token)
            await person.client.aclose()
    simulator.close()


async def test_inboxes_are_chosen_by_the_names_of_chatwoot_and_the_page_stays(tab: Page):
    await tab.goto("/projects")
    await tab.evaluate("window.kept = true")
    choice = tab.get_by_label("Account or inbox")
    await choice.wait_for()
    offered = await choice.locator("option").all_text_contents()
    assert len(offered) > 1 and offered[0].endswith(": all inboxes")
    name = offered[1].rpartition(": ")[2]
    await choice.select_option(label=offered[1])
    await tab.get_by_role("button", name="Bind source", exact=True).click()
    await tab.get_by_role("status").filter(has_text="The next sync imports it").wait_for()
    listed = tab.get_by_role("list", name="Sources of Studio")
    assert name in await listed.inner_text()
    await tab.get_by_role("button", name=f"Unbind {name}").click()
    await tab.get_by_role("dialog", name=f"Unbind {name}?").get_by_role("button", name="Unbind", exact=True).click()
    await tab.get_by_role("status").filter(has_text="The import has stopped").wait_for()
    assert "No sources yet. Bind a source to import its conversations." in await listed.inner_text()
    assert await tab.evaluate("window.kept")


async def test_names_are_asked_for_once_and_what_is_in_the_way_is_told():
    simulator = chatwoot.build("studio")
    with running(chatwoot.create_app(simulator)) as url:
        client, away = ChatwootClient(url, simulator.admin_token), ChatwootClient(url, simulator.admin_token)
        found = await available_sources.load_available_sources(client)
        assert found.problem == "" and found.accounts and found.inboxes
    assert await available_sources.load_available_sources(client) is found, "kept while the server is gone"
    nothing = await available_sources.load_available_sources(away)
    assert nothing.problem and not nothing.accounts
    for one in (client, away):
        await one.aclose()
    simulator.close()
