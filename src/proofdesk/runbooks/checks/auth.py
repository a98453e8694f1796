"""Auth loop: checks whether the browser that sends this request can sign in and stay signed in."""

from typing import Any
from urllib.parse import urlsplit

from proofdesk import logging
from proofdesk.accounts.sessions import PROBE_SUFFIX
from proofdesk.audit import chain
from proofdesk.audit.queries import AuditFilter
from proofdesk.runbooks import fixes, queries
from proofdesk.runbooks.checks import database, public_address
from proofdesk.runbooks.context import CheckSkippedError, RequestContext, RunbookContext
from proofdesk.runbooks.findings import Check, EvidenceSection, Fix, Observation, Runbook, fail, ok, skip, warn

_SKEW_SECONDS = 60
_EVENTS = 50
_LOGIN = ("login.address", "login.username")


async def check_secure_cookies(context: RunbookContext) -> Observation:
    """Check that cookies are not marked Secure while people use http."""
    secure, request = context.settings.secure_cookies, context.request
    public = (context.settings.public_url or "").lower()
    if request is None:
        if context.settings.cookie_secure and public.startswith("http://"):
            return fail("COOKIE_SECURE is true, but PUBLIC_URL is http.")
        return ok(f"Cookies are {_secure_label(secure)}. PUBLIC_URL is {public or 'not set'}.")
    scheme = _scheme(request)
    if secure and scheme == "http":
        return fail("Cookies are Secure, but this request uses http: browsers discard the cookies.")
    if secure is False and scheme == "https":
        return warn("COOKIE_SECURE is false, but this request uses https.")
    return ok(f"This request uses {scheme}. Cookies are {_secure_label(secure)}.")


async def check_proxy(context: RunbookContext) -> Observation:
    """Check that a proxy in front of Proofdesk is trusted."""
    request = context.required_request
    if not request.forwarded:
        return ok("The request has no X-Forwarded headers.")
    headers = ", ".join(sorted(request.forwarded))
    if request.proxy_trusted:
        return ok(f"A trusted proxy sent {headers}.")
    claimed = request.forwarded.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
    observed = f"{request.peer} sent {headers}, but is not in TRUSTED_PROXIES."
    if claimed and claimed != request.scheme:
        return fail(f"{observed} Proofdesk treats this {claimed} request as {request.scheme}.")
    return warn(f"{observed} All people behind it share one login limit.")


async def check_origin(context: RunbookContext) -> Observation:
    """Check that the origin of the request is allowed."""
    if context.request is None:
        return ok(f"CORS_ORIGIN is {context.settings.cors_origin or 'empty'}. Proofdesk's own pages do not need it.")
    origin = context.request.origin
    if origin is None:
        return ok("The request has no Origin header, which is normal for Proofdesk's own pages.")
    if urlsplit(origin).netloc == context.request.host or origin == _origin(context.settings.public_url):
        return ok(f"{origin} is Proofdesk's own origin.")
    if origin in context.settings.cors_origins:
        return ok(f"CORS_ORIGIN contains {origin}.")
    if context.request.headers.get("sec-fetch-site") == "same-origin":
        observed = f"The browser sent a request to {origin}, which arrived with Host {context.request.host}."
        return fail(observed, "The proxy rewrites the Host header.", _PASS_HOST)
    return fail(f"The request comes from {origin}. CORS_ORIGIN does not contain it.")


async def check_clocks(context: RunbookContext) -> Observation:
    """Check that the clocks of this machine, the database and the browser agree."""
    async with context.resources.db.transaction() as conn:
        database = await queries.fetch_database_time(conn)
    differences = {"the database": abs((database - context.now()).total_seconds())}
    if context.request and context.request.client_time:
        differences["the browser"] = abs((context.request.client_time - context.now()).total_seconds())
    skewed = [f"{clock} by {seconds:.0f} s" for clock, seconds in differences.items() if seconds > _SKEW_SECONDS]
    if skewed:
        return fail(f"The clock of this machine differs from {' and from '.join(skewed)}.")
    return ok(f"The clocks of this machine and {' and '.join(differences)} agree.")


async def check_session_cookie(context: RunbookContext) -> Observation:
    """Check that the request contains the session cookie."""
    request, name = context.required_request, context.settings.session_cookie_name
    if name in request.cookies:
        return ok(f"The request contains the cookie {name}.")
    if name + PROBE_SUFFIX in request.cookies:
        return ok("The browser keeps and sends cookies. Nobody is signed in yet.")
    others = ", ".join(sorted(request.cookies)) or "none"
    hint = " It passed a proxy, which may remove cookies." if request.forwarded else ""
    return fail(f"The request does not contain the cookie {name}. It contains: {others}.{hint}")


async def check_session(context: RunbookContext) -> Observation:
    """Check that the session of the cookie is active."""
    match context.required_request.session_state:
        case None:
            return skip("The request has no session cookie.")
        case "active":
            return ok("The session is active.")
        case "ended":
            return fail("The session has expired: 14 days after login, or 3 days after its last use.")
        case _:
            return fail("The session does not exist: it was ended, or the cookie belongs to another installation.")


async def check_csrf_token(context: RunbookContext) -> Observation:
    """Check that the header contains the CSRF token of the session."""
    request = context.required_request
    if context.settings.csrf_cookie_name not in request.cookies and request.session_state == "active":
        return fail(f"The cookie {context.settings.csrf_cookie_name}, which holds the token for scripts, is missing.")
    match request.csrf_state:
        case None:
            return skip("This request needs no token.")
        case "right":
            return ok("The header x-csrf-token contains the session's token.")
        case "missing":
            return fail("The header x-csrf-token is missing.")
        case _ if request.session_state != "active":
            return skip("There is no active session to compare the token with.")
        case _:
            return fail("The header x-csrf-token does not contain the session's token.")


async def check_login_limit(context: RunbookContext) -> Observation:
    """Check whether a login limit is reached."""
    settings = context.settings
    if context.request is not None and context.request.session_state != "active":
        raise CheckSkippedError("Sign in to see the login limits.")
    async with context.resources.db.transaction() as conn:
        counts = await queries.list_rate_limits(conn, list(_LOGIN))
    attempts, minutes = settings.login_rate_limit_max_attempts, settings.login_rate_limit_window_minutes
    reached = [count for count in counts if count.hits > attempts and count.minutes < minutes]
    if reached:
        left = max(minutes - count.minutes for count in reached)
        return warn(f"An address or a username has used its {attempts} attempts. It can retry in {left:.0f} minutes.")
    return ok(f"No address or username has used its {attempts} attempts in {minutes} minutes.")


async def collect_headers(context: RunbookContext) -> Any:
    """Return the headers that decide about cookies and CORS, and the headers of the request."""
    settings, request = context.settings, context.required_request
    shared = request.origin if request.origin in settings.cors_origins else None
    secure = settings.secure_cookies if settings.secure_cookies is not None else request.scheme == "https"
    return {
        "response": {
            "access-control-allow-origin": shared,
            "access-control-allow-credentials": "true" if shared else None,
            "cookie attributes": "HttpOnly, SameSite=Lax, Path=/" + (", Secure" if secure else ""),
            "vary": "Accept" + (", Origin" if shared else ""),
        },
        "request": request.headers,
        "cookies": sorted(request.cookies),
        "scheme": request.scheme,
        "peer": request.peer,
    }


async def collect_auth_events(context: RunbookContext) -> Any:
    """Return audit events about signing in: all for the owner, their own for others."""
    event_filter = AuditFilter("auth.*", None, None)
    events = await chain.list_events(
        context.resources.db, context.required_scope, context.actor, event_filter, _EVENTS, 0
    )
    return [_event(event) for event in events]


async def collect_auth_log(context: RunbookContext) -> Any:
    """Return recent log events about signing in. Only for the owner: they are about everybody."""
    if not context.actor.is_owner:
        raise CheckSkippedError("Only the owner's bundle contains the log.")
    return [event for event in logging.recent_events() if _is_about_auth(event)]


def _is_about_auth(event: dict[str, Any]) -> bool:
    return (
        "/auth/" in str(event.get("path"))
        or event.get("status") in (401, 403, 429)
        or str(event.get("logger")).startswith("proofdesk.accounts")
    )


def _event(event: Any) -> dict[str, Any]:
    names = ("created_at", "action", "status", "actor_username", "request_id", "payload")
    return {name: getattr(event, name) for name in names}


def _scheme(request: RequestContext) -> str:
    """Return the scheme that the browser uses. Behind a proxy, the server may see another one."""
    page = request.origin or request.referer or ""
    forwarded = request.forwarded.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
    return urlsplit(page).scheme or forwarded or request.scheme


def _origin(url: str | None) -> str:
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc}"


def _secure_label(secure: bool | None) -> str:
    return "Secure for https requests" if secure is None else "Secure" if secure else "not Secure"


_PASS_HOST = next(check.fix for check in public_address.CHECKS if check.id == "host")

RUNBOOK = Runbook(
    slug="auth-loop",
    title="Auth loop / unauthorized",
    symptom="Pages redirect to the login, or the API responds 401 or 403. (`POST /auth/check` needs no session.)",
    impact="Nobody can use Proofdesk.",
    checks=(
        database.USABLE,
        Check(
            "secure-cookies",
            "Secure cookies",
            "Cookies are Secure only if people use https.",
            "Cookies are marked Secure, but people use http, where browsers discard them.",
            check_secure_cookies,
            fixes.set_variable("COOKIE_SECURE=false", "and an http PUBLIC_URL, or serve https"),
        ),
        Check(
            "proxy",
            "Proxy headers",
            "TRUSTED_PROXIES contains the proxy in front of Proofdesk.",
            "The proxy is not trusted, so Proofdesk ignores the scheme and the address that it forwards.",
            check_proxy,
            fixes.set_variable("TRUSTED_PROXIES", "to the address of the proxy"),
        ),
        Check(
            "origin",
            "Origin",
            "The page has Proofdesk's own origin, or CORS_ORIGIN contains it.",
            "CORS_ORIGIN does not contain the origin of the page.",
            check_origin,
            fixes.set_variable("CORS_ORIGIN", "to the origin of the page"),
        ),
        *public_address.CHECKS,
        Check(
            "clock",
            "Clocks",
            "The clocks of server, database and browser agree.",
            "The clocks differ, so sessions end early and PINs expire at once.",
            check_clocks,
            Fix("Synchronise the clocks with NTP.", command="timedatectl set-ntp true"),
        ),
        Check(
            "cookie",
            "Session cookie",
            "The request contains the session cookie.",
            "The session cookie is missing: nobody is signed in, the browser discarded it, or a proxy removed it.",
            check_session_cookie,
            Fix("Sign in. If that fails again, let the proxy pass Cookie and Set-Cookie.", "POST", "/auth/login"),
        ),
        Check(
            "session",
            "Session",
            "The session of the cookie is active.",
            "The session has ended.",
            check_session,
            Fix("Sign in again.", "POST", "/auth/login"),
        ),
        Check(
            "csrf",
            "CSRF token",
            "The header x-csrf-token of a change contains the session's token.",
            "The header x-csrf-token is missing or contains an old token.",
            check_csrf_token,
            Fix("Clear the browser's cookies for this site, then sign in again. Clients send the CSRF cookie's value in"
                " x-csrf-token.", "POST", "/auth/login"),
        ),
        Check(
            "login-limit",
            "Login limit",
            "No address or username has used its LOGIN_RATE_LIMIT_MAX_ATTEMPTS.",
            "Too many logins failed.",
            check_login_limit,
            fixes.set_variable("LOGIN_RATE_LIMIT_MAX_ATTEMPTS", "to a higher number, or wait until the window ends"),
        ),
    ),
    evidence=(
        EvidenceSection("Request and response headers", collect_headers),
        EvidenceSection("Audit events about signing in", collect_auth_events),
        EvidenceSection("Log of this process about signing in", collect_auth_log),
    ),
    variables=(
        "CORS_ORIGIN", "PUBLIC_URL", "COOKIE_SECURE", "TRUSTED_PROXIES", "SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME",
        "LOGIN_RATE_LIMIT_MAX_ATTEMPTS", "LOGIN_RATE_LIMIT_WINDOW_MINUTES",
    ),
    per_project=False,
    watched=False,
)  # fmt: skip
