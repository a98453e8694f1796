"""Forms: the kill switch, and the rules of a project for its outbound messages."""

from typing import Annotated, Any

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from proofdesk.database.pool import Database
from proofdesk.http.dependencies import Db, ProjectEditor, Route
from proofdesk.http.web import view_models
from proofdesk.outbound import kill_switch, rules
from proofdesk.projects.scope import Scope

router = APIRouter(prefix="/outbound", route_class=Route)

Text = Annotated[str, Form()]


@router.post("/kill-switch")
async def switch(db: Db, scope: ProjectEditor, on: Text, reason: Text = "", all_projects: Text = "") -> Response:
    """Stop all sending, or allow it again."""
    await kill_switch.switch(db, scope, on == "true", reason, all_projects=bool(all_projects))
    return RedirectResponse(f"/outbound?done={'stopped' if on == 'true' else 'resumed'}", 303)


@router.post("/rules")
async def change_rules(db: Db, scope: ProjectEditor, send_unconfirmed: Text = "") -> Response:
    """Change the rules of the project."""
    await rules.change_rules(db, scope, bool(send_unconfirmed))
    return RedirectResponse("/outbound/policies?done=rules", 303)


async def load_kill_switch(db: Database, scope: Scope) -> dict[str, Any] | None:
    """Return the kill switch that stops the project, as pages show it; None when sending is on."""
    active = await kill_switch.load_active(db, scope)
    return active and vars(active) | {"since": view_models.display_time(active.since)}
