"""The calendar of a project's commitments: its secret address, and the forms that create and delete it."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.commitments import calendar_feed
from proofdesk.http.dependencies import Config, CurrentSession, Db, ProjectEditor, Route
from proofdesk.http.web import layout, view_models

router = APIRouter(route_class=Route)


@router.get("/commitments/calendar")
async def show_calendar(request: Request, db: Db, session: CurrentSession, scope: ProjectEditor) -> Response:
    """Show whether the project has a calendar address."""
    return await _render(request, db, session, scope)


@router.post("/commitments/calendar")
async def create_calendar(
    request: Request, db: Db, settings: Config, session: CurrentSession, scope: ProjectEditor
) -> Response:
    """Create a new address and show it once."""
    path = await calendar_feed.create_feed(db, scope)
    return await _render(request, db, session, scope, address=f"{settings.public_url or ''}{path}")


@router.post("/commitments/calendar/delete")
async def delete_calendar(db: Db, scope: ProjectEditor) -> Response:
    """Delete the address."""
    await calendar_feed.delete_feed(db, scope)
    return RedirectResponse("/commitments/calendar", 303)


@router.get("/calendar/{project_id}/{token}.ics")
async def read_calendar(db: Db, settings: Config, project_id: str, token: str) -> Response:
    """Return the open commitments as a calendar. The token in the address is the only secret."""
    base_url, zone = settings.public_url or "", settings.project_timezone
    text = await calendar_feed.read_feed(db, project_id, token, zone, base_url)
    return Response(text, 200, {"cache-control": "private, no-store"}, "text/calendar; charset=utf-8")


async def _render(
    request: Request, db: Db, session: CurrentSession, scope: ProjectEditor, address: str = ""
) -> Response:
    feed = await calendar_feed.load_feed(db, scope)
    values = {
        "created": view_models.display_time(feed.created_at) if feed else None,
        "created_by": feed.created_by if feed else "",
        "address": address,
    }
    frame = await layout.load_frame(request, db, session)
    return layout.render_page(request, "commitments/calendar.html", values, frame=frame)
