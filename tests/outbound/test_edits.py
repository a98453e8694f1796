"""Edits of messages that were not sent: what they change, what they keep, and when they are refused."""

from typing import Any
from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from proofdesk.audit.events import Actor
from proofdesk.database.pool import Database
from proofdesk.outbound import approval, edits
from proofdesk.outbound.approval import FourEyesRequired
from proofdesk.projects import scope
from proofdesk.projects.scope import Scope
from tests.support.browser import Visit
from tests.support.outbound_requests import draft, draft_and_approve
from tests.support.pages import get_page, submit_form
from tests.support.server import Cast, Person


async def change(person: Person, message: dict[str, Any], status: int = 200, **body: Any) -> dict[str, Any]:
    """Edit a message and return the answer."""
    answer = await person.client.patch(f"/outbound/{message['id']}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_an_edit_keeps_what_it_replaced(cast: Cast):
    made = await draft(cast.member)
    edited = (await change(cast.member, made, payload={"text": "Hello again"}))["outbound"]
    assert (edited["status"], edited["payload"]) == ("draft", {"text": "Hello again"})
    assert edited["content_hash"] != made["content_hash"] and edited["recipient_ref"] == "42"
    await change(cast.member, made, recipient_ref="43", scheduled_at="2100-01-01T10:00Z")
    details = (await cast.member.client.get(f"/outbound/{made['id']}")).json()
    assert [(v["number"], v["payload"]["text"], v["recipient_ref"]) for v in details["versions"]] == [
        (1, "Hello", "42"), (2, "Hello again", "42"),
    ]  # fmt: skip
    assert details["outbound"]["scheduled_at"] == "2100-01-01T10:00:00Z"
    events = [e for e in details["history"] if e["action"] == "outbound.edit"]
    assert [e["payload"]["changed"] for e in events] == [["payload"], ["recipient_ref", "scheduled_at"]]
    assert events[0]["payload"]["previous_hash"] == made["content_hash"]
    assert "Hello" not in str(events)


@pytest.mark.parametrize("body", [{"payload": {"text": "Other"}}, {"scheduled_at": "2100-01-01T10:00Z"}])
async def test_an_approved_message_becomes_a_draft_again(cast: Cast, body: dict[str, Any]):
    made = await draft_and_approve(cast.member)
    edited = (await change(cast.member, made, **body))["outbound"]
    assert (edited["status"], edited["approved_by"], edited["next_attempt_at"]) == ("draft", None, None)
    same = await draft_and_approve(cast.member, "same")
    assert (await change(cast.member, same, payload={"text": "Hello"}))["outbound"]["status"] == "approved"


async def test_what_cannot_be_edited_stays_as_it_is(cast: Cast):
    made = await draft(cast.member)
    for body, code in (
        ({}, "invalid_request"),
        ({"payload": {"text": ""}}, "invalid_payload"),
        ({"recipient_ref": "somebody"}, "invalid_recipient_ref"),
        ({"recipient_ref": None}, "invalid_recipient_ref"),
        ({"evidence_refs": [{"source": "cw_messages", "ref": "cwmsg:x:1:1"}]}, "invalid_evidence_ref"),
        ({"scheduled_at": "tomorrow"}, "invalid_request"),
    ):
        assert (await change(cast.member, made, 400, **body))["error"] == code, body
    read = made["content_hash"]
    await change(cast.member, made, payload={"text": "First"}, content_hash=read)
    second = await change(cast.member, made, 409, payload={"text": "Second"}, content_hash=read)
    assert second["error"] == "outbound_edited" and second["message"].startswith("member edited this message")
    await cast.member.client.post(f"/outbound/{made['id']}/cancel")
    refused = await change(cast.member, made, 409, payload={"text": "Late"})
    assert refused["error"] == "outbound_invalid_state"
    assert (await change(cast.stranger, made, 404, payload={"text": "Late"}))["error"] == "outbound_not_found"


async def test_who_edited_last_does_not_approve_under_four_eyes(cast: Cast, db: Database):
    await cast.owner.client.post(f"/projects/{cast.member.project_id}/select")
    made = await draft(cast.member)
    await change(cast.owner, made, payload={"text": "Better"})
    members = await _scopes(db, cast)
    with pytest.raises(FourEyesRequired):
        await approval.approve(db, members["owner"], UUID(made["id"]), four_eyes=True)
    approved = await approval.approve(db, members["member"], UUID(made["id"]), four_eyes=True)
    assert approved.status == "approved"


async def _scopes(db: Database, cast: Cast) -> dict[str, Scope]:
    assert cast.member.project_id is not None
    people = ((cast.owner, True), (cast.member, False))
    return {
        p.username: await scope.enter(db, Actor(p.username, p.id, is_owner, None), cast.member.project_id)
        for p, is_owner in people
    }


def test_another_text_removes_the_html_form():
    payload = {"text": "Old", "subject": "News", "html": "<p>Old</p>"}
    assert edits.with_text(payload, "New", None) == {"text": "New", "subject": "News"}
    assert edits.with_text(payload, None, "") == {"text": "Old", "html": "<p>Old</p>"}


async def test_a_draft_is_edited_on_its_page(cast: Cast, server: str, visit: Visit):
    made = await draft_and_approve(cast.member)
    tab: Page = await visit(server, cast.member.token, silent=True, viewport={"width": 390, "height": 844})
    await tab.goto(f"/outbound/{made['id']}")
    await tab.get_by_role("link", name="Edit message").click()
    await expect(tab.get_by_text("This message is approved. If you save a change")).to_be_visible()
    await tab.get_by_label("Text", exact=True).fill("Hello, Amina")
    await tab.get_by_role("button", name="Save changes").click()
    await expect(tab.get_by_text("It is a draft again and needs a new approval.")).to_be_visible()
    await expect(tab.locator(".timeline")).to_contain_text("Version 2: content changed. It is a draft again.")
    await tab.get_by_text("Version 1, until").click()
    await expect(tab.locator("#versions .said")).to_have_text("Hello")
    stale = await submit_form(
        cast.member, f"/outbound/{made['id']}/edit", to="42", text="Mine", read_hash=made["content_hash"]
    )
    assert stale.status_code == 409 and "edited this message after you opened it" in stale.text and "Mine" in stale.text
    assert "Nothing was changed" in stale.text
    assert 'name="scheduled_at"' in await get_page(cast.member, f"/outbound/{made['id']}/edit")
