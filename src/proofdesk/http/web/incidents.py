"""Page: the incidents of a project and of the installation."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.accounts.session_queries import ActiveSession
from proofdesk.errors import Conflict, NotFound, ProofdeskError
from proofdesk.http import dependencies
from proofdesk.http.dependencies import CurrentSession, Db, ProjectEditor, Route
from proofdesk.http.web import layout, projects, view_models
from proofdesk.incidents import incidents
from proofdesk.incidents.incidents import IncidentNotFound
from proofdesk.incidents.queries import IncidentWithNotifications
from proofdesk.runbooks import registry

router = APIRouter(prefix="/incidents", route_class=Route)

PAGE_SIZE = 50
DONE = {"acknowledged": "Incident acknowledged. No more reminders are sent."}
CHANNELS = {"telegram": "Telegram", "email": "Mail", "webhook": "Webhook"}
KINDS = {"opened": "Problem", "reminder": "Reminder", "closed": "Solved"}


@router.get("")
async def show_incidents(request: Request, session: CurrentSession, page: str = "1", done: str = "") -> Response:
    """Show a page of incidents, the open ones first."""
    return await _render(request, session, number=layout.parse_page_number(page), notice=DONE.get(done, ""))


@router.post("/{incident_id}/acknowledge")
async def acknowledge(
    request: Request, db: Db, session: CurrentSession, scope: ProjectEditor, incident_id: str
) -> Response:
    """Say that somebody takes care of an incident."""
    try:
        await incidents.acknowledge(db, scope, _parse_id(incident_id))
    except (NotFound, Conflict) as error:
        return await _render(request, session, error=error)
    return RedirectResponse("/incidents?done=acknowledged", 303)


async def _render(
    request: Request,
    session: ActiveSession,
    *,
    number: int = 1,
    notice: str = "",
    error: ProofdeskError | None = None,
) -> Response:
    scope = dependencies.active_scope(request, session)
    if scope is None:
        return await projects.render_projects(request, session)
    db, first = request.state.resources.db, (number - 1) * PAGE_SIZE
    rows, total = await incidents.list_incidents(db, scope, None, PAGE_SIZE, first)
    views = [_view(row) for row in rows]
    values: dict[str, Any] = {
        "open": [view for view in views if view["is_open"]],
        "closed": [view for view in views if not view["is_open"]],
        "error": error.message if error else "",
        "range_text": f"{first + 1} to {first + len(rows)} of {view_models.format_number(total)}" if rows else "",
        "newer_url": f"/incidents?page={number - 1}" if number > 1 else "",
        "older_url": f"/incidents?page={number + 1}" if first + len(rows) < total else "",
    }
    frame = await layout.load_frame(request, db, session)
    return layout.render_page(
        request, "incidents/page.html", values, frame=frame, status=layout.error_status(error), toast=notice
    )


def _view(row: IncidentWithNotifications) -> dict[str, Any]:
    opened_at = row.opened_at or row.observed_at
    return {
        "id": row.id,
        "is_open": row.state == "open",
        "title": row.title,
        "cause": row.cause,
        "fix": row.fix,
        "evidence": row.evidence,
        "where": "Whole installation" if row.shared else "This project",
        "runbook": _runbook_title(row.runbook),
        "runbook_url": f"/runbooks/{row.runbook}",
        "evidence_url": f"/runbooks/{row.runbook}/evidence",
        "opened_at": view_models.display_time(opened_at),
        "closed_at": view_models.display_time(row.closed_at) if row.closed_at else None,
        "lasted": view_models.format_duration((row.closed_at - opened_at).total_seconds()) if row.closed_at else "",
        "reopened": row.reopened,
        "acknowledged_by": row.acknowledged_by or "",
        "acknowledged_at": view_models.display_time(row.acknowledged_at) if row.acknowledged_at else None,
        "notifications": [_notification_view(each) for each in row.notifications],
    }


def _notification_view(sent: dict[str, Any]) -> dict[str, Any]:
    label = f"{KINDS[sent['kind']]} by {CHANNELS[sent['channel']]}"
    return {"label": label, "status": sent["status"], "error": sent["error"] or ""}


def _runbook_title(slug: str) -> str:
    return next((runbook.title for runbook in registry.list_runbooks() if runbook.slug == slug), slug)


def _parse_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise IncidentNotFound("There is no such incident.") from None
