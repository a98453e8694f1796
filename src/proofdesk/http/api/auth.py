"""JSON: sign in, sign out, who am I."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from proofdesk.accounts import sessions
from proofdesk.accounts.sessions import Opened
from proofdesk.http import dependencies as asking
from proofdesk.http.cookies import clear_session_cookies, session_token, set_session_cookies
from proofdesk.http.dependencies import Config, Db, OptionalSession
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.requests import login_request
from proofdesk.http.responses import Envelope, success
from proofdesk.http.schemas import optional_field, schema
from proofdesk.settings import Settings

router = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=JsonRoute)


class Credentials(JsonBody):
    """What somebody signs in with."""

    username: str | None = Field(None, max_length=320)
    password: str | None = Field(None, max_length=4096)


SessionAnswer = schema("SignedIn", username=str, active_project_id=UUID | None, csrf_cookie_name=str)
Me = schema(
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
async def login(request: Request, db: Db, settings: Config, given: Credentials) -> Envelope:
    """Opens a session and sets the session and CSRF cookies."""
    opened = await sessions.open(db, settings, login_request(request, settings, given.username, given.password))
    return session_response(settings, opened)


@router.post("/logout", summary="Sign out", response_model=schema("SignedOut"))
async def logout(request: Request, db: Db, settings: Config) -> Envelope:
    """Ends the session, when there is one."""
    if token := session_token(request):
        await sessions.close(db, token, request.scope.get(asking.REQUEST_ID))
    answer = success()
    clear_session_cookies(answer, settings)
    return answer


@router.get("/me", summary="Who am I", response_model=Me)
async def me(request: Request, settings: Config, session: OptionalSession) -> Envelope:
    """The session, or `authenticated: false`."""
    if session is None:
        answer = success(authenticated=False)
        if session_token(request):
            clear_session_cookies(answer, settings)
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


def session_response(settings: Settings, opened: Opened) -> Envelope:
    """The answer that hands over a new session."""
    answer = success(
        username=opened.username,
        active_project_id=opened.active_project_id,
        csrf_cookie_name=settings.csrf_cookie_name,
    )
    set_session_cookies(answer, settings, opened)
    return answer
