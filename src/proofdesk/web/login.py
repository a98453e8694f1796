"""Pages: sign in and out."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk import request as asking
from proofdesk.api import auth
from proofdesk.auth import sessions
from proofdesk.errors import Denied, Invalid
from proofdesk.request import Config, Db, Route, Viewer, Visitor
from proofdesk.web import shell

router = APIRouter(route_class=Route)


@router.get("/login")
async def show_login(request: Request, session: Visitor, next: str = "") -> Response:
    """The form, or straight on for somebody who is signed in."""
    if session is not None:
        return RedirectResponse(shell.safe_path(next), 303)
    return shell.page(request, "login/page.html", {"next": next, "username": "", "error": ""})


@router.post("/login")
async def login(
    request: Request,
    db: Db,
    settings: Config,
    username: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "",
) -> Response:
    """Sign in and go where one was going; or the form again with what is wrong."""
    try:
        opened = await sessions.open(db, settings, auth.presented(request, settings, username, password))
    except (Denied, Invalid) as error:
        status = error.status if isinstance(error, Denied) else 400
        wait = {"retry-after": str(error.retry_after)} if isinstance(error, Denied) and error.retry_after else None
        values = {"next": next, "username": username, "error": error.message}
        return shell.page(request, "login/page.html", values, status=status, headers=wait)
    answer = RedirectResponse(shell.safe_path(next), 303)
    asking.set_cookies(answer, settings, opened)
    return answer


@router.post("/logout")
async def logout(request: Request, db: Db, settings: Config, session: Viewer) -> Response:
    """End the session."""
    if token := asking.session_token(request):
        await sessions.close(db, token)
    answer = RedirectResponse("/login", 303)
    asking.clear_cookies(answer, settings)
    return answer
