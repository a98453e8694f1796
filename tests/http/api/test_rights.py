"""Rights: public routes, isolation of projects, and CSRF tokens."""

import httpx2
import psycopg
from fastapi import FastAPI
from fastapi.routing import APIRoute

from proofdesk.http import app as http_app
from proofdesk.http.app import JSON_ROUTERS
from proofdesk.http.dependencies import needs_session
from proofdesk.http.web import routers
from proofdesk.settings import Settings
from tests.support.server import Cast, Person

PUBLIC = {
    ("GET", "/v1/health"),
    ("GET", "/v1/ready"),
    ("GET", "/v1/metrics"),
    ("POST", "/v1/auth/login"),
    ("POST", "/v1/auth/logout"),
    ("POST", "/v1/auth/check"),
    ("GET", "/v1/auth/me"),
    ("GET", "/v1/auth/echo"),
    ("GET", "/v1/auth/signup/status"),
    ("POST", "/v1/auth/signup/start"),
    ("POST", "/v1/auth/signup/confirm"),
    ("POST", "/v1/auth/telegram/webhook"),
    ("GET", "/v1/webhooks/unsubscribe/{token}"),
    ("POST", "/v1/webhooks/unsubscribe/{token}"),
    ("GET", "/webhooks/unsubscribe/{token}"),
    ("POST", "/webhooks/unsubscribe/{token}"),
    ("GET", "/calendar/{project_id}/{token}.ics"),
    ("POST", "/auth/check"),
    ("POST", "/auth/signup/start"),
    ("POST", "/auth/signup/confirm"),
    ("GET", "/login"),
    ("POST", "/login"),
}
ROUTES = [r for router in (*JSON_ROUTERS, *routers.ROUTERS) for r in router.routes if isinstance(r, APIRoute)]


BODIES = {"/v1/answers/{answer_id}/feedback": {"useful": True}}
"""Bodies that pass the checks of a route, which come before the look-up."""


def _calls() -> list[tuple[str, str]]:
    """Return every protected route as method and path."""
    every = [(method, route.path) for route in ROUTES for method in sorted(route.methods or ())]
    return [call for call in every if call not in PUBLIC]


def _filled(path: str, project_id: object = "0") -> str:
    for name in ("project_id", "source_id", "run_id"):
        path = path.replace("{" + name + "}", str(project_id))
    path = path.replace("{message_id}", f"cwmsg:{project_id}:7:10100")
    path = path.replace("{contact_id}", f"cwc:{project_id}:7:11")
    return path.replace("{conversation_id}", f"cw:{project_id}:7:101")


def test_these_routes_and_no_others_are_public():
    public = {(m, r.path) for r in ROUTES for m in r.methods or () if not needs_session(r.dependant)}
    assert public == PUBLIC


def test_every_route_is_in_a_router():
    app = http_app.create_app(Settings(), "postgresql://nowhere")
    listed = {r.path for r in ROUTES if r.path.startswith("/v1")}
    assert {r.path for r in app.routes if isinstance(r, APIRoute)} == listed


async def test_protected_routes_need_a_session(anyone: httpx2.AsyncClient):
    for method, path in _calls():
        answer = await anyone.request(method, _filled(path), headers=_kind(method, path))
        if path.startswith("/v1"):
            assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized"), path
        else:
            assert answer.status_code == 303 and answer.headers["location"].startswith("/login"), path


async def test_every_change_needs_the_csrf_token(cast: Cast):
    for method, path in _calls():
        if method == "GET":
            continue
        for token in ("", "wrong", cast.stranger.csrf):
            headers = _kind(method, path) | {"x-csrf-token": token}
            answer = await cast.member.client.request(method, _filled(path), headers=headers)
            assert answer.status_code == 403 and "csrf_invalid" in answer.text, path


async def test_rows_of_another_project_do_not_exist(cast: Cast):
    parametrized = [call for call in _calls() if "{" in call[1]]
    assert len(parametrized) >= 6
    for method, path in parametrized:
        headers = _kind(method, path)
        is_json = method == "POST" and not headers
        body = BODIES.get(path, {"source_kind": "chatwoot_account", "external_id": "9"}) if is_json else None
        target = _filled(path, cast.member.project_id)
        form = {"useful": "yes"} if path.endswith("/feedback") and headers else None
        answer = await cast.stranger.client.request(method, target, json=body, data=form, headers=headers)
        assert answer.status_code == 404, path


def _kind(method: str, path: str) -> dict[str, str]:
    """Return the headers that select a page, for routes that have one."""
    if path.startswith("/v1"):
        return {}
    return {"accept": "text/html"} if method == "GET" else {"content-type": "application/x-www-form-urlencoded"}


async def test_scoped_routes_need_an_active_project(cast: Cast):
    scoped = (("GET", "/jobs/status"), ("POST", "/search"), ("GET", "/contacts"), ("POST", "/jobs/chatwoot/sync"))
    for method, path in scoped:
        answer = await cast.owner.client.request(method, path, json={} if method == "POST" else None)
        assert (answer.status_code, answer.json()["error"]) == (409, "active_project_required"), path


async def test_a_project_is_not_active_after_its_member_was_removed(cast: Cast, owner_conn: psycopg.Connection):
    owner_conn.execute("DELETE FROM project_members WHERE user_id = %s", [cast.member.id])
    answer = await cast.member.client.get("/jobs/runs")
    assert (answer.status_code, answer.json()["error"]) == (409, "active_project_required")
    assert (await cast.member.client.get("/auth/me")).json()["active_project_id"] is None


async def test_the_owner_sees_every_project_and_others_their_own(cast: Cast):
    async def names(person: Person) -> list[str]:
        return [p["name"] for p in (await person.client.get("/projects")).json()["projects"]]

    assert await names(cast.owner) == ["Project A", "Project B"]
    assert await names(cast.member) == ["Project A"]
    assert await names(cast.stranger) == ["Project B"]


def test_the_application_is_created_without_a_database():
    assert isinstance(http_app.create_app(Settings(), "postgresql://nowhere"), FastAPI)
