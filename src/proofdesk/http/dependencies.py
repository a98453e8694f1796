"""What a handler can depend on, as types of parameters: resources, and the right that the handler needs.

A handler that takes none of `CurrentSession`, `OptionalProject`, `ProjectReader`, `ProjectEditor`, `NamedProject`,
`OwnedProject` and `Owner` is public.
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Path, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from proofdesk.accounts import csrf, sessions
from proofdesk.accounts.session_queries import ActiveSession, UserSession
from proofdesk.dashboard.database_metrics import MetricsCache
from proofdesk.database.pool import Database
from proofdesk.errors import Conflict, Denied, Invalid
from proofdesk.http.cookies import session_token
from proofdesk.jobs import resources
from proofdesk.projects import projects
from proofdesk.projects import scope as project_scope
from proofdesk.projects.scope import ProjectOwner, Scope
from proofdesk.settings import Settings

# Keys of the ASGI scope.
SESSION = "proofdesk.session"
REQUEST_ID = "proofdesk.request_id"
JSON_APP = "proofdesk.json_app"
FORWARDED = "proofdesk.forwarded"
IS_HEAD = "proofdesk.is_head"
JSON_SCOPE = "proofdesk.json_scope"


class Unauthorized(Denied):
    """There is no session, or it has ended."""

    code = "unauthorized"


class ActiveProjectRequired(Conflict):
    """The session has no active project, or its user may not enter it."""

    code = "active_project_required"


class ProjectChanged(Conflict):
    """The request was made for another project than the active one."""

    code = "project_changed"


# Resources --------------------------------------------------------------------------------------------------------
# Every dependency is `async`: FastAPI runs others in a thread, and each request would wait for one.


async def _resources(request: Request) -> resources.Resources:
    return request.state.resources


async def _database(request: Request) -> Database:
    return request.state.resources.db


async def _settings(request: Request) -> Settings:
    return request.state.resources.settings


async def _metrics(request: Request) -> MetricsCache:
    return request.state.board


Resources = Annotated[resources.Resources, Depends(_resources)]
Db = Annotated[Database, Depends(_database)]
Config = Annotated[Settings, Depends(_settings)]
Metrics = Annotated[MetricsCache, Depends(_metrics)]


# Rights -----------------------------------------------------------------------------------------------------------


async def optional_session(request: Request) -> ActiveSession | None:
    """Return the session of the request, read once; None without a valid session."""
    # Kept in the scope, not in request.state: servers may share the latter between requests.
    if SESSION not in request.scope:
        token = session_token(request)
        request.scope[SESSION] = await sessions.load_session(request.state.resources.db, token) if token else None
    return request.scope[SESSION]


async def current_session(request: Request) -> ActiveSession:
    """Return the session. For an unsafe method also check the CSRF token. Raises `Unauthorized` or `CsrfInvalid`."""
    session = await optional_session(request)
    if session is None:
        raise Unauthorized("There is no session, or it has ended. Sign in first.")
    if request.method not in csrf.SAFE_METHODS:
        csrf.check(session.csrf_token, await _field_or_header(request, "x-csrf-token", "csrf_token"))
    return session


async def optional_project(
    request: Request, session: Annotated[ActiveSession, Depends(current_session)]
) -> Scope | None:
    """Return the scope of the active project, None without one. Raises `ProjectChanged` if the request names another.

    A page that is opened shows the active project, whichever the page with the link to it belonged to.
    """
    named = None if opens_page(request) else await _field_or_header(request, "x-project-id", "project_id")
    if named and named.strip().lower() != str(session.active_project_id):
        raise await _project_changed(request, session, named)
    return active_scope(request, session)


async def project_reader(scope: Annotated[Scope | None, Depends(optional_project)]) -> Scope:
    """Return the scope of the active project, for reading. Raises `ActiveProjectRequired` or `ProjectChanged`."""
    if scope is None:
        raise ActiveProjectRequired("No project is active. Choose one first: POST /projects/{id}/select.")
    return scope


async def project_editor(scope: Annotated[Scope, Depends(project_reader)]) -> Scope:
    """Return the scope of the active project, for changing its data. Raises `RoleRequired` for a viewer."""
    scope.require("editor")
    return scope


async def named_project(
    request: Request,
    session: Annotated[ActiveSession, Depends(current_session)],
    project_id: Annotated[str, Path(description="Id of the project.", json_schema_extra={"format": "uuid"})],
) -> Scope:
    """Return the scope of the project in the path. Raises `Invalid` (`invalid_project_id`) or `ProjectNotFound`."""
    return await enter_project(request, session, project_id)


async def project_owner(request: Request, scope: Annotated[Scope, Depends(named_project)]) -> ProjectOwner:
    """Return the right to manage the project in the path. Raises `Denied` (`forbidden`)."""
    return await project_scope.require_owner(request.state.resources.db, scope)


async def owner(session: Annotated[ActiveSession, Depends(current_session)]) -> ActiveSession:
    """Return the owner's session. Raises `Denied` (`forbidden`)."""
    if not session.is_owner:
        raise Denied("Only the owner may do this.", code="forbidden", status=403)
    return session


OptionalSession = Annotated[ActiveSession | None, Depends(optional_session)]
CurrentSession = Annotated[ActiveSession, Depends(current_session)]
OptionalProject = Annotated[Scope | None, Depends(optional_project)]
ProjectReader = Annotated[Scope, Depends(project_reader)]
ProjectEditor = Annotated[Scope, Depends(project_editor)]
NamedProject = Annotated[Scope, Depends(named_project)]
OwnedProject = Annotated[ProjectOwner, Depends(project_owner)]
Owner = Annotated[ActiveSession, Depends(owner)]
IN_PROJECT = [Depends(optional_project)]
"""For routes that use the active project, if there is one, without a scope as a parameter."""


async def enter_project(request: Request, session: UserSession, project_id: str) -> Scope:
    """Return the scope of a project by the text of its id. Raises `Invalid` or `ProjectNotFound`."""
    parsed_id = projects.parse_id(project_id)
    if parsed_id is None:
        raise Invalid("A project id must be a UUID.", code="invalid_project_id")
    return await project_scope.enter(request.state.resources.db, actor(request, session), parsed_id)


def opens_page(request: Request) -> bool:
    """Return whether htmx opens a page, rather than acting on the one that is shown or updating a part of it."""
    return request.method in csrf.SAFE_METHODS and request.headers.get("hx-request-type") == "full"


def actor(request: Request, session: UserSession) -> sessions.Actor:
    """Return the user of the session as the actor of this request."""
    return sessions.actor_of_session(session, request.scope.get(REQUEST_ID))


def active_scope(request: Request, session: ActiveSession) -> Scope | None:
    """Return the scope of the active project, None when no project is active or the user may not enter it."""
    return project_scope.active_scope(actor(request, session), session)


def needs_session(dependant: Dependant) -> bool:
    """Return whether a handler, or one of its dependencies, requires a session."""
    return dependant.call is current_session or any(map(needs_session, dependant.dependencies))


# Routes -----------------------------------------------------------------------------------------------------------


class Route(APIRoute):
    """A route that reads the body within its limit and checks the session before it parses anything."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler behind these checks: control characters, the session, the form of the body."""
        handle = super().get_route_handler()
        is_protected = needs_session(self.dependant)

        async def handle_checked(request: Request) -> Response:
            if any(char < " " for char in request.scope["path"]) or b"%00" in request.scope["query_string"]:
                raise Invalid("The URL contains a control character. Remove it.")
            if request.method not in csrf.SAFE_METHODS:
                await request.body()
            if is_protected:
                await current_session(request)
            return await handle(await self.prepare_request(request))

        return handle_checked

    async def prepare_request(self, request: Request) -> Request:
        """Return the request for the handler. `JsonRoute` parses the body here."""
        return request


def is_form(content_type: str) -> bool:
    """Return whether a content type is that of an HTML form."""
    return content_type.split(";")[0].strip().lower() in ("application/x-www-form-urlencoded", "multipart/form-data")


async def _field_or_header(request: Request, header: str, field: str) -> str | None:
    """Return a value that scripts and API clients send as a header, and forms as a field."""
    value = request.headers.get(header)
    if value is None and is_form(request.headers.get("content-type", "")):
        content = (await request.form()).get(field)
        return content if isinstance(content, str) else None
    return value


async def _project_changed(request: Request, session: ActiveSession, named: str) -> ProjectChanged:
    visible = await projects.list_visible(request.state.resources.db, actor(request, session))
    names = {str(project.id): project.name for project in visible}
    named_id, active_id = named.strip().lower(), str(session.active_project_id)
    back = f"Go back to {names[named_id]}?" if named_id in names else "You can no longer open the project of this page."
    switched = f"You switched to {names[active_id]}." if active_id in names else "You left the project."
    details = {
        "project_id": named_id if named_id in names else None,
        "project": names.get(named_id),
        "active_project_id": session.active_project_id,
    }
    return ProjectChanged(f"{switched} {back}", details=details)
