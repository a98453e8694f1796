"""The pages of settings and of the audit trail: forms without scripts, and who is shown what."""

import re

import httpx2
import psycopg
import pytest

from proofdesk.accounts import accounts, sessions
from proofdesk.accounts.sessions import LoginAttempt
from proofdesk.database.pool import Database
from proofdesk.settings import Settings
from tests.support.audit_events import list_actions, tamper_with_events
from tests.support.pages import PART, get_page, submit_and_follow, submit_form
from tests.support.server import PASSWORD, Cast


async def test_the_owner_looks_after_users(cast: Cast, db: Database, anyone: httpx2.AsyncClient):
    owner = cast.owner
    assert "User created." in await submit_and_follow(
        owner, "/settings/users", username="Nadia", password="long enough pw"
    )
    assert "ended" in await submit_and_follow(
        owner, "/settings/users/password", username="nadia", password="another long one"
    )
    signed = {"username": "nadia", "password": "another long one"}
    assert (await anyone.post("/auth/login", json=signed)).status_code == 200
    assert "sessions of the user have ended" in await submit_and_follow(
        owner, "/settings/users/end-sessions", username="nadia"
    )
    assert (await anyone.get("/auth/me")).json()["authenticated"] is False
    assert (await anyone.post("/auth/login", json=signed)).status_code == 200
    assert ">disabled<" in await submit_and_follow(owner, "/settings/users/disable", username="nadia")
    assert (await anyone.get("/auth/me")).json()["authenticated"] is False
    assert (await anyone.post("/auth/login", json=signed)).status_code == 401
    assert ">disabled<" not in await submit_and_follow(owner, "/settings/users/enable", username="nadia")
    assert (await anyone.post("/auth/login", json=signed)).status_code == 200


async def test_the_owner_allows_users_to_bind_sources(cast: Cast):
    form = f"/projects/{cast.member.project_id}/sources"
    await submit_and_follow(cast.owner, "/settings/users/sources", username="member", allowed="")
    page = await get_page(cast.member, form)
    assert "Ask the owner to bind one" in page and "Bind source" not in page
    refused = await submit_form(cast.member, form, external_id="7")
    assert refused.status_code == 403 and "Ask the owner" in refused.text
    body = {"source_kind": "chatwoot_account", "external_id": "7"}
    assert (await cast.member.client.post(form, json=body)).json()["error"] == "forbidden"
    page = await submit_and_follow(cast.owner, "/settings/users/sources", username="member", allowed="yes")
    assert "The user may bind sources." in page and "Forbid binding sources" in page
    assert "Source bound." in await submit_and_follow(cast.member, form, external_id="7")
    assert (await submit_form(cast.member, "/settings/users/sources", username="member")).status_code == 403


async def test_what_is_wrong_is_said_on_the_page(cast: Cast):
    for path, fields, status, told in (
        ("users", {"username": "x", "password": "long enough pw"}, 400, "3 to 32"),
        ("users", {"username": "member", "password": "long enough pw"}, 409, "is taken"),
        ("users", {"username": "system", "password": "long enough pw"}, 400, "3 to 32"),
        ("users/disable", {"username": "owner"}, 409, "cannot be disabled"),
        ("users/disable", {"username": "<b>"}, 404, "&lt;b&gt;"),
        ("users/password", {"username": "member", "password": "short"}, 400, "8 to 128"),
    ):
        answer = await submit_form(cast.owner, f"/settings/{path}", **fields)
        assert answer.status_code == status and 'role="alert"' in answer.text and told in answer.text, path


async def test_others_neither_see_users_nor_change_them(cast: Cast):
    page = await get_page(cast.member)
    assert "Create user" not in page and "Telegram" not in page and "stranger" not in page
    for path in ("users", "users/password", "users/disable", "users/enable", "users/end-sessions"):
        answer = await submit_form(cast.member, f"/settings/{path}", username="stranger", password="long enough pw")
        assert answer.status_code == 403, path


async def test_everybody_changes_his_own_password(cast: Cast, db: Database, anyone: httpx2.AsyncClient):
    elsewhere = await sessions.sign_in(db, Settings(), LoginAttempt("member", PASSWORD, "192.0.2.1"))
    wrong = await submit_form(cast.member, "/settings/password", current="not it", new="a brand new one")
    assert wrong.status_code == 400 and "current password is wrong" in wrong.text
    assert "Password changed" in await submit_and_follow(
        cast.member, "/settings/password", current=PASSWORD, new="a brand new one"
    )
    assert await sessions.load_session(db, elsewhere.token) is None
    assert (await anyone.post("/auth/login", json={"username": "member", "password": PASSWORD})).status_code == 401
    guesses = [
        await submit_form(cast.member, "/settings/password", current="guess", new="a brand new one") for _ in range(3)
    ]
    assert guesses[-1].status_code == 429


async def test_other_sessions_are_ended(cast: Cast, db: Database, owner_conn: psycopg.Connection):
    elsewhere = await sessions.sign_in(db, Settings(), LoginAttempt("member", PASSWORD, "192.0.2.1"))
    assert "End other sessions" in await get_page(cast.member)
    assert "End other sessions" not in await submit_and_follow(cast.member, "/settings/sessions/end")
    assert await sessions.load_session(db, elsewhere.token) is None
    assert list_actions(owner_conn, "auth.") == ["auth.login", "auth.sessions_ended"]


async def test_a_password_that_the_environment_sets_is_not_changed_here(db: Database, cast: Cast):
    from pydantic import SecretStr

    session = await sessions.load_session(db, cast.owner.client.cookies["sid"])
    assert session is not None
    set_outside = Settings(auth_password=SecretStr("from outside"))
    with pytest.raises(accounts.OwnerAccountProtected, match="AUTH_PASSWORD"):
        by = sessions.actor_of_session(session, None)
        await accounts.change_own_password(db, set_outside, session, PASSWORD, "a brand new one", by, "192.0.2.1")


async def test_the_project_is_looked_after_by_forms(cast: Cast):
    page = await submit_and_follow(cast.member, "/settings/members", username="stranger")
    assert "Remove stranger?" in page
    assert (await submit_form(cast.member, "/settings/members", username="nobody-here")).status_code == 404
    await cast.stranger.client.post(f"/projects/{cast.member.project_id}/select")
    page = await get_page(cast.stranger)
    assert "Members of Project A" in page and "Add member" not in page and "Rename" not in page
    for path in ("members", "members/remove", "project/rename"):
        refused = await submit_form(cast.stranger, f"/settings/{path}", username="member", name="Mine now")
        assert refused.status_code == 403, path
    await submit_and_follow(cast.member, "/settings/members/remove", username="stranger")
    assert "Members of Atelier" in await submit_and_follow(cast.member, "/settings/project/rename", name="Atelier")


async def test_forms_need_the_token_of_the_session(cast: Cast):
    cast.owner.client.headers.pop("x-csrf-token")
    for path in ("users", "users/disable", "password", "sessions/end", "project/rename", "members"):
        answer = await cast.owner.client.post(f"/settings/{path}", data={"username": "member"})
        assert answer.status_code == 403, path


async def test_the_trail_is_shown_filtered_and_in_pages(cast: Cast):
    for number in range(55):
        await cast.member.client.patch(f"/projects/{cast.member.project_id}", json={"name": f"Name <{number}>"})
    page = await get_page(cast.member, "/audit")
    assert page.count('class="event"') == 50 and "57 events" in page and "Name &lt;54&gt;" in page
    older = re.search(r'href="([^"]+)" rel="next"', page)
    assert older and "Name &lt;" in page
    second = await get_page(cast.member, older[1].replace("&amp;", "&"))
    assert second.count('class="event"') == 7 and 'rel="prev"' in second and 'rel="next"' not in second
    created = await get_page(cast.member, "/audit?action=project.created&entity_type=project")
    assert created.count('class="event"') == 1 and 'aria-current="true">project.created</a>' in created
    assert "No matching events." in await get_page(cast.member, "/audit?action=outbound.*")
    assert (await get_page(cast.member, "/audit?page=nonsense")).count('class="event"') == 50


async def test_the_chain_is_verified_on_demand(cast: Cast, owner_conn: psycopg.Connection):
    part = await cast.member.client.get("/audit/verify", headers=PART)
    assert "2 events, chain intact" in part.text and "<html" not in part.text and "Accounts" not in part.text
    await cast.owner.client.post(f"/projects/{cast.member.project_id}/select")
    assert "Accounts and sign-ins: 0 events, chain intact" in await get_page(cast.owner, "/audit/verify")
    tamper_with_events(owner_conn, "UPDATE audit_events SET status = 'x' WHERE action = 'project.created'")
    assert "the chain is broken. Event" in await get_page(cast.owner, "/audit/verify")


async def test_without_a_project_there_is_still_a_page(cast: Cast):
    assert "Choose a project" in await get_page(cast.owner, "/audit")
    page = await get_page(cast.owner)
    assert "Create user" in page and "What " not in page


async def test_pages_lead_to_each_other(cast: Cast):
    page = await get_page(cast.member, "/audit")
    assert re.search(r'<a href="/audit" aria-current="page"[^>]*>.*Audit</a>', page)
    assert page.count('aria-current="page"') == 1
    for path in ("/search", "/projects", "/settings"):
        assert f'<a href="{path}"' in page, path


async def test_these_pages_hold_no_script_or_style_of_their_own(cast: Cast):
    for path in ("/settings", "/audit", "/audit/verify"):
        page = await get_page(cast.member, path)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?! src=\"/static/)", page), path
