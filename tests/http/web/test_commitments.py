"""The page of commitments: what it lists, and what a person decides there with forms and keys."""

from datetime import date, timedelta

import psycopg
import pytest
from playwright.async_api import expect

from proofdesk.audit.events import system_actor
from proofdesk.commitments import extraction_job
from proofdesk.database.pool import Database
from proofdesk.projects import scope
from tests.support import stories
from tests.support.audit_events import list_actions
from tests.support.browser import Visit
from tests.support.pages import PART, get_page, submit_form
from tests.support.server import Cast

PROMISE = "We will send the oak samples on 4 March."


@pytest.fixture
async def promised(cast: Cast, db: Database, owner_conn: psycopg.Connection) -> Cast:
    """A project in which the business promised oak samples long ago."""
    project = cast.member.project_id
    assert project is not None
    stories.insert_conversations(owner_conn, project)
    owner_conn.execute(
        "UPDATE cw_messages SET content = %s, updated_at = now() WHERE project_id = %s AND message_id = 10104",
        (PROMISE, project),
    )
    await extraction_job.run(db, await scope.enter(db, system_actor(), project), "UTC")
    return cast


async def only_commitment(cast: Cast) -> dict[str, object]:
    listed = (await cast.member.client.get("/commitments")).json()
    [commitment] = [row for row in listed["commitments"] if row["quote"].startswith("We will send the oak")]
    return commitment


async def test_overdue_commitment_is_listed_with_its_words(promised: Cast):
    page = await get_page(promised.member, "/commitments?show=overdue&owner=us&language=english")
    assert PROMISE.rstrip(".") in page and "overdue" in page
    commitment = await only_commitment(promised)
    assert f"/commitments?contact={commitment['contact_global_id']}" not in page
    by_contact = await get_page(promised.member, f"/commitments?contact={commitment['contact_global_id']}")
    assert PROMISE.rstrip(".") in by_contact
    for empty in ("show=kept", "owner=contact&show=overdue", "by=Nobody", "language=german"):
        assert PROMISE.rstrip(".") not in await get_page(promised.member, f"/commitments?{empty}")


async def test_forms_decide_and_are_audited(promised: Cast, owner_conn: psycopg.Connection):
    commitment = await only_commitment(promised)
    tomorrow = (date.today() + timedelta(days=1)).isoformat()
    path = f"/commitments/{commitment['id']}"
    assert (await submit_form(promised.member, path, what="Samples", due=tomorrow, state="open")).status_code == 303
    edited = await only_commitment(promised)
    assert (edited["what"], edited["due"], edited["overdue"]) == ("Samples", tomorrow, False)
    assert (await submit_form(promised.member, path, state="withdrawn", reason="They changed their mind")).is_redirect
    assert "They changed their mind" in await get_page(promised.member, "/commitments?show=withdrawn")
    assert list_actions(owner_conn, "commitment").count("commitment.changed") == 2
    assert (await submit_form(promised.stranger, path, state="kept")).status_code == 404


async def test_invalid_change_is_explained_in_place(promised: Cast):
    commitment = await only_commitment(promised)
    headers = PART | {"x-csrf-token": promised.member.csrf}
    fields = {"due": "soon", "csrf_token": promised.member.csrf}
    answer = await promised.member.client.post(f"/commitments/{commitment['id']}", data=fields, headers=headers)
    assert answer.status_code == 204 and "must be a day" in answer.headers["hx-trigger"]


async def test_keys_move_and_decide(promised: Cast, server: str, visit: Visit):
    page = await visit(server, promised.member.token)
    await page.goto("/commitments?show=overdue")
    await page.keyboard.press("j")
    row = page.locator(".commitment").first
    await expect(row).to_be_focused()
    await page.keyboard.press("e")
    await page.get_by_label("What").fill("Send the samples")
    await page.get_by_role("button", name="Save commitment").click()
    await expect(row.locator("b").first).to_have_text("Send the samples")
    await expect(row).to_be_focused()
    await page.keyboard.press("m")
    await expect(row.locator(".badge").first).to_have_text("Kept")


async def test_commitment_is_cited_by_a_reminder(promised: Cast, owner_conn: psycopg.Connection):
    commitment = await only_commitment(promised)
    ref = f"commitment:{commitment['id']}"
    composer = await get_page(promised.member, f"/outbound?compose=1&evidence={ref}")
    assert str(commitment["quote"]) in composer
    draft = {
        "channel": "chatwoot",
        "recipient_ref": commitment["conversation_global_id"],
        "payload": {"text": "The samples are on their way."},
        "idempotency_key": "remind",
        "evidence_refs": [{"source": "commitments", "ref": ref}],
    }
    created = await promised.member.client.post("/outbound/draft", json=draft)
    assert created.status_code == 201
    assert f'href="/commitments/{commitment["id"]}"' in await get_page(
        promised.member, f"/outbound/{created.json()['outbound']['id']}"
    )
    for wrong in ("commitment:nonsense", f"commitment:{promised.member.project_id}"):
        refs = [{"source": "commitments", "ref": wrong}]
        answer = await promised.member.client.post(
            "/outbound/draft", json=draft | {"evidence_refs": refs, "idempotency_key": wrong}
        )
        assert answer.json()["error"] == "invalid_evidence_ref"


async def test_contact_conversation_and_overview_show_it(promised: Cast):
    commitment = await only_commitment(promised)
    contact, conversation = commitment["contact_global_id"], commitment["conversation_global_id"]
    for path in (f"/contacts/{contact}", f"/conversations/{conversation}/thread", f"/commitments/{commitment['id']}"):
        assert f'id="commitment-{commitment["id"]}"' in await get_page(promised.member, path)
    assert "1 overdue" in await get_page(promised.member, "/")


async def test_time_zone_is_set_on_the_settings_page(promised: Cast):
    path = "/settings/project/timezone"
    assert (await submit_form(promised.member, path, timezone="Asia/Tokyo")).status_code == 303
    assert '<option value="Asia/Tokyo" selected>' in await get_page(promised.member)
    assert "is not a time zone" in (await submit_form(promised.member, path, timezone="Mars/Olympus")).text
