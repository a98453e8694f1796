"""Pages: sign in and sign out. The login page also contains the forms of `web.signup`."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.accounts import limits, sessions, signup
from proofdesk.errors import Denied, Invalid, ProofdeskError
from proofdesk.http import dependencies, errors, runbook_context
from proofdesk.http.cookies import clear_session_cookies, session_token, set_probe_cookie, set_session_cookies
from proofdesk.http.dependencies import Config, CurrentSession, Db, OptionalSession, Route
from proofdesk.http.requests import login_request
from proofdesk.http.web import layout
from proofdesk.runbooks import registry
from proofdesk.runbooks.findings import RunbookResult

router = APIRouter(route_class=Route)

FIXES = {
    signup.TelegramNotConfigured.code: "Create a bot with @BotFather in Telegram, set its token in the environment of "
    "the server, and restart Proofdesk.",
    signup.OwnerNotBound.code: "The owner signs in, opens Settings, Telegram, and creates a bind code.",
}
"""How to provide what signup is missing, by the error code."""


@router.get("/login")
async def show_login(
    request: Request, session: OptionalSession, next: str = "", signup: str = "", create: str | None = None
) -> Response:
    """Show the forms, or redirect a signed-in user. With `signup`, show the form for the PIN."""
    if session is not None:
        return RedirectResponse(layout.safe_path(next), 303)
    return await render_login(request, next=next, signup_request_id=signup, wanted="" if create is not None else None)


@router.post("/login")
async def login(
    request: Request,
    db: Db,
    settings: Config,
    username: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "",
) -> Response:
    """Sign in and go to the requested page, or show the form again with the error."""
    try:
        opened = await sessions.sign_in(db, settings, login_request(request, settings, username, password))
    except (Denied, Invalid) as error:
        return await render_login(request, next=next, username=username, error=error)
    answer = RedirectResponse(layout.safe_path(next), 303)
    set_session_cookies(answer, settings, opened)
    return answer


@router.post("/logout")
async def logout(request: Request, db: Db, settings: Config, session: CurrentSession) -> Response:
    """End the session."""
    if token := session_token(request):
        await sessions.sign_out(db, token, request.scope.get(dependencies.REQUEST_ID))
    answer = RedirectResponse("/login", 303)
    clear_session_cookies(answer, settings)
    return answer


@router.post("/auth/check")
async def check(request: Request, session: OptionalSession, next: Annotated[str, Form()] = "") -> Response:
    """Run the runbook `auth-loop` on this request: why does this browser not stay signed in?"""
    found = await registry.run_checks(
        await runbook_context.build_context(request, session), registry.get_runbook("auth-loop")
    )
    if layout.wants_partial(request):
        return layout.render_partial(request, "login/_check.html", {"found": found, "next": next})
    return await render_login(request, next=next, found=found)


async def render_login(
    request: Request,
    *,
    next: str = "",
    username: str = "",
    error: ProofdeskError | None = None,
    wanted: str | None = None,
    signup_request_id: str = "",
    wrong: ProofdeskError | None = None,
    found: RunbookResult | None = None,
) -> Response:
    """Return the login page. `error` is about signing in, `wrong` about signing up, `wanted` is the requested username.

    `found` is the result of the browser check, if it ran.
    """
    held = request.state.resources
    refused = error or wrong
    status = await signup.status(held.db, held.settings)
    values = {
        "next": next,
        "username": username,
        "error": error.message if error else "",
        "locked_out": isinstance(error, limits.LoginRateLimited),
        "found": found,
        "signup": status,
        "fix": FIXES.get(status.missing[0], "") if status.missing else "",
        "signup_request_id": signup_request_id,
        "wanted": wanted or "",
        "wrong": wrong.message if wrong else "",
        "open": wanted is not None or wrong is not None,
        "minutes": held.settings.signup_pin_ttl_minutes,
    }
    headers = errors.describe_error(refused).headers if refused else None
    answer = layout.render_page(
        request, "login/page.html", values, status=layout.error_status(refused), headers=headers
    )
    set_probe_cookie(answer, held.settings)
    return answer
