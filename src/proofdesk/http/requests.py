"""Facts about a request that pages, JSON routes and webhooks share."""

from fastapi import Request

from proofdesk.accounts import csrf
from proofdesk.accounts.sessions import LoginAttempt
from proofdesk.http.cookies import session_token
from proofdesk.http.dependencies import REQUEST_ID
from proofdesk.settings import Settings


def login_request(request: Request, settings: Settings, username: str | None, password: str | None) -> LoginAttempt:
    """Return the login that the request contains. Raises `CsrfInvalid` when a page of another site sent it."""
    check_same_site(request, settings)
    request_id = request.scope.get(REQUEST_ID)
    return LoginAttempt(username or "", password or "", client_address(request), session_token(request), request_id)


def check_same_site(request: Request, settings: Settings) -> None:
    """Raise `CsrfInvalid` when a page of another site sent the request."""
    headers = request.headers
    csrf.check_fetch_site(headers.get("sec-fetch-site"), headers.get("origin"), settings.cors_origins)


def client_address(request: Request) -> str:
    """Return the network address of the client, `unknown` when the server does not provide one."""
    return request.client.host if request.client else "unknown"
