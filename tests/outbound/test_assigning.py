"""A draft is assigned to a person who may approve it; they see that it waits for them."""

import psycopg
import pytest

from proofdesk.audit.events import Actor
from proofdesk.database.pool import Database
from proofdesk.outbound import approval, drafts, messages
from proofdesk.outbound.drafts import DraftRequest
from proofdesk.outbound.messages import InvalidState
from proofdesk.projects import members, scope
from proofdesk.projects.scope import Scope
from tests.support.audit_events import newest_event
from tests.support.pages import get_page, submit_and_follow, submit_form
from tests.support.server import Cast

CONTENT = {"channel": "email", "recipient_ref": "amina@example.com", "payload": {"subject": "Hello", "text": "Hi"}}


async def test_draft_waits_for_its_approver_until_approved(
    db: Database, project: Scope, owner_conn: psycopg.Connection
):
    for name in ("ada", "vera"):
        owner_conn.execute("INSERT INTO app_users (username, password_hash) VALUES (%s, '')", [name])
    managed = await scope.require_owner(db, project)
    await members.add(db, managed, "ada", "approver")
    await members.add(db, managed, "vera", "editor")
    row = owner_conn.execute("SELECT id FROM app_users WHERE username = 'ada'").fetchone()
    assert row is not None
    ada = await scope.enter(db, Actor("ada", row[0], False), project.project_id)
    draft, _ = await drafts.create(db, project, DraftRequest(**CONTENT, idempotency_key="one"))
    for nobody in ("vera", "not-there", ""):
        with pytest.raises(approval.InvalidApprover):
            await approval.assign(db, project, draft.id, nobody)
    assigned = await approval.assign(db, project, draft.id, "ada")
    assert (assigned.assigned_to, assigned.status) == ("ada", "draft")
    assert newest_event(owner_conn)["action"] == "outbound.assign"
    assert await messages.count_assigned(db, ada) == 1 and await messages.count_assigned(db, project) == 0
    waiting, total = await messages.list_messages(db, ada, messages.build_filter("draft", assigned_to="ada"), 10, 0)
    assert [m.id for m in waiting] == [draft.id] and total == 1
    await approval.approve(db, ada, draft.id)
    assert await messages.count_assigned(db, ada) == 0
    with pytest.raises(InvalidState):
        await approval.assign(db, project, draft.id, "ada")


async def test_pages_and_api_ask_for_an_approval(cast: Cast):
    created = (await cast.member.client.post("/outbound/draft", json={**CONTENT, "idempotency_key": "one"})).json()
    at = f"/outbound/{created['outbound']['id']}"
    await cast.member.client.put(f"/projects/{cast.member.project_id}/members/stranger", json={"role": "approver"})
    await cast.stranger.client.post(f"/projects/{cast.member.project_id}/select")
    page = await submit_and_follow(cast.member, f"{at}/assign", username="stranger")
    assert "Approval requested." in page and "<bdi>stranger</bdi> is asked to approve it" in page
    assert "1<span" in await get_page(cast.stranger, "/") and "assigned draft" in await get_page(cast.stranger, "/")
    assert "assigned draft" not in await get_page(cast.member, "/")
    inbox = await get_page(cast.stranger, "/outbound?assigned=me")
    assert "Waiting for your approval" in inbox and at in inbox
    assert at not in await get_page(cast.member, "/outbound?assigned=me")
    assert (await submit_form(cast.member, f"{at}/assign", username="nobody")).status_code == 400
    refused = await cast.member.client.post(f"{at}/assign", json={"username": "nobody"})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_approver")
    answer = await cast.stranger.client.get("/outbound", params={"assigned_to": "stranger"})
    assert [m["assigned_to"] for m in answer.json()["outbound"]] == ["stranger"]
