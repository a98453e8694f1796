"""The answer above the hits, its steps and its feedback; the register of asked questions."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from proofdesk.database.pool import Database
from proofdesk_simulators.openai import OpenAISimulator, create_app
from proofdesk_simulators.serving import running
from tests.support import stories
from tests.support.browser import Visit
from tests.support.pages import PART, get_page, submit_and_follow, submit_form
from tests.support.server import Cast, open_client, run_server

QUESTION = "When did Amina Okafor ask for a refund of the delivery?"


@pytest.fixture
async def answering(cast: Cast, db: Database, owner_conn: psycopg.Connection) -> Cast:
    assert cast.member.project_id is not None
    stories.insert_conversations(owner_conn, cast.member.project_id)
    await stories.make_searchable(db, cast.member.project_id)
    return cast


async def test_only_a_question_is_answered(answering: Cast):
    assert 'class="card answer"' in await get_page(answering.member, "/search?q=where+is+the+delivery%3F")
    for query in ("refund", "delivery late refund"):
        assert 'class="card answer"' not in await get_page(answering.member, f"/search?q={query.replace(' ', '+')}")


async def test_answer_is_streamed_with_its_steps(answering: Cast):
    member = answering.member
    headers = PART | {"x-csrf-token": member.csrf, "content-type": "application/x-www-form-urlencoded"}
    answer = await member.client.post("/answers?q=" + QUESTION.replace(" ", "+"), headers=headers, content=b"")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
    events = answer.text.strip().split("\n\n")
    assert "Searching the conversations" in events[0] and "Cancel answer" in events[0]
    assert "Useful" in events[-1] and "Cancel answer" not in events[-1]


async def test_question_without_scripts_gets_a_page_of_its_own(answering: Cast):
    page = await submit_and_follow(answering.member, "/answers?q=" + QUESTION.replace(" ", "+"))
    assert QUESTION in page and "Not useful" in page
    listed = await get_page(answering.member, "/answers")
    assert QUESTION in listed
    [path] = {part.split('"')[0] for part in listed.split('href="')[1:] if part.startswith("/answers/")}
    rated = await submit_form(answering.member, f"{path}/feedback", useful="no")
    assert rated.status_code == 303
    assert '<td data-label="Useful">No</td>' in await get_page(answering.member, "/answers")
    assert (await submit_form(answering.stranger, f"{path}/feedback", useful="no")).status_code == 404


async def test_questions_without_an_answer_are_listed(answering: Cast):
    await submit_form(answering.member, "/answers?q=Who+approved+the+xylophone%3F")
    assert "xylophone" in await get_page(answering.member, "/answers?status=abstained")
    assert "xylophone" not in await get_page(answering.member, "/answers?status=answered")


async def test_a_person_asks_and_rates_the_answer(answering: Cast, server: str, visit: Visit):
    page = await visit(server, answering.member.token, silent=True, viewport={"width": 390, "height": 844})
    await page.goto("/search")
    await page.get_by_label("Search query").fill("Who approved the xylophone?")
    await page.keyboard.press("Enter")
    await page.get_by_text("The conversations do not say.").wait_for()
    await page.get_by_role("button", name="Not useful").click()
    await page.get_by_text("Thank you.").wait_for()
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert "Not useful" in await page.locator(".feedback [aria-pressed=true]").inner_text()


@pytest.fixture(scope="module")
def chat_server() -> Iterator[tuple[OpenAISimulator, str]]:
    simulator = OpenAISimulator()
    with running(create_app(simulator)) as address:
        yield simulator, address


async def test_model_fails_and_is_cancelled(
    answering: Cast,
    chat_server: tuple[OpenAISimulator, str],
    database_url: str,
    owner_conn: psycopg.Connection,
    visit: Visit,
    tmp_path: Path,
):
    simulator, address = chat_server
    member = answering.member
    model = {"ANSWER_MODEL": "test-model", "ANSWER_BASE_URL": f"{address}/v1", "ANSWER_API_KEY": "key"}
    with run_server(database_url, tmp_path / "log", **model) as url:
        async with open_client(url, cookies={"sid": member.token}, headers={"x-csrf-token": member.csrf}) as client:
            simulator.chat.refusal = "rate_limit"
            refused = await client.post("/answers", json={"question": QUESTION})
            assert (refused.status_code, refused.json()["error"]) == (502, "answer_model_failed")
            owner_conn.execute("UPDATE answers SET tokens = 1000000000 WHERE project_id = %s", [member.project_id])
            refused = await client.post("/answers", json={"question": QUESTION})
            assert (refused.status_code, refused.json()["error"]) == (429, "answer_budget_exceeded")
            assert int(refused.headers["retry-after"]) > 0
        owner_conn.execute("DELETE FROM answers WHERE project_id = %s", [member.project_id])
        simulator.chat.refusal, simulator.chat.lie = None, "silent"
        page = await visit(url, member.token)
        await page.goto("/search?q=" + QUESTION.replace(" ", "+"))
        await page.get_by_text("Asking test-model").wait_for()
        await page.get_by_role("button", name="Cancel answer").click()
        assert await page.locator(".answer").count() == 0
        async with asyncio.timeout(10):
            while not owner_conn.execute("SELECT 1 FROM answers WHERE status = 'failed'").fetchone():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    error = owner_conn.execute("SELECT error FROM answers WHERE project_id = %s", [member.project_id]).fetchone()
    assert error == ("The question was cancelled.",)
