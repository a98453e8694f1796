"""Pages: request an account on the login page, and confirm it with the PIN."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.accounts import signup
from proofdesk.accounts.signup import (
    PinAttemptsExceeded,
    PinExpired,
    SignupApplication,
    SignupConfirmation,
    SignupRequestInvalid,
)
from proofdesk.errors import Conflict, Denied, Invalid, Unavailable
from proofdesk.http.cookies import session_token, set_session_cookies
from proofdesk.http.dependencies import Config, Db, Resources, Route
from proofdesk.http.requests import check_same_site, client_address
from proofdesk.http.responses import request_id
from proofdesk.http.web import layout, login

router = APIRouter(prefix="/auth/signup", route_class=Route)


@router.post("/start")
async def start(
    request: Request,
    db: Db,
    resources: Resources,
    username: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
) -> Response:
    """Send the PIN to the owner and show the form for it, or show the form again with the error."""
    check_same_site(request, resources.settings)
    wish = SignupApplication(username, password, client_address(request), request_id())
    try:
        started = await signup.start(db, resources.settings, resources.bot, wish)
    except (Denied, Invalid, Conflict, Unavailable) as error:
        return await login.render_login(request, new_username=username, signup_error=error)
    return RedirectResponse(f"/login?signup={started.signup_request_id}", 303)


@router.post("/confirm")
async def confirm(
    request: Request,
    db: Db,
    settings: Config,
    signup_request_id: Annotated[str, Form()] = "",
    pin: Annotated[str, Form()] = "",
) -> Response:
    """Create the account and sign in, or show a form again: that of the PIN while another attempt is possible."""
    check_same_site(request, settings)
    token = session_token(request)
    confirmation = SignupConfirmation(signup_request_id, pin, client_address(request), token, request_id())
    try:
        new_session = await signup.confirm(db, settings, confirmation)
    except (SignupRequestInvalid, PinExpired, PinAttemptsExceeded, Conflict) as error:
        return await login.render_login(request, signup_error=error)
    except (Denied, Invalid) as error:
        return await login.render_login(request, signup_request_id=signup_request_id, signup_error=error)
    response = RedirectResponse(layout.HOME, 303)
    set_session_cookies(response, settings, new_session)
    return response
