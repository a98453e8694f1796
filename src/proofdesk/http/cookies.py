"""The session cookie and the CSRF cookie: read, set and cleared."""

from fastapi import Request, Response

from proofdesk.accounts import sessions
from proofdesk.accounts.sessions import NewSession
from proofdesk.settings import Settings


def session_token(request: Request) -> str | None:
    """Return the value of the session cookie, None without one."""
    return request.cookies.get(request.state.resources.settings.session_cookie_name)


def set_session_cookies(response: Response, settings: Settings, opened: NewSession) -> None:
    """Set both cookies of a new session: the session for the browser only, the CSRF token readable by scripts.

    `middleware.SecurityHeaders` makes both Secure when the site is used over https.
    """
    _set_cookie(response, settings.session_cookie_name, opened.token, http_only=True)
    _set_cookie(response, settings.csrf_cookie_name, opened.csrf_token, http_only=False)


def set_probe_cookie(response: Response, settings: Settings) -> None:
    """Set a cookie without meaning that has the form of the session cookie.

    The runbook `auth-loop` checks whether the browser sends it back.
    """
    response.set_cookie(
        settings.session_cookie_name + sessions.PROBE_SUFFIX, "1", max_age=600, path="/", httponly=True, samesite="lax"
    )


def clear_session_cookies(response: Response, settings: Settings) -> None:
    """Delete both cookies in the browser."""
    for name, http_only in ((settings.session_cookie_name, True), (settings.csrf_cookie_name, False)):
        response.delete_cookie(name, path="/", httponly=http_only, samesite="lax")


def _set_cookie(response: Response, name: str, value: str, *, http_only: bool) -> None:
    max_age = sessions.LIFETIME_DAYS * 86_400
    response.set_cookie(name, value, max_age=max_age, path="/", httponly=http_only, samesite="lax")
