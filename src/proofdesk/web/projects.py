"""Pages: a project made or chosen from any page."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk import request as asking
from proofdesk.auth import sessions
from proofdesk.errors import Invalid
from proofdesk.projects import projects
from proofdesk.request import Db, Route, Viewer
from proofdesk.web import shell

router = APIRouter(route_class=Route)


@router.post("/projects")
async def create_project(request: Request, db: Db, session: Viewer, name: Annotated[str, Form()] = "") -> Response:
    """Make a project and work in it."""
    try:
        project = await projects.create(db, asking.actor(request, session), name)
    except Invalid as error:
        frame = await shell.frame(request, db, session)
        values = {"name": name, "error": error.message}
        return shell.page(request, "projects/none.html", values, frame=frame, status=400)
    await sessions.work_in(db, session, project.id)
    return RedirectResponse(shell.HOME, 303)


@router.post("/projects/select")
async def select_project(
    request: Request, db: Db, session: Viewer, project_id: Annotated[str, Form()] = ""
) -> Response:
    """Work in another project."""
    inside = await asking.enter(request, session, project_id)
    await sessions.work_in(db, session, inside.project_id)
    return RedirectResponse(shell.HOME, 303)
