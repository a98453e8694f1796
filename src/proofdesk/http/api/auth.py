"""JSON: sign in, sign out, and the current session."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from proofdesk.accounts import sessions
from proofdesk.accounts.sessions import NewSession
from proofdesk.http.cookies import clear_session_cookies, session_token, set_probe_cookie, set_session_cookies
from proofdesk.http.dependencies import REQUEST_ID, Config, Db, OptionalSession, active_scope
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.requests import login_request
from proofdesk.http.responses import JsonEnvelope, success
from proofdesk.http.schemas import optional_field, schema
from proofdesk.settings import Settings

router = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=JsonRoute)


class Credentials(JsonBody):
    """A username and its password."""

    username: str | None = Field(None, max_length=320)
    password: str | None = Field(None, max_length=4096)


SessionAnswer = schema("SignedIn", username=str, active_project_id=UUID | None, csrf_cookie_name=str)
CurrentSessionAnswer = schema(
    "Me",
    authenticated=bool,
    username=optional_field(str),
    active_project_id=optional_field(UUID | None),
    account_scope_id=optional_field(UUID | None),
    role=optional_field(str | None),
    csrf_cookie_name=optional_field(str),
    created_at=optional_field(datetime),
    last_seen_at=optional_field(datetime),
)

EchoAnswer = schema("Echo", host=str, cookies=list[str], csrf_header=bool)


@router.post("/login", summary="Sign in", response_model=SessionAnswer)
async def login(request: Request, db: Db, settings: Config, credentials: Credentials) -> JsonEnvelope:
    """Starts a session and sets the session and CSRF cookies."""
    login = login_request(request, settings, credentials.username, credentials.password)
    return session_response(settings, await sessions.sign_in(db, settings, login))


@router.post("/logout", summary="Sign out", response_model=schema("SignedOut"))
async def logout(request: Request, db: Db, settings: Config) -> JsonEnvelope:
    """Ends the session, if there is one."""
    if token := session_token(request):
        await sessions.sign_out(db, token, request.scope.get(REQUEST_ID))
    response = success()
    clear_session_cookies(response, settings)
    return response


@router.get("/echo", summary="Show what arrived", response_model=EchoAnswer)
async def echo(request: Request, settings: Config) -> JsonEnvelope:
    """What a request to this address looks like when it arrives: what a proxy changes or removes is visible."""
    response = success(
        host=request.headers.get("host", ""),
        cookies=sorted(request.cookies),
        csrf_header="x-csrf-token" in request.headers,
    )
    set_probe_cookie(response, settings)
    return response


@router.get("/me", summary="Get the current session", response_model=CurrentSessionAnswer)
async def me(request: Request, settings: Config, session: OptionalSession) -> JsonEnvelope:
    """The session, or `authenticated: false`."""
    if session is None:
        response = success(authenticated=False)
        if session_token(request):
            clear_session_cookies(response, settings)
        return response
    scope = active_scope(request, session)
    return success(
        authenticated=True,
        username=session.username,
        active_project_id=scope and scope.project_id,
        account_scope_id=scope and scope.account_scope_id,
        role=scope and scope.role,
        csrf_cookie_name=settings.csrf_cookie_name,
        created_at=session.created_at,
        last_seen_at=session.last_seen_at,
    )


def session_response(settings: Settings, opened: NewSession) -> JsonEnvelope:
    """Return the response that delivers a new session and sets its cookies."""
    response = success(
        username=opened.username,
        active_project_id=opened.active_project_id,
        csrf_cookie_name=settings.csrf_cookie_name,
    )
    set_session_cookies(response, settings, opened)
    return response
