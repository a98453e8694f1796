"""Part of a project's card: its sources and imported data; forms bind and unbind sources."""

from collections.abc import Coroutine
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.chatwoot import available_sources
from proofdesk.chatwoot.available_sources import AvailableSources
from proofdesk.dashboard import overview
from proofdesk.errors import Conflict, Invalid, NotFound, ProofdeskError
from proofdesk.http.dependencies import CurrentSession, Db, NamedProject, Route
from proofdesk.http.web import layout, view_models
from proofdesk.http.web.layout import Choice
from proofdesk.http.web.settings import Text
from proofdesk.projects import projects, scope, sources
from proofdesk.projects.scope import Scope
from proofdesk.projects.source_queries import Source

router = APIRouter(prefix="/projects/{project_id}/sources", route_class=Route)

DONE = {"bound": "Source bound. The next sync imports it.", "unbound": sources.UNBOUND_NOTICE}


@router.get("")
async def show_sources(request: Request, session: CurrentSession, inside: NamedProject, done: str = "") -> Response:
    """Show the sources and the imported data of the project."""
    return await _shown(request, session, inside, said=DONE.get(done, ""))


@router.post("")
async def bind_source(
    request: Request, db: Db, session: CurrentSession, inside: NamedProject, external_id: Text = ""
) -> Response:
    """Bind an account (`7`) or an inbox (`7:2`)."""
    kind = "chatwoot_inbox" if ":" in external_id else "chatwoot_account"
    return await _after(request, session, inside, sources.bind(db, inside, kind, external_id), "bound")


@router.post("/unbind")
async def unbind_source(
    request: Request, db: Db, session: CurrentSession, inside: NamedProject, source_id: Text = ""
) -> Response:
    """Unbind a source."""
    wanted = projects.parse_id(source_id)
    if wanted is None:
        raise sources.SourceNotFound("This project has no such source.")
    return await _after(request, session, inside, sources.unbind(db, inside, wanted), "unbound")


async def _after(
    request: Request, session: CurrentSession, inside: Scope, doing: Coroutine[Any, Any, Source], done: str
) -> Response:
    try:
        await doing
    except (Invalid, NotFound, Conflict) as error:
        return await _shown(request, session, inside, wrong=error)
    if layout.wants_partial(request):
        return await _shown(request, session, inside, said=DONE[done])
    return RedirectResponse(f"/projects/{inside.project_id}/sources?done={done}", 303)


async def _shown(
    request: Request, session: CurrentSession, inside: Scope, *, said: str = "", wrong: ProofdeskError | None = None
) -> Response:
    db = request.state.resources.db
    offered = await available_sources.load_available_sources(request.state.resources.chatwoot)
    visible = await projects.list_visible(db, inside.actor)
    values = {
        "id": str(inside.project_id),
        "name": next((p.name for p in visible if p.id == inside.project_id), ""),
        "active": inside.project_id == session.active_project_id,
        "kept": await scope.is_project_owner(db, inside),
        "wrong": wrong.message if wrong else "",
        **_holdings(await overview.load_contents(db, inside), offered),
    }
    if layout.wants_partial(request):
        return layout.render_partial(request, "projects/_holdings.html", values, layout.error_status(wrong), toast=said)
    frame = await layout.load_frame(request, db, session)
    return layout.render_page(
        request, "projects/holdings.html", values, frame=frame, status=layout.error_status(wrong), toast=said
    )


def _holdings(held: overview.ProjectContents, offered: AvailableSources) -> dict[str, Any]:
    shown = view_models.project_data(held, offered)
    bound = {source["external_id"] for source in shown["sources"]}
    choices = [
        choice
        for account, name in offered.accounts.items()
        for choice in _of_account(account, name or f"Account {account}", offered)
        if choice.value not in bound
    ]
    return {"held": shown, "choices": choices, "problem": offered.problem}


def _of_account(account: int, name: str, offered: AvailableSources) -> list[Choice]:
    of_it = {inbox: named for (of, inbox), named in offered.inboxes.items() if of == account}
    whole = Choice(str(account), f"{name}: all inboxes")
    return [whole, *(Choice(f"{account}:{inbox}", f"{name}: {named}") for inbox, named in of_it.items())]
