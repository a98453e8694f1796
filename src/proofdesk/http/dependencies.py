"""What a handler may ask for, each as the type of a parameter: what it works with, and the right it needs.

A handler that takes none of `Viewer`, `ProjectReader`, `ProjectEditor`, `NamedProject` and `Owner` is public.
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Path, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from proofdesk.accounts import csrf, sessions
from proofdesk.accounts.queries import Session, Visit
from proofdesk.dashboard.database_metrics import MetricsCache
from proofdesk.database.pool import Database
from proofdesk.errors import Conflict, Denied, Invalid
from proofdesk.http.cookies import session_token
from proofdesk.jobs import resources
from proofdesk.projects import projects, scope
from proofdesk.projects.scope import Keeper, Scope
from proofdesk.settings import Settings

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
    """The session has no active project that its person may enter."""

    code = "active_project_required"


# What it works with -----------------------------------------------------------------------------------------------
# All of what is depended on is `async`: anything else is handed to a thread, and each request waits for it.


def _held(request: Request) -> resources.Resources:
    return request.state.resources


async def _resources(request: Request) -> resources.Resources:
    return _held(request)


async def _database(request: Request) -> Database:
    return _held(request).db


async def _settings(request: Request) -> Settings:
    return _held(request).settings


async def _board(request: Request) -> MetricsCache:
    return request.state.board


Resources = Annotated[resources.Resources, Depends(_resources)]
Db = Annotated[Database, Depends(_database)]
Config = Annotated[Settings, Depends(_settings)]
Metrics = Annotated[MetricsCache, Depends(_board)]


# Rights -----------------------------------------------------------------------------------------------------------


async def optional_session(request: Request) -> Visit | None:
    """The session of the request, read once; None for a stranger."""
    # Kept in the scope, not in request.state: servers may share the latter between requests.
    if SESSION not in request.scope:
        token = session_token(request)
        request.scope[SESSION] = await sessions.read(_held(request).db, token) if token else None
    return request.scope[SESSION]


async def current_session(request: Request) -> Visit:
    """The session; for a change its CSRF token is checked. Raises `Unauthorized` or `CsrfInvalid`."""
    session = await optional_session(request)
    if session is None:
        raise Unauthorized("Sign in first: there is no session, or it has ended.")
    if request.method not in csrf.SAFE_METHODS:
        csrf.check(session.csrf_token, await _presented_token(request))
    return session


async def project_reader(request: Request, session: Annotated[Visit, Depends(current_session)]) -> Scope:
    """The active project, entered. Raises `ActiveProjectRequired`."""
    inside = active_scope(request, session)
    if inside is None:
        raise ActiveProjectRequired("Choose a project first: POST /projects/{id}/select.")
    return inside


async def project_editor(inside: Annotated[Scope, Depends(project_reader)]) -> Scope:
    """The active project, to change what is in it: every member may."""
    return inside


async def named_project(
    request: Request,
    session: Annotated[Visit, Depends(current_session)],
    project_id: Annotated[str, Path(description="Id of the project.", json_schema_extra={"format": "uuid"})],
) -> Scope:
    """The project that the path names, entered. Raises `Invalid` (`invalid_project_id`) or `ProjectNotFound`."""
    return await enter_project(request, session, project_id)


async def project_manager(request: Request, inside: Annotated[Scope, Depends(named_project)]) -> Keeper:
    """The project that the path names, for whoever looks after it. Raises `Denied` (`forbidden`)."""
    return await scope.keep(_held(request).db, inside)


async def owner(session: Annotated[Visit, Depends(current_session)]) -> Visit:
    """The owner's session. Raises `Denied` (`forbidden`)."""
    if not session.is_owner:
        raise Denied("Only the owner may do this.", code="forbidden", status=403)
    return session


OptionalSession = Annotated[Visit | None, Depends(optional_session)]
CurrentSession = Annotated[Visit, Depends(current_session)]
ProjectReader = Annotated[Scope, Depends(project_reader)]
ProjectEditor = Annotated[Scope, Depends(project_editor)]
NamedProject = Annotated[Scope, Depends(named_project)]
ProjectManager = Annotated[Keeper, Depends(project_manager)]
Owner = Annotated[Visit, Depends(owner)]


async def enter_project(request: Request, session: Session, project_id: str) -> Scope:
    """Enter a project by the text of its id. Raises `Invalid` (`invalid_project_id`) or `ProjectNotFound`."""
    wanted = projects.as_id(project_id)
    if wanted is None:
        raise Invalid("A project id is a UUID.", code="invalid_project_id")
    return await scope.enter(_held(request).db, actor(request, session), wanted)


def actor(request: Request, session: Session) -> sessions.Actor:
    """The person of the session, acting in this request."""
    return sessions.actor(session, request.scope.get(REQUEST_ID))


def needs_session(dependant: Dependant) -> bool:
    """Whether a handler or anything it depends on asks for a session."""
    return dependant.call is current_session or any(map(needs_session, dependant.dependencies))


def active_scope(request: Request, session: Visit) -> Scope | None:
    """The active project when there is one that can be entered."""
    return scope.active(actor(request, session), session)


# How handlers are called ------------------------------------------------------------------------------------------


class Route(APIRoute):
    """A route that reads the body within its limit and knows who asks before anything is parsed."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler behind these checks: text that no database can hold, the session, the body's form."""
        handle = super().get_route_handler()
        protected = needs_session(self.dependant)

        async def guarded(request: Request) -> Response:
            if any(char < " " for char in request.scope["path"]) or b"%00" in request.scope["query_string"]:
                raise Invalid("The address holds a control character.")
            if request.method not in csrf.SAFE_METHODS:
                await request.body()
            if protected:
                await current_session(request)
            return await handle(await self.prepare_request(request))

        return guarded

    async def prepare_request(self, request: Request) -> Request:
        """The request as the handler should see it; a door that is strict about bodies raises `Invalid` here."""
        return request


async def _presented_token(request: Request) -> str | None:
    header = request.headers.get("x-csrf-token")
    if header is None and is_form(request.headers.get("content-type", "")):
        field = (await request.form()).get("csrf_token")
        return field if isinstance(field, str) else None
    return header


def is_form(content_type: str) -> bool:
    """Whether a content type is that of an HTML form."""
    return content_type.split(";")[0].strip().lower() in ("application/x-www-form-urlencoded", "multipart/form-data")
