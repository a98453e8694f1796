"""Pages: the list of policies, and the forms that change a policy, which other pages contain as well."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.accounts.session_queries import UserSession
from proofdesk.errors import Invalid, ProofdeskError
from proofdesk.http.dependencies import CurrentSession, Db, OptionalProject, ProjectEditor, Route
from proofdesk.http.web import layout, outbound_views, projects
from proofdesk.http.web.layout import Choice
from proofdesk.outbound import policies, recipients, rules
from proofdesk.outbound.policy_queries import PolicyFilter, PolicyUpdate
from proofdesk.projects.scope import Scope

router = APIRouter(prefix="/outbound", route_class=Route)

Text = Annotated[str, Form()]

PAGE_SIZE = 50
CHANGED = "Policy changed."


@router.get("/policies")
async def list_policies(
    request: Request,
    session: CurrentSession,
    scope: OptionalProject,
    contact_global_id: str = "",
    channel: str = "",
    opted_out: str = "",
    page: str = "1",
    done: str = "",
) -> Response:
    """Show a page of policies, the most recently changed first."""
    if scope is None:
        return await projects.render_projects(request, session)
    policy_filter = PolicyFilter(
        contact_global_id.strip() or None, channel or None, True if opted_out == "true" else None
    )
    notice = {"policy": CHANGED, "rules": "Rules changed."}.get(done, "")
    return await _render_policies(
        request, session, scope, policy_filter, number=layout.parse_page_number(page), notice=notice
    )


@router.post("/opt-out")
async def change_policy(
    request: Request,
    db: Db,
    session: CurrentSession,
    scope: ProjectEditor,
    contact_global_id: Text = "",
    channel: Text = "",
    opted_out: Text = "",
    stop_on_reply: Text = "",
    frequency_cap: Text = "",
    frequency_window_hours: Text = "",
    reason: Text = "",
    next: Text = "",
) -> Response:
    """Change a policy; an absent field keeps its value."""
    try:
        update = PolicyUpdate(
            _parse_choice(opted_out),
            _parse_choice(stop_on_reply),
            _parse_number("frequency_window_hours", frequency_window_hours),
            _parse_number("frequency_cap", frequency_cap),
        )
        if update.opted_out is not None and not reason.strip():
            raise policies.InvalidOptOut("Enter a reason: who asked for it, and where.")
        await policies.change_policy(db, scope, contact_global_id, channel, update, reason=reason)
    except Invalid as error:
        return await _render_policies(request, session, scope, PolicyFilter(contact_global_id, channel), error=error)
    return RedirectResponse(layout.safe_path(next) if next else "/outbound/policies?done=policy", 303)


async def _render_policies(
    request: Request,
    session: UserSession,
    scope: Scope,
    policy_filter: PolicyFilter,
    *,
    number: int = 1,
    notice: str = "",
    error: ProofdeskError | None = None,
) -> Response:
    db = request.state.resources.db
    rows, total = await policies.list_policies(db, scope, policy_filter, PAGE_SIZE, (number - 1) * PAGE_SIZE)
    contacts = await recipients.load_contacts(db, scope, (p.contact_global_id for p in rows))
    first = (number - 1) * PAGE_SIZE
    values: dict[str, Any] = {
        "policies": [outbound_views.policy_view(p, contacts) for p in rows],
        "chips": [
            Choice(_url(PolicyFilter(None, None, o)), name, policy_filter.opted_out is o) for o, name in _WHICH.items()
        ],
        "is_single": policy_filter.contact is not None,
        "back": _url(policy_filter, done="policy"),
        "error": error.message if error else "",
        "rules": await rules.load_rules(db, scope),
        "range_text": f"{first + 1} to {first + len(rows)} of {total}" if rows else "",
        "newer_url": _url(policy_filter, number - 1) if number > 1 else "",
        "older_url": _url(policy_filter, number + 1) if first + len(rows) < total else "",
    }
    frame = await layout.load_frame(request, db, session)
    return layout.render_page(
        request, "policies/page.html", values, frame=frame, status=layout.error_status(error), toast=notice
    )


_WHICH: dict[bool | None, str] = {None: "All contacts", True: "Opted out"}


def _url(policy_filter: PolicyFilter, page: int = 1, done: str = "") -> str:
    fields = {
        "contact_global_id": policy_filter.contact,
        "channel": policy_filter.channel,
        "opted_out": "true" if policy_filter.opted_out else "",
        "page": page if page > 1 else "",
        "done": done,
    }
    parameters = {name: value for name, value in fields.items() if value}
    return "/outbound/policies" + (f"?{urlencode(parameters)}" if parameters else "")


def _parse_choice(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text)


def _parse_number(name: str, text: str) -> int | None:
    """Return the number of a field, None for an empty one. Raises `InvalidOptOut`."""
    text = text.strip()
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise policies.InvalidOptOut(f"`{name}` must be a whole number.")
    return int(text) if text else None
