"""Page: the suppression list of a project."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.accounts.session_queries import ActiveSession
from proofdesk.errors import Invalid, NotFound, ProofdeskError
from proofdesk.http import dependencies
from proofdesk.http.dependencies import CurrentSession, Db, ProjectEditor, Route
from proofdesk.http.web import layout, outbound_views, projects, view_models
from proofdesk.http.web.layout import Choice
from proofdesk.outbound import suppressions
from proofdesk.outbound.suppression_queries import Suppression

router = APIRouter(prefix="/suppressions", route_class=Route)

Text = Annotated[str, Form()]

PAGE_SIZE = 50
DONE = {"added": "Recipient suppressed.", "removed": "Suppression removed."}
REASONS = {
    "manual": "Added by a person",
    "bounce": "Bounced",
    "complaint": "Complained",
    "invalid": "Invalid",
    "blocked": "Blocked us",
}


@router.get("")
async def show_suppressions(request: Request, session: CurrentSession, page: str = "1", done: str = "") -> Response:
    """Show a page of suppressions, the newest first."""
    return await _render(request, session, number=layout.parse_page_number(page), notice=DONE.get(done, ""))


@router.post("")
async def add(
    request: Request,
    db: Db,
    session: CurrentSession,
    scope: ProjectEditor,
    address: Text,
    channel: Text,
    detail: Text = "",
) -> Response:
    """Suppress a recipient."""
    try:
        await suppressions.add(db, scope, channel, address, detail=detail.strip() or None)
    except (Invalid, NotFound) as error:
        return await _render(request, session, error=error, form={"address": address, "detail": detail})
    return RedirectResponse("/suppressions?done=added", 303)


@router.post("/remove")
async def remove(
    request: Request, db: Db, session: CurrentSession, scope: ProjectEditor, address: Text, channel: Text
) -> Response:
    """Remove a suppression."""
    try:
        await suppressions.remove(db, scope, channel, address)
    except (Invalid, NotFound) as error:
        return await _render(request, session, error=error)
    return RedirectResponse("/suppressions?done=removed", 303)


async def _render(
    request: Request,
    session: ActiveSession,
    *,
    number: int = 1,
    notice: str = "",
    error: ProofdeskError | None = None,
    form: dict[str, str] | None = None,
) -> Response:
    scope = dependencies.active_scope(request, session)
    if scope is None:
        return await projects.render_projects(request, session)
    db, first = request.state.resources.db, (number - 1) * PAGE_SIZE
    rows, total = await suppressions.list_suppressions(db, scope, None, None, PAGE_SIZE, first)
    values: dict[str, Any] = {
        "rows": [_row(row) for row in rows],
        "form": form or {"address": "", "detail": ""},
        "channels": [Choice(name, label, name == "email") for name, label in outbound_views.CHANNELS.items()],
        "error": error.message if error else "",
        "range_text": f"{first + 1} to {first + len(rows)} of {view_models.format_number(total)}" if rows else "",
        "newer_url": f"/suppressions?page={number - 1}" if number > 1 else "",
        "older_url": f"/suppressions?page={number + 1}" if first + len(rows) < total else "",
    }
    frame = await layout.load_frame(request, db, session)
    return layout.render_page(
        request, "suppressions/page.html", values, frame=frame, status=layout.error_status(error), toast=notice
    )


def _row(row: Suppression) -> dict[str, Any]:
    return {
        "name": row.address or row.contact_global_id,
        "label": row.address or outbound_views.format_recipient(row.contact_global_id or ""),
        "channel": row.channel,
        "channel_label": outbound_views.CHANNELS[row.channel],
        "reason": REASONS[row.reason],
        "detail": row.detail or "",
        "message_url": f"/outbound/{row.outbound_id}" if row.outbound_id else "",
        "by": row.created_by,
        "since": view_models.display_time(row.created_at),
        "until": view_models.display_time(row.expires_at) if row.expires_at else None,
    }
