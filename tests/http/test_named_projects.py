"""Each change names the project that it was made for. When another one is active, nothing happens."""

import re
from pathlib import Path

from fastapi.routing import APIRoute

from proofdesk.accounts import csrf
from proofdesk.http import dependencies
from proofdesk.http.app import JSON_ROUTERS
from proofdesk.http.errors import _depends_on
from proofdesk.http.web import layout, routers
from tests.support.server import Cast

ROUTES = [r for router in (*JSON_ROUTERS, *routers.ROUTERS) for r in router.routes if isinstance(r, APIRoute)]
TEMPLATES = Path(layout.__file__).parent / "templates"
OWN_FORMS = {
    "ui.html",  # the macro, which adds the field
    "login/page.html", "login/_check.html", "login/_create.html", "login/_pin.html",  # without a session
    "unsubscribe/page.html",
}  # fmt: skip
BY_PATH = re.compile(r"(/v1)?/projects/\{project_id\}")  # the path names the project
NO_PROJECT = re.compile(r"(/v1)?/(logout|projects(/select)?|settings/(password|sessions|users|telegram).*|auth/.*)")


def _scoped() -> list[tuple[str, APIRoute]]:
    unsafe = [(m, r) for r in ROUTES for m in sorted(r.methods or ()) if m not in csrf.SAFE_METHODS]
    return [(m, r) for m, r in unsafe if _depends_on(r, dependencies.optional_project)]


def test_every_form_is_made_by_the_macro_that_names_the_project():
    own = {
        str(f.relative_to(TEMPLATES))
        for f in TEMPLATES.rglob("*.html")
        if "<form" in f.read_text() and "post" in f.read_text().partition("<form")[2].partition(">")[0]
    }
    assert own == OWN_FORMS
    free = [
        m
        for f in TEMPLATES.rglob("*.html")
        for m in re.findall(r'form\("([^"]*)"[^%]*names_project=false', f.read_text())
    ]
    assert set(free) == {"/projects/select"}


def test_every_change_has_the_active_project_or_names_one_in_its_path():
    scoped = {(m, r.path) for m, r in _scoped()}
    others = {
        r.path
        for r in ROUTES
        for m in r.methods or ()
        if m not in csrf.SAFE_METHODS and dependencies.needs_session(r.dependant) and (m, r.path) not in scoped
    }
    assert [path for path in others if not BY_PATH.match(path) and not NO_PROJECT.fullmatch(path)] == []
    assert len(scoped) > 30


async def test_a_change_made_for_another_project_is_refused(cast: Cast):
    member = cast.member
    other = (await member.client.post("/projects", json={"name": "Project C"})).json()["project"]["id"]
    for method, route in _scoped():
        path = re.sub(r"\{\w+\}", "1", route.path)
        if path.startswith("/v1"):
            answer = await member.client.request(method, path, json={}, headers={"x-project-id": other})
            body = answer.json()
            assert (answer.status_code, body["error"]) == (409, "project_changed"), path
            assert body["details"] == {
                "project_id": other,
                "project": "Project C",
                "active_project_id": str(member.project_id),
            }
        else:
            answer = await member.client.post(path, data={"project_id": other})
            assert answer.status_code == 409 and "You switched to Project A. Go back to Project C?" in answer.text, path


async def test_only_the_id_of_the_active_project_is_accepted(cast: Cast):
    own = str(cast.member.project_id)
    for named, status in (
        (own, 200),
        (own.upper(), 200),
        ("", 200),
        ("nonsense", 409),
        (str(cast.stranger.project_id), 409),
    ):
        answer = await cast.member.client.post("/search", json={"query": "x"}, headers={"x-project-id": named})
        assert answer.status_code == status, named
        assert "Project B" not in answer.text
    read = await cast.member.client.get("/contacts", headers={"x-project-id": str(cast.stranger.project_id)})
    assert read.json()["error"] == "project_changed"
