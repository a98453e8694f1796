"""What all pages share: frame, templates, redirect to the login page, errors."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from proofdesk import logging
from proofdesk.accounts.session_queries import ActiveSession, UserSession
from proofdesk.core import bidi
from proofdesk.database.pool import Database
from proofdesk.errors import ProofdeskError
from proofdesk.http import dependencies, errors
from proofdesk.http.web import view_models
from proofdesk.http.web.assets import asset
from proofdesk.http.web.permissions import Permissions
from proofdesk.incidents import incidents
from proofdesk.outbound import messages
from proofdesk.projects import projects

log = logging.get_logger(__name__)

HOME = "/"


@dataclass(frozen=True)
class NavigationEntry:
    """A page in the navigation. `starts_group` begins a new group; `is_current` marks the current page.

    `count` is what waits there for somebody, `count_label` what that is.
    """

    path: str
    label: str
    icon: str
    starts_group: bool = False
    is_current: bool = False
    count: int = 0
    count_label: str = ""


NAVIGATION = (
    NavigationEntry("/", "Overview", "layout-dashboard"),
    NavigationEntry("/search", "Search", "search"),
    NavigationEntry("/conversations", "Conversations", "messages-square"),
    NavigationEntry("/contacts", "Contacts", "users"),
    NavigationEntry("/commitments", "Commitments", "handshake"),
    NavigationEntry("/outbound", "Outbound", "send", count_label="assigned draft"),
    NavigationEntry("/jobs", "Jobs", "activity"),
    NavigationEntry("/audit", "Audit", "scroll-text", starts_group=True),
    NavigationEntry("/incidents", "Incidents", "siren", count_label="open incident"),
    NavigationEntry("/runbooks", "Runbooks", "wrench"),
    NavigationEntry("/projects", "Projects", "folder", starts_group=True),
    NavigationEntry("/settings", "Settings", "settings"),
)


@dataclass(frozen=True)
class Choice:
    """An option of a select."""

    value: str
    label: str
    chosen: bool = False


@dataclass(frozen=True)
class Frame:
    """What surrounds a page: the user, the active project, and the navigation."""

    username: str
    projects: list[Choice]
    project: str
    is_owner: bool
    navigation: list[NavigationEntry]


def render_page(
    request: Request,
    template: str,
    values: dict[str, Any],
    *,
    frame: Frame | None = None,
    status: int = 200,
    headers: dict[str, str] | None = None,
    toast: str = "",
) -> HTMLResponse:
    """Return a whole page. `frame` is None where nobody is signed in; `toast` reports what was done."""
    shared = _common_values(request) | {"frame": frame, "theme": _theme(request), "toast": toast}
    return HTMLResponse(_render(template, shared | values), status, headers)


def render_partial(
    request: Request,
    template: str,
    values: dict[str, Any],
    status: int = 200,
    *,
    toast: str = "",
    headers: dict[str, str] | None = None,
) -> HTMLResponse:
    """Return a part of a page for htmx. `toast` reports what was done."""
    headers = toast_header(toast, "good") if toast else headers
    return HTMLResponse(_render(template, _common_values(request) | values), status, headers)


def toast_response(text: str, tone: str = "good") -> Response:
    """Return only a toast: htmx keeps the page as it is."""
    return Response(status_code=204, headers=toast_header(text, tone))


def toast_header(text: str, tone: str) -> dict[str, str]:
    """Return the header that makes htmx show a toast."""
    return {"hx-trigger": json.dumps({"toast": {"text": bidi.without_formatting(text), "tone": tone}})}


def referring_path(request: Request) -> str:
    """Return the path of the page that sent the form, as the browser reports it."""
    referrer = urlsplit(request.headers.get("referer", ""))
    return safe_path(f"{referrer.path}?{referrer.query}" if referrer.query else referrer.path)


async def load_frame(request: Request, db: Database, session: UserSession) -> Frame:
    """Return the frame for the pages of the session."""
    visible = await projects.list_visible(db, dependencies.actor(request, session))
    choices = [Choice(str(p.id), p.name, p.id == session.active_project_id) for p in visible]
    active = next((c.label for c in choices if c.chosen), "")
    current: ActiveSession | None = request.scope.get(dependencies.SESSION)
    scope = dependencies.active_scope(request, current) if current else None
    counts = (
        {"/incidents": await incidents.count_open(db, scope), "/outbound": await messages.count_assigned(db, scope)}
        if scope
        else {}
    )
    return Frame(session.username, choices, active, session.is_owner, _navigation(request.url.path, counts))


def has_page(path: str) -> bool:
    """Return whether the navigation contains a page, so that other pages may link to it."""
    return any(place.path == path for place in NAVIGATION)


def _navigation(path: str, counts: Mapping[str, int]) -> list[NavigationEntry]:
    return [
        replace(
            p,
            is_current=path == p.path or (p.path != "/" and path.startswith(f"{p.path}/")),
            count=counts.get(p.path, 0),
        )
        for p in NAVIGATION
    ]


def _common_values(request: Request) -> dict[str, Any]:
    """Return the values that every template may use."""
    session: ActiveSession | None = request.scope.get(dependencies.SESSION)
    permissions = Permissions(session)
    return {
        "csrf_token": session.csrf_token if session else "",
        "project_id": str(session.active_project_id or "") if session else "",
        "username": session.username if session else "",
        "may": permissions.may,
        "may_submit": permissions.may_submit,
        "may_open": permissions.may_open,
        "csrf_cookie": request.state.resources.settings.csrf_cookie_name,
    }


def parse_page_number(text: str) -> int:
    """Return the page number that the address contains, from 1; 1 for an invalid value."""
    return max(1, min(int(text), 100_000)) if text.isascii() and text.isdigit() and len(text) < 9 else 1


def wants_partial(request: Request) -> bool:
    """Return whether htmx requests only a part of the page."""
    return request.headers.get("hx-request-type") == "partial"


def error_status(error: ProofdeskError | None) -> int:
    """Return the status of a form that is shown again with an error."""
    return errors.describe_error(error).status if error else 200


def safe_path(target: str | None) -> str:
    """Return `target` when it is a path of this site, else the start page. Protocol-relative addresses are refused."""
    if not target or not target.startswith("/") or target.startswith("//"):
        return HOME
    if "\\" in target or not target.isprintable():
        return HOME
    # A proxy may shorten the path, so that it begins with two slashes.
    return HOME if "//" in urlsplit(target).path else target


# Templates --------------------------------------------------------------------------------------------------------


def _render(template: str, values: dict[str, Any]) -> str:
    """Return the HTML. Directional formatting is removed, except in text that went through `as_written`."""
    return bidi.without_formatting(_templates().get_template(template).render(values))


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("proofdesk.http.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters = (format_code, as_written, initial, link_ids)
    environment.filters |= {function.__name__: function for function in filters}
    environment.globals |= {
        "asset": asset,
        "format_number": view_models.format_number,
        "format_count": view_models.format_count,
    }
    return environment


def format_code(text: str) -> Markup:
    """Return text with the words between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704


_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_LINKED_IDS = (
    (re.compile(f"(?<=message ){_UUID}"), "/outbound/{}"),
    (re.compile(f"(?<=run ){_UUID}"), "/jobs/runs/{}"),
    (re.compile(rf"\bcwmsg:{_UUID}:\d+:\d+"), "/messages/{}/thread"),
    (re.compile(rf"\bcw:{_UUID}:\d+:\d+"), "/conversations/{}/thread"),
)


def link_ids(text: str) -> Markup:
    """Return text whose ids are links: `message ID` of an outbound message, `run ID`, and ids from Chatwoot."""
    html = str(escape(text))
    for pattern, path in _LINKED_IDS:
        html = pattern.sub(lambda match, path=path: f'<a href="{path.format(match[0])}">{match[0]}</a>', html)
    return Markup(html)  # noqa: S704


def as_written(value: object) -> Markup:
    """Keep directional formatting: for values of fields, and for bodies of messages, which have their own block."""
    return Markup(bidi.as_references(str(escape(value))))  # noqa: S704


def initial(name: str) -> str:
    """Return the first letter of a name."""
    return bidi.without_formatting(name)[:1].upper()


def _theme(request: Request) -> str:
    theme = request.cookies.get("theme", "")
    return theme if theme in ("light", "dark") else "auto"
