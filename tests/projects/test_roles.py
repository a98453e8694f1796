"""What each role may do in a project, in the domain, over the API and on the pages."""

from typing import Any

import psycopg
import pytest

from proofdesk.audit.events import Actor
from proofdesk.database.pool import Database
from proofdesk.outbound import approval, drafts, kill_switch
from proofdesk.outbound.drafts import DraftRequest
from proofdesk.projects import members, roles, scope, sources
from proofdesk.projects.roles import RoleRequired
from proofdesk.projects.scope import Scope
from tests.support.audit_events import list_actions
from tests.support.pages import get_page, submit_and_follow, submit_form
from tests.support.projects import new_project
from tests.support.server import Cast

DRAFT: dict[str, Any] = {
    "channel": "email",
    "recipient_ref": "amina@example.com",
    "payload": {"subject": "Hello", "text": "Hi"},
}


async def in_role(db: Database, conn: psycopg.Connection, project: Scope, role: str) -> Scope:
    """Return the scope of a new user with this role."""
    row = conn.execute(
        "INSERT INTO app_users (username, password_hash) VALUES (%s, '') RETURNING id", [role]
    ).fetchone()
    assert row is not None
    await members.add(db, await scope.require_owner(db, project), role, role)
    return await scope.enter(db, Actor(role, row[0], False), project.project_id)


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("viewer", []),
        ("editor", ["draft"]),
        ("member", ["draft", "approve", "stop"]),
        ("approver", ["draft", "approve", "stop"]),
        ("manager", ["draft", "approve", "stop", "members", "unbind"]),
    ],
)
async def test_role_decides_what_a_member_may_do(
    db: Database, project: Scope, owner_conn: psycopg.Connection, role: str, allowed: list[str]
):
    mine = await in_role(db, owner_conn, project, role)
    message, _ = await drafts.create(db, project, DraftRequest(**DRAFT, idempotency_key="first"))
    source = await sources.bind(db, project, "chatwoot_account", "7")

    async def manage() -> None:
        await members.add(db, await scope.require_owner(db, mine), role, role)

    actions = {
        "draft": lambda: drafts.create(db, mine, DraftRequest(**DRAFT, idempotency_key="second")),
        "approve": lambda: approval.approve(db, mine, message.id),
        "stop": lambda: kill_switch.switch(db, mine, True, "stop"),
        "members": manage,
        "unbind": lambda: sources.unbind(db, mine, source.id),
    }
    done = []
    for name, action in actions.items():
        try:
            await action()
            done.append(name)
        except RoleRequired as refused:
            assert (refused.code, refused.status) == ("forbidden", 403)
            assert f"Your role in this project is {roles.describe(role)}" in refused.message
    assert done == allowed


async def test_role_of_a_member_is_changed_and_recorded(db: Database, owner_conn: psycopg.Connection):
    project = await new_project(db, "Studio")
    editor = await in_role(db, owner_conn, project, "editor")
    managed = await scope.require_owner(db, project)
    for role in ("viewer", "viewer", None):
        await members.add(db, managed, "editor", role)
    assert [m.role for m in await members.list_members(db, project)] == ["viewer"]
    with pytest.raises(RoleRequired):
        await drafts.create(
            db, await scope.enter(db, editor.actor, project.project_id), DraftRequest(**DRAFT, idempotency_key="k")
        )
    with pytest.raises(members.InvalidRole):
        await members.add(db, managed, "editor", "king")
    assert list_actions(owner_conn, "project.member") == ["project.member_added", "project.member_changed"]


async def test_api_refuses_what_the_role_does_not_allow(cast: Cast):
    project, names = cast.member.project_id, f"/projects/{cast.member.project_id}/members"
    await cast.member.client.put(f"{names}/stranger", json={"role": "viewer"})
    await cast.stranger.client.post(f"/projects/{project}/select")
    assert (await cast.stranger.client.get("/auth/me")).json()["role"] == "viewer"
    assert (await cast.stranger.client.post("/search", json={"query": "piano"})).status_code == 200
    draft = {**DRAFT, "idempotency_key": "one"}
    calls = (
        ("/outbound/draft", draft), ("/jobs/chatwoot/sync?wait=0", {}), ("/outbound/kill-switch", {"on": False}),
        (f"/projects/{project}/sources", {"source_kind": "chatwoot_account", "external_id": "7"}),
    )  # fmt: skip
    for path, body in calls:
        refused = await cast.stranger.client.post(path, json=body)
        assert (refused.status_code, refused.json()["error"]) == (403, "forbidden"), path
    await cast.member.client.put(f"{names}/stranger", json={"role": "editor"})
    created = (await cast.stranger.client.post("/outbound/draft", json=draft)).json()["outbound"]
    for action in ("approve", "send"):
        refused = await cast.stranger.client.post(f"/outbound/{created['id']}/{action}", json={})
        assert (refused.status_code, refused.json()["error"]) == (403, "forbidden"), action
    await cast.member.client.put(f"{names}/stranger", json={"role": "approver"})
    assert (await cast.stranger.client.post(f"/outbound/{created['id']}/approve", json={})).status_code == 200


async def test_pages_offer_only_what_the_role_allows(cast: Cast):
    created = await cast.member.client.post("/outbound/draft", json={**DRAFT, "idempotency_key": "one"})
    message = f"/outbound/{created.json()['outbound']['id']}"
    assert "Editor" in await submit_and_follow(cast.member, "/settings/members", username="stranger", role="viewer")
    await cast.stranger.client.post(f"/projects/{cast.member.project_id}/select")
    offers = {
        "/": ("Run sync",),
        "/jobs": ("Run sync", "Pause Sync"),
        "/outbound": ("Write a message", "Stop all sending"),
        "/outbound/policies": ("Save rules",),
        "/suppressions": ("Suppress recipient",),
        message: ("Approve message", "Edit message", "Cancel message"),
        "/settings": ("Add member", "Rename project", "Change role"),
    }
    for path, buttons in offers.items():
        seen, managed = await get_page(cast.stranger, path), await get_page(cast.member, path)
        assert [b for b in buttons if b in seen] == [], path
        assert [b for b in buttons if b not in managed] == [], path
    changed = await submit_and_follow(cast.member, "/settings/members/role", username="stranger", role="editor")
    assert "Role changed." in changed
    page = await get_page(cast.stranger, message)
    assert "Edit message" in page and "Approve message" not in page
    assert (await submit_form(cast.stranger, f"{message}/approve")).status_code == 403
