"""JSON: sign in, sign out, who am I."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from proofdesk import request as asking
from proofdesk.api.answers import Answer, shape, success
from proofdesk.api.bodies import Body, JsonRoute
from proofdesk.auth import csrf, sessions
from proofdesk.auth.sessions import Login
from proofdesk.request import Config, Db, Visitor

router = APIRouter(prefix="/v1/auth", tags=["auth"], route_class=JsonRoute)


class Credentials(Body):
    """What somebody signs in with."""

    username: str | None = Field(None, max_length=320)
    password: str | None = Field(None, max_length=4096)


Signed = shape("SignedIn", username=str, active_project_id=UUID | None, csrf_cookie_name=str)
Me = shape(
    "Me",
    authenticated=bool,
    username=str | None,
    active_project_id=UUID | None,
    account_scope_id=UUID | None,
    csrf_cookie_name=str | None,
    created_at=datetime | None,
    last_seen_at=datetime | None,
)


@router.post("/login", summary="Sign in", response_model=Signed)
async def login(request: Request, db: Db, settings: Config, given: Credentials) -> Answer:
    """Opens a session and sets the session and CSRF cookies."""
    opened = await sessions.open(db, settings, presented(request, settings, given.username, given.password))
    answer = success(
        username=opened.username,
        active_project_id=opened.active_project_id,
        csrf_cookie_name=settings.csrf_cookie_name,
    )
    asking.set_cookies(answer, settings, opened)
    return answer


@router.post("/logout", summary="Sign out", response_model=shape("SignedOut"))
async def logout(request: Request, db: Db, settings: Config) -> Answer:
    """Ends the session, when there is one."""
    if token := asking.session_token(request):
        await sessions.close(db, token)
    answer = success()
    asking.clear_cookies(answer, settings)
    return answer


@router.get("/me", summary="Who am I", response_model=Me)
async def me(request: Request, settings: Config, session: Visitor) -> Answer:
    """The session, or `authenticated: false`."""
    if session is None:
        answer = success(authenticated=False)
        if asking.session_token(request):
            asking.clear_cookies(answer, settings)
        return answer
    inside = await asking.active_scope(request, session)
    return success(
        authenticated=True,
        username=session.username,
        active_project_id=inside and inside.project_id,
        account_scope_id=inside and inside.account_scope_id,
        csrf_cookie_name=settings.csrf_cookie_name,
        created_at=session.created_at,
        last_seen_at=session.last_seen_at,
    )


def presented(request: Request, settings: Config, username: str | None, password: str | None) -> Login:
    """The login that a request presents. Raises `CsrfInvalid` when somebody else's page sent it."""
    headers = request.headers
    csrf.check_fetch_site(headers.get("sec-fetch-site"), headers.get("origin"), settings.cors_origins)
    address = request.client.host if request.client else "unknown"
    return Login(username or "", password or "", address, asking.session_token(request))
