"""Pages: create, open and archive projects; the settings page contains the forms for name and members."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.accounts import sessions
from proofdesk.accounts.session_queries import UserSession
from proofdesk.errors import Invalid, ProofdeskError
from proofdesk.http import dependencies
from proofdesk.http.dependencies import CurrentSession, Db, OwnedProject, ProjectEditor, Route
from proofdesk.http.web import layout, view_models
from proofdesk.http.web import settings as page
from proofdesk.http.web.settings import Text
from proofdesk.jobs import new_projects
from proofdesk.projects import members, projects, scope, timezones

router = APIRouter(route_class=Route)

DONE = {"archived": "Project archived. Its data stays. Other projects can bind its sources."}


@router.get("/projects")
async def show_projects(request: Request, session: CurrentSession, done: str = "") -> Response:
    """Show the projects that the user may open."""
    return await render_projects(request, session, notice=DONE.get(done, ""))


async def render_projects(
    request: Request, session: UserSession, *, name: str = "", error: ProofdeskError | None = None, notice: str = ""
) -> Response:
    """Return the page on which a project is opened or created. Pages that need a project show it as well."""
    db = request.state.resources.db
    visible = await projects.list_visible(db, dependencies.actor(request, session))
    values = {
        "projects": [
            {
                "id": str(p.id),
                "name": p.name,
                "made": view_models.display_time(p.created_at),
                "here": p.id == session.active_project_id,
            }
            for p in visible
        ],
        "name": name,
        "error": error.message if error else "",
    }
    frame = await layout.load_frame(request, db, session)
    return layout.render_page(
        request, "projects/page.html", values, frame=frame, status=layout.error_status(error), toast=notice
    )


@router.post("/projects")
async def create_project(request: Request, db: Db, session: CurrentSession, name: Text = "") -> Response:
    """Create a project and open it."""
    try:
        project = await new_projects.create(db, dependencies.actor(request, session), name)
    except Invalid as error:
        return await render_projects(request, session, name=name, error=error)
    project_scope = await dependencies.enter_project(request, session, str(project.id))
    await sessions.select_project(db, session, project_scope, project_scope.actor.request_id)
    return RedirectResponse(layout.HOME, 303)


@router.post("/projects/select")
async def select_project(request: Request, db: Db, session: CurrentSession, project_id: Text = "") -> Response:
    """Open another project."""
    project_scope = await dependencies.enter_project(request, session, project_id)
    await sessions.select_project(db, session, project_scope, project_scope.actor.request_id)
    return RedirectResponse(layout.HOME, 303)


@router.post("/projects/{project_id}/archive")
async def archive_project(db: Db, keeper: OwnedProject) -> Response:
    """Archive a project."""
    await projects.archive(db, keeper)
    return RedirectResponse("/projects?done=archived", 303)


@router.post("/settings/project/rename")
async def rename_project(
    request: Request, db: Db, session: CurrentSession, project_scope: ProjectEditor, name: Text = ""
) -> Response:
    """Rename the active project."""
    action = projects.rename(db, await scope.require_owner(db, project_scope), name)
    return await page.run_action(request, session, action, "renamed")


@router.post("/settings/project/timezone")
async def change_timezone(
    request: Request, db: Db, session: CurrentSession, project_scope: ProjectEditor, timezone: Text = ""
) -> Response:
    """Change the time zone of the active project. The next run of the job resolves the days again."""
    action = timezones.change(db, await scope.require_owner(db, project_scope), timezone)
    return await page.run_action(request, session, action, "timezone")


@router.post("/settings/members")
async def add_member(
    request: Request,
    db: Db,
    session: CurrentSession,
    project_scope: ProjectEditor,
    username: Text = "",
    role: Text = "editor",
) -> Response:
    """Add a member to the active project."""
    action = members.add(db, await scope.require_owner(db, project_scope), username, role)
    return await page.run_action(request, session, action, "member")


@router.post("/settings/members/role")
async def change_role(
    request: Request,
    db: Db,
    session: CurrentSession,
    project_scope: ProjectEditor,
    username: Text = "",
    role: Text = "",
) -> Response:
    """Change the role of a member of the active project."""
    action = members.add(db, await scope.require_owner(db, project_scope), username, role)
    return await page.run_action(request, session, action, "role")


@router.post("/settings/members/remove")
async def remove_member(
    request: Request, db: Db, session: CurrentSession, project_scope: ProjectEditor, username: Text = ""
) -> Response:
    """Remove a member from the active project."""
    action = members.remove(db, await scope.require_owner(db, project_scope), username)
    return await page.run_action(request, session, action, "member_removed")
