"""Part of a project's card: its sources and imported data; forms bind and unbind sources."""

from collections.abc import Coroutine
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.chatwoot import available_sources
from proofdesk.chatwoot.available_sources import AvailableSources
from proofdesk.dashboard import overview
from proofdesk.errors import Conflict, Denied, Invalid, NotFound, ProofdeskError
from proofdesk.http.dependencies import CurrentSession, Db, NamedProject, Route
from proofdesk.http.web import layout, view_models
from proofdesk.http.web.layout import Choice
from proofdesk.http.web.settings import Text
from proofdesk.projects import projects, sources
from proofdesk.projects.scope import Scope
from proofdesk.projects.source_queries import Source

router = APIRouter(prefix="/projects/{project_id}/sources", route_class=Route)

DONE = {"bound": "Source bound. The next sync imports it.", "unbound": sources.UNBOUND_NOTICE}


@router.get("")
async def show_sources(
    request: Request, session: CurrentSession, project_scope: NamedProject, done: str = ""
) -> Response:
    """Show the sources and the imported data of the project."""
    return await _render_sources(request, session, project_scope, notice=DONE.get(done, ""))


@router.post("")
async def bind_source(
    request: Request, db: Db, session: CurrentSession, project_scope: NamedProject, external_id: Text = ""
) -> Response:
    """Bind an account (`7`) or an inbox (`7:2`)."""
    kind = "chatwoot_inbox" if ":" in external_id else "chatwoot_account"
    return await _after(request, session, project_scope, sources.bind(db, project_scope, kind, external_id), "bound")


@router.post("/unbind")
async def unbind_source(
    request: Request, db: Db, session: CurrentSession, project_scope: NamedProject, source_id: Text = ""
) -> Response:
    """Unbind a source."""
    parsed_id = projects.parse_id(source_id)
    if parsed_id is None:
        raise sources.SourceNotFound("This project has no such source.")
    return await _after(request, session, project_scope, sources.unbind(db, project_scope, parsed_id), "unbound")


async def _after(
    request: Request, session: CurrentSession, project_scope: Scope, action: Coroutine[Any, Any, Source], done: str
) -> Response:
    try:
        await action
    except (Invalid, NotFound, Conflict, Denied) as error:
        return await _render_sources(request, session, project_scope, error=error)
    if layout.wants_partial(request):
        return await _render_sources(request, session, project_scope, notice=DONE[done])
    return RedirectResponse(f"/projects/{project_scope.project_id}/sources?done={done}", 303)


async def _render_sources(
    request: Request,
    session: CurrentSession,
    project_scope: Scope,
    *,
    notice: str = "",
    error: ProofdeskError | None = None,
) -> Response:
    db = request.state.resources.db
    available = await available_sources.load_available_sources(request.state.resources.chatwoot)
    visible = await projects.list_visible(db, project_scope.actor)
    values = {
        "id": str(project_scope.project_id),
        "name": next((p.name for p in visible if p.id == project_scope.project_id), ""),
        "active": project_scope.project_id == session.active_project_id,
        "can_bind": project_scope.may("manager") and await sources.may_bind(db, project_scope),
        "can_manage": project_scope.may("manager"),
        "error": error.message if error else "",
        **_holdings(await overview.load_contents(db, project_scope), available),
    }
    if layout.wants_partial(request):
        return layout.render_partial(request, "projects/_data.html", values, layout.error_status(error), toast=notice)
    frame = await layout.load_frame(request, db, session)
    return layout.render_page(
        request, "projects/data.html", values, frame=frame, status=layout.error_status(error), toast=notice
    )


def _holdings(data: overview.ProjectContents, available: AvailableSources) -> dict[str, Any]:
    view = view_models.project_data(data, available)
    bound = {source["external_id"] for source in view["sources"]}
    choices = [
        choice
        for account, name in available.accounts.items()
        for choice in _of_account(account, name or f"Account {account}", available)
        if choice.value not in bound
    ]
    return {"data": view, "choices": choices, "problem": available.problem}


def _of_account(account: int, name: str, available: AvailableSources) -> list[Choice]:
    inboxes = {inbox: inbox_name for (owner, inbox), inbox_name in available.inboxes.items() if owner == account}
    whole = Choice(str(account), f"{name}: all inboxes")
    return [whole, *(Choice(f"{account}:{inbox}", f"{name}: {inbox_name}") for inbox, inbox_name in inboxes.items())]
