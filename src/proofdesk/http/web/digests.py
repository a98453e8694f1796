"""Page: the digest of a project, and whether the user gets it."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.accounts.session_queries import ActiveSession
from proofdesk.digests import content, subscriptions
from proofdesk.digests.queries import DigestSubscription
from proofdesk.errors import Denied, Invalid, ProofdeskError
from proofdesk.http import dependencies
from proofdesk.http.dependencies import CurrentSession, Db, ProjectReader, Route
from proofdesk.http.web import layout, projects
from proofdesk.http.web.layout import Choice

router = APIRouter(prefix="/digest", route_class=Route)

Text = Annotated[str, Form()]

DONE = {"subscribed": "You get the digest from the next one that is due.", "unsubscribed": "You get no more digests."}


@router.get("")
async def show_digest(request: Request, session: CurrentSession, cadence: str = "daily", done: str = "") -> Response:
    """Show what the digest would say now, and how the user gets it."""
    return await _render(request, session, cadence, notice=DONE.get(done, ""))


@router.post("")
async def subscribe(
    request: Request,
    db: Db,
    session: CurrentSession,
    scope: ProjectReader,
    daily: Text = "",
    weekly: Text = "",
    email: Text = "",
    telegram: Text = "",
) -> Response:
    """Subscribe to the digest, or unsubscribe when neither kind is chosen."""
    if not daily and not weekly:
        await subscriptions.unsubscribe(db, scope)
        return RedirectResponse("/digest?done=unsubscribed", 303)
    wanted = DigestSubscription(bool(daily), bool(weekly), email, bool(telegram))
    try:
        await subscriptions.subscribe(db, scope, **vars(wanted))
    except (Invalid, Denied) as error:
        return await _render(request, session, "daily", error=error, form=wanted)
    return RedirectResponse("/digest?done=subscribed", 303)


async def _render(
    request: Request,
    session: ActiveSession,
    cadence: str,
    *,
    notice: str = "",
    error: ProofdeskError | None = None,
    form: DigestSubscription | None = None,
) -> Response:
    scope = dependencies.active_scope(request, session)
    if scope is None:
        return await projects.render_projects(request, session)
    db, settings = request.state.resources.db, request.state.resources.settings
    cadence = cadence if cadence in content.LENGTHS else "daily"
    digest = await content.compose(db, scope, cadence, datetime.now(UTC), settings.project_timezone)
    values: dict[str, Any] = {
        "sections": digest.sections,
        "cadences": [Choice(f"/digest?cadence={name}", name.capitalize(), name == cadence) for name in content.LENGTHS],
        "form": form or await subscriptions.load(db, scope) or DigestSubscription(False, False, "", False),
        "hour": content.HOUR,
        "error": error.message if error else "",
    }
    frame = await layout.load_frame(request, db, session)
    return layout.render_page(
        request, "digest/page.html", values, frame=frame, status=layout.error_status(error), toast=notice
    )
