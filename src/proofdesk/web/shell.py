"""What all pages share: the frame, templates, static files, the way to the login page and errors."""

import hashlib
import importlib.resources
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.staticfiles import StaticFiles
from starlette.types import Scope as AsgiScope

from proofdesk import failures
from proofdesk import request as asking
from proofdesk.auth.queries import Session
from proofdesk.db.pool import Database
from proofdesk.errors import ProofdeskError
from proofdesk.projects import projects

HOME = "/search"
PLACES = {"/search": "Search", "/audit": "Audit", "/settings": "Settings"}


@dataclass(frozen=True)
class Choice:
    """An option of a select."""

    value: str
    label: str
    chosen: bool = False


@dataclass(frozen=True)
class Frame:
    """What the header shows."""

    username: str
    csrf_token: str
    projects: list[Choice]
    has_project: bool
    is_owner: bool
    places: list[Choice]


def page(
    request: Request,
    template: str,
    values: dict[str, Any],
    *,
    frame: Frame | None = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> HTMLResponse:
    """A whole page. `frame` is None where nobody is signed in."""
    shared = {"frame": frame, "theme": _theme(request), "asset": asset}
    return HTMLResponse(_templates().get_template(template).render(**shared, **values), status, headers)


def partial(template: str, values: dict[str, Any], status: int = 200) -> HTMLResponse:
    """A part of a page, for htmx."""
    return HTMLResponse(_templates().get_template(template).render(**values), status)


async def frame(request: Request, db: Database, session: Session) -> Frame:
    """The header of the session's pages."""
    visible = await projects.visible(db, asking.actor(request, session))
    choices = [Choice(str(p.id), p.name, p.id == session.active_project_id) for p in visible]
    chosen = any(c.chosen for c in choices)
    here = request.url.path
    places = [Choice(path, label, here == path or here.startswith(f"{path}/")) for path, label in PLACES.items()]
    return Frame(session.username, session.csrf_token, choices, chosen, session.is_owner, places)


def wants_part(request: Request) -> bool:
    """Whether htmx asks for a part of the page only."""
    return request.headers.get("hx-request-type") == "partial"


def to_login(request: Request) -> Response:
    """Send somebody without a session to the login page and, after it, back to where he was going."""
    url = request.url
    target = f"{url.path}?{url.query}" if url.query else url.path
    login = f"/login?next={quote(target, safe='/')}" if request.method == "GET" else "/login"
    if "hx-request" in request.headers:
        answer: Response = Response(status_code=401, headers={"hx-redirect": "/login"})
    else:
        answer = RedirectResponse(login, 303)
    if asking.session_token(request):
        asking.clear_cookies(answer, request.state.resources.settings)
    return answer


def error_page(
    request: Request, status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> HTMLResponse:
    """An error, for a person: a page, or a line where htmx asked for a part."""
    told = {"status": status, "code": code, "message": message, "request_id": request.scope.get(asking.REQUEST_ID, "")}
    if wants_part(request):
        return partial("errors/_notice.html", told, status)
    return page(request, "errors/page.html", told, status=status, headers=headers)


def status_of(error: ProofdeskError | None) -> int:
    """The status of a form that is shown again with what is wrong."""
    return failures.translated(error).status if error else 200


def safe_path(target: str | None) -> str:
    """`target` when it is a path of ours, else the start page: no other site, no protocol-relative tricks."""
    if not target or not target.startswith("/") or target.startswith("//"):
        return HOME
    if "\\" in target or not target.isprintable():
        return HOME
    # Nor what would begin with two slashes once somebody on the way tidies it up.
    return HOME if "//" in urlsplit(target).path else target


# Templates and files ----------------------------------------------------------------------------------------------


class _Static(StaticFiles):
    def file_response(self, full_path: Any, stat_result: Any, scope: AsgiScope, status_code: int = 200) -> Response:
        answer = super().file_response(full_path, stat_result, scope, status_code)
        # An address with a version never changes its content.
        lasting = b"v=" in scope.get("query_string", b"")
        answer.headers["cache-control"] = "public, max-age=31536000, immutable" if lasting else "no-cache"
        return answer


def serve_static(app: FastAPI) -> None:
    """Mount the static files."""
    app.mount("/static", _Static(packages=[("proofdesk.web", "static")]), name="static")


@cache
def asset(name: str) -> str:
    """The address of a static file, with its version."""
    content = (importlib.resources.files("proofdesk.web") / "static" / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("proofdesk.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _theme(request: Request) -> str:
    chosen = request.cookies.get("theme", "")
    return chosen if chosen in ("light", "dark") else "auto"
