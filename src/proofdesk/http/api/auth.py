"""JSON: sign in, sign out, who am I."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from proofdesk.accounts import csrf, sessions
from proofdesk.accounts.sessions import Login, Opened
from proofdesk.http import dependencies as asking
from proofdesk.http.api.request_bodies import JsonBody, JsonRoute
from proofdesk.http.api.responses import EnvelopeResponse, envelope, optional_field, success
from proofdesk.http.dependencies import Config, Db, OptionalSession
from proofdesk.settings import Settings

router = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=JsonRoute)


class Credentials(JsonBody):
    """What somebody signs in with."""

    username: str | None = Field(None, max_length=320)
    password: str | None = Field(None, max_length=4096)


SessionAnswer = envelope("SignedIn", username=str, active_project_id=UUID | None, csrf_cookie_name=str)
Me = envelope(
    "Me",
    authenticated=bool,
    username=optional_field(str),
    active_project_id=optional_field(UUID | None),
    account_scope_id=optional_field(UUID | None),
    csrf_cookie_name=optional_field(str),
    created_at=optional_field(datetime),
    last_seen_at=optional_field(datetime),
)


@router.post("/login", summary="Sign in", response_model=SessionAnswer)
async def login(request: Request, db: Db, settings: Config, given: Credentials) -> EnvelopeResponse:
    """Opens a session and sets the session and CSRF cookies."""
    opened = await sessions.open(db, settings, login_request(request, settings, given.username, given.password))
    return session_response(settings, opened)


@router.post("/logout", summary="Sign out", response_model=envelope("SignedOut"))
async def logout(request: Request, db: Db, settings: Config) -> EnvelopeResponse:
    """Ends the session, when there is one."""
    if token := asking.session_token(request):
        await sessions.close(db, token, request.scope.get(asking.REQUEST_ID))
    answer = success()
    asking.clear_session_cookies(answer, settings)
    return answer


@router.get("/me", summary="Who am I", response_model=Me)
async def me(request: Request, settings: Config, session: OptionalSession) -> EnvelopeResponse:
    """The session, or `authenticated: false`."""
    if session is None:
        answer = success(authenticated=False)
        if asking.session_token(request):
            asking.clear_session_cookies(answer, settings)
        return answer
    inside = asking.active_scope(request, session)
    return success(
        authenticated=True,
        username=session.username,
        active_project_id=inside and inside.project_id,
        account_scope_id=inside and inside.account_scope_id,
        csrf_cookie_name=settings.csrf_cookie_name,
        created_at=session.created_at,
        last_seen_at=session.last_seen_at,
    )


def session_response(settings: Settings, opened: Opened) -> EnvelopeResponse:
    """The answer that hands over a new session."""
    answer = success(
        username=opened.username,
        active_project_id=opened.active_project_id,
        csrf_cookie_name=settings.csrf_cookie_name,
    )
    asking.set_session_cookies(answer, settings, opened)
    return answer


def login_request(request: Request, settings: Settings, username: str | None, password: str | None) -> Login:
    """The login that a request presents. Raises `CsrfInvalid` when somebody else's page sent it."""
    check_same_site(request, settings)
    request_id = request.scope.get(asking.REQUEST_ID)
    return Login(username or "", password or "", client_address(request), asking.session_token(request), request_id)


def check_same_site(request: Request, settings: Settings) -> None:
    """Refuse what a page of another site sends. Raises `CsrfInvalid`."""
    headers = request.headers
    csrf.check_fetch_site(headers.get("sec-fetch-site"), headers.get("origin"), settings.cors_origins)


def client_address(request: Request) -> str:
    """The network address of whoever asks."""
    return request.client.host if request.client else "unknown"
