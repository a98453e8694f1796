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
from proofdesk.runbooks import execution, registry
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
    return await render_login(
        request, next=next, signup_request_id=signup, new_username="" if create is not None else None
    )


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
        new_session = await sessions.sign_in(db, settings, login_request(request, settings, username, password))
    except (Denied, Invalid) as error:
        return await render_login(request, next=next, username=username, error=error)
    response = RedirectResponse(layout.safe_path(next), 303)
    set_session_cookies(response, settings, new_session)
    return response


@router.post("/logout")
async def logout(request: Request, db: Db, settings: Config, session: CurrentSession) -> Response:
    """End the session."""
    if token := session_token(request):
        await sessions.sign_out(db, token, request.scope.get(dependencies.REQUEST_ID))
    response = RedirectResponse("/login", 303)
    clear_session_cookies(response, settings)
    return response


@router.post("/auth/check")
async def check(request: Request, session: OptionalSession, next: Annotated[str, Form()] = "") -> Response:
    """Run the runbook `auth-loop` on this request: why does this browser not stay signed in?"""
    diagnosis = await execution.run_checks(
        await runbook_context.build_context(request, session), registry.get_runbook("auth-loop")
    )
    if layout.wants_partial(request):
        return layout.render_partial(request, "login/_check.html", {"diagnosis": diagnosis, "next": next})
    return await render_login(request, next=next, diagnosis=diagnosis)


async def render_login(
    request: Request,
    *,
    next: str = "",
    username: str = "",
    error: ProofdeskError | None = None,
    new_username: str | None = None,
    signup_request_id: str = "",
    signup_error: ProofdeskError | None = None,
    diagnosis: RunbookResult | None = None,
) -> Response:
    """Return the login page. `error` is about signing in, `signup_error` and `new_username` about signing up.

    `diagnosis` is the result of the browser check, if it ran.
    """
    resources = request.state.resources
    refused = error or signup_error
    status = await signup.status(resources.db, resources.settings)
    values = {
        "next": next,
        "username": username,
        "error": error.message if error else "",
        "locked_out": isinstance(error, limits.LoginRateLimited),
        "diagnosis": diagnosis,
        "signup": status,
        "fix": FIXES.get(status.missing[0], "") if status.missing else "",
        "signup_request_id": signup_request_id,
        "new_username": new_username or "",
        "signup_error": signup_error.message if signup_error else "",
        "is_open": new_username is not None or signup_error is not None,
        "minutes": resources.settings.signup_pin_ttl_minutes,
    }
    headers = errors.describe_error(refused).headers if refused else None
    response = layout.render_page(
        request, "login/page.html", values, status=layout.error_status(refused), headers=headers
    )
    set_probe_cookie(response, resources.settings)
    return response
