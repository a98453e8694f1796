"""Signing in and out, over HTTP."""

from typing import Any

import httpx2
import psycopg

from proofdesk.accounts import accounts, sessions
from proofdesk.audit.events import Actor
from proofdesk.database.pool import Database
from proofdesk.jobs import new_projects
from proofdesk.settings import Settings
from tests.support.server import ORIGIN, PASSWORD, create_person, open_client

RIGHT = {"username": "amina", "password": "a long enough password"}
WRONG = {"username": "amina", "password": "something else"}


async def _account(db: Database) -> Actor:
    account = await accounts.create(db, RIGHT["username"], RIGHT["password"])
    return Actor(account.username, account.id, False)


async def _login(client: httpx2.AsyncClient, body: Any = RIGHT, **options: Any) -> httpx2.Response:
    return await client.post("/auth/login", json=body, **options)


async def test_login_sets_both_cookies(anyone: httpx2.AsyncClient, db: Database):
    await _account(db)
    answer = await _login(anyone)
    assert answer.status_code == 200
    assert answer.json() | {"request_id": ""} == {
        "ok": True,
        "username": "amina",
        "active_project_id": None,
        "csrf_cookie_name": "csrf_token",
        "request_id": "",
    }
    session, csrf = sorted(answer.headers.get_list("set-cookie"), reverse=True)
    assert session.startswith("sid=") and "HttpOnly" in session and "SameSite=lax" in session and "Path=/" in session
    assert "Max-Age=1209600" in session and "Secure" not in session
    assert csrf.startswith("csrf_token=") and "HttpOnly" not in csrf
    me = (await anyone.get("/auth/me")).json()
    assert me["authenticated"] and me["username"] == "amina" and me["created_at"].endswith("Z")


async def test_session_works_in_every_process(anyone: httpx2.AsyncClient, db: Database):
    await _account(db)
    await _login(anyone)
    for _ in range(8):
        async with open_client(str(anyone.base_url), cookies=anyone.cookies) as another:
            assert (await another.get("/auth/me")).json()["authenticated"]


async def test_missing_credentials_differ_from_invalid_ones(anyone: httpx2.AsyncClient, db: Database):
    await _account(db)
    for body in ({}, {"username": "amina"}, {"username": " ", "password": "x"}, {"username": None, "password": None}):
        answer = await _login(anyone, body)
        assert (answer.status_code, answer.json()["error"]) == (400, "missing_credentials")
    for body in (WRONG, RIGHT | {"username": "nobody"}):
        answer = await _login(anyone, body)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_credentials")
        assert "set-cookie" not in answer.headers


async def test_login_replaces_an_earlier_session(anyone: httpx2.AsyncClient, db: Database):
    await _account(db)
    first = (await _login(anyone)).cookies["sid"]
    second = (await _login(anyone)).cookies["sid"]
    assert first != second
    assert await sessions.load_session(db, first) is None
    assert await sessions.load_session(db, second) is not None


async def test_logout_ends_the_session_and_clears_cookies(anyone: httpx2.AsyncClient, db: Database):
    await _account(db)
    token = (await _login(anyone)).cookies["sid"]
    answer = await anyone.post("/auth/logout")
    assert answer.status_code == 200
    assert {c.split("=")[0] for c in answer.headers.get_list("set-cookie")} == {"sid", "csrf_token"}
    assert await sessions.load_session(db, token) is None
    assert (await anyone.post("/auth/logout")).json()["ok"]


async def test_cookies_of_an_ended_session_are_cleared(anyone: httpx2.AsyncClient):
    for path, status in (("/auth/me", 200), ("/projects", 401)):
        answer = await anyone.get(path, headers={"cookie": "sid=not-a-session"})
        assert answer.status_code == status
        assert any(c.startswith('sid=""') for c in answer.headers.get_list("set-cookie")), path


async def test_only_project_is_active_after_login(anyone: httpx2.AsyncClient, db: Database):
    actor = await _account(db)
    project = await new_projects.create(db, actor, "Only one")
    assert (await _login(anyone)).json()["active_project_id"] == str(project.id)


async def test_last_used_project_is_active_after_login(anyone: httpx2.AsyncClient, db: Database):
    actor = await _account(db)
    await new_projects.create(db, actor, "First")
    second = await new_projects.create(db, actor, "Second")
    first_login = await _login(anyone)
    assert first_login.json()["active_project_id"] is None
    token = {"x-csrf-token": first_login.cookies["csrf_token"]}
    assert (await anyone.post(f"/projects/{second.id}/select", headers=token)).status_code == 200
    assert (await _login(anyone)).json()["active_project_id"] == str(second.id)


async def test_too_many_failures_block_the_address(anyone: httpx2.AsyncClient, db: Database):
    await _account(db)
    for number in range(3):
        assert (await _login(anyone, WRONG | {"username": f"guess{number}"})).status_code == 401
    answer = await _login(anyone)
    assert (answer.status_code, answer.json()["error"]) == (429, "login_rate_limited")
    assert 0 < int(answer.headers["retry-after"]) <= 15 * 60


async def test_successful_logins_do_not_count(anyone: httpx2.AsyncClient, db: Database):
    await _account(db)
    for _ in range(4):
        assert (await _login(anyone)).status_code == 200


async def test_failures_from_other_addresses_do_not_lock_a_user_out(
    anyone: httpx2.AsyncClient, db: Database, owner_conn: psycopg.Connection
):
    await _account(db)
    for _ in range(3):
        await _login(anyone, WRONG)
    owner_conn.execute("UPDATE rate_limits SET hits = 0 WHERE purpose = 'login.address'")
    assert (await _login(anyone, WRONG)).status_code == 429
    assert (await _login(anyone)).status_code == 200


async def test_expired_rate_limit_window_restarts(
    anyone: httpx2.AsyncClient, db: Database, owner_conn: psycopg.Connection
):
    await _account(db)
    for _ in range(4):
        await _login(anyone, WRONG)
    assert (await _login(anyone)).status_code == 429
    owner_conn.execute("UPDATE rate_limits SET window_started_at = now() - interval '16 minutes'")
    assert (await _login(anyone)).status_code == 200


async def test_attempted_usernames_are_not_stored(anyone: httpx2.AsyncClient, owner_conn: psycopg.Connection):
    await _login(anyone, {"username": "my password by mistake", "password": "x"})
    stored = owner_conn.execute("SELECT string_agg(subject, ' ') FROM rate_limits").fetchone()
    assert stored is not None and "mistake" not in stored[0]


async def test_other_site_cannot_sign_a_user_in(anyone: httpx2.AsyncClient, db: Database):
    await _account(db)
    foreign = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    answer = await _login(anyone, headers=foreign)
    assert (answer.status_code, answer.json()["error"]) == (403, "csrf_invalid")
    assert (await _login(anyone, headers=foreign | {"origin": ORIGIN})).status_code == 200


async def test_stored_sessions_and_passwords_cannot_be_used(
    anyone: httpx2.AsyncClient, db: Database, owner_conn: psycopg.Connection
):
    await _account(db)
    token = (await _login(anyone)).cookies["sid"]
    stored = owner_conn.execute("SELECT sessions::text || app_users::text FROM sessions, app_users").fetchone()
    assert stored is not None
    assert token not in stored[0] and RIGHT["password"] not in stored[0] and "$argon2id$" in stored[0]


async def test_disabled_account_loses_its_sessions(
    server: str, anyone: httpx2.AsyncClient, db: Database, owner_conn: psycopg.Connection
):
    leaver = create_person(server, owner_conn, "leaver")
    async with leaver.client as client:
        owner_conn.execute("UPDATE app_users SET disabled_at = now()")
        assert (await client.get("/projects")).status_code == 401
        assert (await _login(anyone, {"username": "leaver", "password": PASSWORD})).status_code == 401


def test_cookies_are_secure_over_https():
    assert not Settings().secure_cookies
    assert Settings(public_url="https://proofdesk.example.com").secure_cookies
