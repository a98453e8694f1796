"""People in a browser never lose what they typed, act in the wrong project, or miss a failure."""

import asyncio
from functools import partial

import psycopg
import pytest
from playwright.async_api import Page, Route, expect

from proofdesk.database.pool import Database
from tests.support.browser import Visit
from tests.support.pages import HTML, submit_form
from tests.support.server import PASSWORD, Cast, Person

COMPOSER = "/outbound?compose=1"
TEXT = "Your refund is on its way."


@pytest.fixture
async def tab(cast: Cast, server: str, visit: Visit) -> Page:
    """A tab of the member, who has a second project."""
    made = await cast.member.client.post("/projects", json={"name": "Project C"})
    assert made.status_code == 200
    return await visit(server, cast.member.token, locale="en-GB")


async def write(tab: Page) -> None:
    """Open the form for a message and fill it in."""
    await tab.goto(COMPOSER)
    await tab.get_by_label("Channel").select_option("email")
    await tab.get_by_label("To", exact=True).fill("amina@example.com")
    await tab.get_by_label("Text", exact=True).fill(TEXT)


async def drafts(person: Person) -> list[str]:
    """Return the texts of the person's drafts."""
    listed = (await person.client.get("/outbound")).json()["outbound"]
    return [message["payload"]["text"] for message in listed]


async def fail(status: int, route: Route) -> None:
    """Answer as a proxy whose server is away, or not at all."""
    await (route.fulfill(status=status, body="<h1>Bad gateway</h1>") if status else route.abort())


async def open_project(person: Person, name: str) -> None:
    """Switch to a project, as another tab of the same session does."""
    visible = (await person.client.get("/projects")).json()["projects"]
    found = next(project["id"] for project in visible if project["name"] == name)
    assert (await person.client.post(f"/projects/{found}/select")).status_code == 200


async def test_a_form_acts_only_in_the_project_it_was_opened_in(tab: Page, cast: Cast):
    await write(tab)
    await open_project(cast.member, "Project C")
    await tab.get_by_role("button", name="Create draft").click()
    toast = tab.get_by_role("alert").filter(has_text="You switched to Project C. Go back to Project A?")
    await expect(toast).to_be_visible()
    await expect(tab.get_by_label("Text", exact=True)).to_have_value(TEXT)
    assert await drafts(cast.member) == []
    await toast.get_by_role("button", name="Go back to Project A").click()
    await expect(tab.get_by_text("You are back in Project A.")).to_be_visible()
    await tab.get_by_role("button", name="Create draft").click()
    await expect(tab.get_by_role("heading", name="To amina@example.com")).to_be_visible()
    assert await drafts(cast.member) == [TEXT]


async def test_a_page_that_polls_says_that_the_project_changed(tab: Page, cast: Cast):
    await tab.goto("/jobs")
    await open_project(cast.member, "Project C")
    await tab.get_by_role("button", name="Run sync").click()
    await expect(tab.get_by_text("You switched to Project C. Go back to Project A?")).to_be_visible()
    runs = await cast.member.client.get("/jobs/runs")
    assert runs.json()["total"] == 0


async def test_text_survives_reload_and_is_forgotten_when_sent(tab: Page, cast: Cast):
    await write(tab)
    tab.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    await tab.reload()
    await expect(tab.get_by_text("Restored what you typed here")).to_be_visible()
    await expect(tab.get_by_label("Text", exact=True)).to_have_value(TEXT)
    await expect(tab.get_by_label("Channel")).to_have_value("email")
    await tab.get_by_role("button", name="Create draft").click()
    await expect(tab.get_by_role("heading", name="To amina@example.com")).to_be_visible()
    await tab.goto(COMPOSER)
    await expect(tab.get_by_label("Text", exact=True)).to_have_value("")
    assert await tab.evaluate("Object.keys(localStorage).length") == 0


async def test_leaving_with_unsent_text_asks(tab: Page, cast: Cast):
    await write(tab)
    questions: list[str] = []

    async def stay(dialog) -> None:
        questions.append(dialog.message)
        await dialog.dismiss()

    tab.on("dialog", stay)
    await tab.get_by_role("link", name="Jobs", exact=True).click()
    await expect(tab.get_by_label("Text", exact=True)).to_have_value(TEXT)
    assert questions and "unsent text" in questions[0] and tab.url.endswith(COMPOSER)


async def test_text_typed_for_a_form_with_an_error_is_kept(tab: Page, cast: Cast):
    await write(tab)
    await tab.get_by_label("To", exact=True).fill("nobody at all")
    await tab.get_by_role("button", name="Create draft").click()
    await expect(tab.locator(".wrong")).to_be_visible()
    await expect(tab.get_by_label("Text", exact=True)).to_have_value(TEXT)


async def test_signing_in_on_the_page_continues_the_submission(tab: Page, cast: Cast, owner_conn: psycopg.Connection):
    await write(tab)
    owner_conn.execute("DELETE FROM sessions WHERE user_id = %s", [cast.member.id])
    await tab.get_by_label("Text", exact=True).press_sequentially("!")
    await expect(tab.get_by_text("Your session has ended. Your text stays on this page.")).to_be_visible()
    assert tab.url.endswith(COMPOSER)
    await tab.get_by_role("button", name="Create draft").click()
    await expect(tab.get_by_role("heading", name="Your session has ended")).to_be_visible()
    dialog = tab.get_by_role("dialog")
    await dialog.get_by_label("Password").fill("wrong")
    await dialog.get_by_role("button", name="Sign in").click()
    await expect(dialog.get_by_text("The username or the password is wrong.")).to_be_visible()
    await dialog.get_by_label("Password").fill(PASSWORD)
    await dialog.get_by_role("button", name="Sign in").click()
    await expect(tab.get_by_role("heading", name="To amina@example.com")).to_be_visible()
    await expect(tab.locator(".said").first).to_have_text(f"{TEXT}!")


async def test_a_new_session_of_the_same_person_takes_the_page_over(tab: Page, cast: Cast):
    await write(tab)
    login = {"username": "member", "password": PASSWORD}
    other = await tab.context.request.post("/v1/auth/login", data=login)
    assert other.status == 200
    await tab.get_by_role("button", name="Create draft").click()
    await expect(tab.get_by_role("heading", name="To amina@example.com")).to_be_visible()


async def test_failures_of_actions_are_shown(tab: Page, cast: Cast, owner_conn: psycopg.Connection):
    await tab.goto("/jobs")
    await tab.get_by_role("button", name="Run sync").click()
    await expect(tab.get_by_role("alert")).to_have_count(1)
    for status, text in ((502, "The server answered with status 502."), (0, "The server did not respond.")):
        await tab.route("**/jobs/embeddings/run", partial(fail, status))
        await tab.get_by_role("button", name="Run embeddings").click()
        await expect(tab.get_by_role("alert").filter(has_text=text)).to_be_visible()
        await tab.unroute("**/jobs/embeddings/run")
    await expect(tab.get_by_role("heading", name="Jobs")).to_be_visible()


async def test_a_double_click_acts_once(tab: Page, cast: Cast):
    await write(tab)
    requests: list[str] = []

    async def count(route: Route) -> None:
        if "preview=" not in (route.request.post_data or ""):
            requests.append(route.request.url)
        await route.continue_()

    await tab.route("**/outbound/draft", count)
    await tab.get_by_role("button", name="Create draft").dblclick()
    await expect(tab.get_by_text("Draft created.")).to_be_visible()
    assert len(requests) == 1


async def test_a_browser_without_scripts_shows_the_typed_text(cast: Cast, db: Database):
    named = str(cast.member.project_id)
    await cast.member.client.post("/projects", json={"name": "Project C"})
    await open_project(cast.member, "Project C")
    answer = await submit_form(cast.member, "/outbound/draft", project_id=named, text=TEXT, channel="email")
    assert answer.status_code == 409 and TEXT in answer.text
    assert "You switched to Project C. Go back to Project A?" in answer.text
    back = await submit_form(cast.member, "/projects/select", project_id=named)
    assert back.status_code == 303
    assert "Project A" in (await cast.member.client.get("/settings", headers=HTML)).text
