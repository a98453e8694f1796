"""Errors as pages, as notices in a page, and as toasts; and what a page does without a session."""

import asyncio
import json
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from proofdesk import logging
from proofdesk.accounts import csrf
from proofdesk.core import bidi
from proofdesk.http import dependencies
from proofdesk.http.cookies import clear_session_cookies, session_token
from proofdesk.http.errors import HttpError
from proofdesk.http.web import layout
from proofdesk.http.web.layout import Frame
from proofdesk.runbooks import registry

log = logging.get_logger(__name__)

HINTS = {
    "csrf_invalid": "The page was open for too long, or in another session. Go back, reload the page and try again.",
    400: "Go back and correct the input.",
    403: "Ask the owner of this installation or the creator of the project.",
    404: "The address may be wrong, or the page belongs to another project than the active one.",
    "project_changed": "Nothing was done. Below is what you typed.",
    409: "Go back, reload the page and check the current state.",
    500: "Try again. If the error remains, give the request id below to your administrator.",
    503: "Try again in a minute. If the error remains, give the request id below to your administrator.",
}
"""What the user can do about an error, by its code or else its status."""

FRAME_TIMEOUT_SECONDS = 2.0  # how long an error page waits for its frame, in seconds
ANSWERED_BY_PAGE = ("unauthorized", "csrf_invalid", "project_changed")
"""Codes to which the page itself responds (`static/requests.js`): it asks for the password or offers to go back."""


def redirect_to_login(request: Request) -> Response:
    """Redirect a user without a session to the login page, and back to the requested page after it.

    A page that htmx updates stays as it is, with what was typed there, and asks for the password itself.
    """
    url = request.url
    target = f"{url.path}?{url.query}" if url.query else url.path
    login = f"/login?next={quote(target, safe='/')}" if request.method == "GET" else "/login"
    if "hx-request" not in request.headers:
        response: Response = RedirectResponse(login, 303)
    elif dependencies.opens_page(request):
        response = Response(status_code=401, headers={"hx-redirect": login})
    else:
        refusal = HttpError(401, "unauthorized", "Your session has ended.")
        response = Response(status_code=401, headers=_refusal(request, refusal))
    if session_token(request):
        clear_session_cookies(response, request.state.resources.settings)
    return response


async def render_error(request: Request, failure: HttpError) -> HTMLResponse:
    """Return an error as a page, or for htmx as a notice and a toast. It links to the runbook of the error."""
    values = {
        "status": failure.status,
        "code": failure.code,
        "message": failure.message,
        "hint": HINTS.get(failure.code) or HINTS.get(failure.status, ""),
        "runbook": registry.runbook_for_error(failure.code, failure.details.get("cause")) or "",
        "request_id": request.scope.get(dependencies.REQUEST_ID, ""),
    }
    if "hx-request" in request.headers and not dependencies.opens_page(request):
        headers = failure.headers | _refusal(request, failure)
        return layout.render_partial(request, "errors/_notice.html", values, failure.status, headers=headers)
    values["project"] = failure.details if failure.code == "project_changed" else None
    values["texts"] = await _typed_texts(request) if values["project"] else []
    page_frame = None if failure.code == "database_unavailable" else await _load_frame_if_possible(request)
    return layout.render_page(
        request, "errors/page.html", values, frame=page_frame, status=failure.status, headers=failure.headers
    )


def _refusal(request: Request, failure: HttpError) -> dict[str, str]:
    """Return the headers by which an action of htmx shows its failure and leaves the page as it is.

    A part that was only read contains the notice, unless the page itself responds.
    """
    if failure.code in ANSWERED_BY_PAGE:
        named = {name: failure.details.get(name) for name in ("project", "project_id")}
        refusal = {"code": failure.code, "text": bidi.without_formatting(failure.message), **named}
        return {"hx-reswap": "none", "hx-trigger": json.dumps({"refused": refusal})}
    if request.method in csrf.SAFE_METHODS:
        return {}
    request_id = f" Request {request.scope.get(dependencies.REQUEST_ID, '')}." if failure.status >= 500 else ""
    return {"hx-reswap": "none"} | layout.toast_header(failure.message + request_id, "bad")


async def _typed_texts(request: Request) -> list[str]:
    """Return what was typed into a form that was refused, for a browser without scripts."""
    if not dependencies.is_form(request.headers.get("content-type", "")):
        return []
    fixed = ("csrf_token", "project_id", "idempotency_key")
    return [value for name, value in (await request.form()).items() if name not in fixed and isinstance(value, str)]


async def _load_frame_if_possible(request: Request) -> Frame | None:
    """Return the frame for a signed-in user; None when reading it fails, because that may be the error itself."""
    try:
        async with asyncio.timeout(FRAME_TIMEOUT_SECONDS):
            session = await dependencies.optional_session(request)
            return await layout.load_frame(request, request.state.resources.db, session) if session else None
    except Exception:  # an error page must be shown in any case
        log.exception("error page without frame")
        return None
