"""Auth loop: whether the request that asks could sign in and stay signed in."""

from typing import Any
from urllib.parse import urlsplit

from proofdesk import logging
from proofdesk.accounts.sessions import PROBE_SUFFIX
from proofdesk.audit import chain
from proofdesk.audit.queries import AuditFilter
from proofdesk.runbooks import fixes, queries
from proofdesk.runbooks.context import CheckSkippedError, RequestContext, RunbookContext
from proofdesk.runbooks.findings import Check, EvidenceSection, Fix, Observation, Runbook, fail, ok, skip, warn

_SKEW_SECONDS = 60
_EVENTS = 50
_LOGIN = ("login.address", "login.username")


async def check_secure_cookies(context: RunbookContext) -> Observation:
    """Whether cookies are marked Secure although people come over http."""
    secure, request = context.settings.secure_cookies, context.request
    public = (context.settings.public_url or "").lower()
    if request is None:
        if context.settings.cookie_secure and public.startswith("http://"):
            return fail("COOKIE_SECURE is true, and PUBLIC_URL is http.")
        return ok(f"Cookies are {_word(secure)}; PUBLIC_URL is {public or 'not set'}.")
    scheme = _scheme(request)
    if secure and scheme == "http":
        return fail("Cookies are Secure, and this request came over http: browsers keep none of them.")
    if secure is False and scheme == "https":
        return warn("COOKIE_SECURE is false, and this request came over https.")
    return ok(f"This request came over {scheme}; cookies are {_word(secure)}.")


async def check_proxy(context: RunbookContext) -> Observation:
    """Whether a proxy in between tells of itself, and is believed."""
    request = context.required_request
    if not request.forwarded:
        return ok("No proxy tells of itself.")
    told = ", ".join(sorted(request.forwarded))
    if request.proxy_trusted:
        return ok(f"A trusted proxy told {told}.")
    claimed = request.forwarded.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
    observed = f"The request from {request.peer} carries {told}, and that address is not in TRUSTED_PROXIES."
    if claimed and claimed != request.scheme:
        return fail(f"{observed} So a request over {claimed} is taken for {request.scheme}.")
    return warn(f"{observed} So everybody behind it counts as one for the login limit.")


async def check_origin(context: RunbookContext) -> Observation:
    """Whether the page that asks may ask."""
    if context.request is None:
        return ok(f"CORS_ORIGIN is {context.settings.cors_origin or 'empty'}; the product's own pages need none.")
    origin = context.request.origin
    if origin is None:
        return ok("The request names no origin, as those of the product's own pages may.")
    if urlsplit(origin).netloc == context.request.host or origin == _origin(context.settings.public_url):
        return ok(f"{origin} is where Proofdesk itself is.")
    if origin in context.settings.cors_origins:
        return ok(f"{origin} is in CORS_ORIGIN.")
    return fail(f"The request comes from {origin}, which is not in CORS_ORIGIN.")


async def check_clocks(context: RunbookContext) -> Observation:
    """Whether this machine, the database and whoever asks have the same time."""
    async with context.resources.db.transaction() as conn:
        database = await queries.fetch_database_time(conn)
    apart = {"the database": abs((database - context.now()).total_seconds())}
    if context.request and context.request.client_time:
        apart["the browser"] = abs((context.request.client_time - context.now()).total_seconds())
    wrong = [f"{who} by {seconds:.0f} s" for who, seconds in apart.items() if seconds > _SKEW_SECONDS]
    if wrong:
        return fail(f"The clock of this machine differs from that of {' and of '.join(wrong)}.")
    return ok(f"The clocks of this machine and {' and '.join(apart)} agree.")


async def check_session_cookie(context: RunbookContext) -> Observation:
    """Whether the session cookie is in the request."""
    request, name = context.required_request, context.settings.session_cookie_name
    if name in request.cookies:
        return ok(f"The cookie {name} came along.")
    if name + PROBE_SUFFIX in request.cookies:
        return ok("The browser keeps the cookies of Proofdesk and sends them back. Nobody is signed in with it yet.")
    others = ", ".join(sorted(request.cookies)) or "none"
    way = " It passed a proxy, which may strip cookies." if request.forwarded else ""
    return fail(f"The cookie {name} did not come along; cookies that did: {others}.{way}")


async def check_session(context: RunbookContext) -> Observation:
    """Whether the session of the cookie still is one."""
    match context.required_request.session_state:
        case None:
            return skip("No session cookie came along.")
        case "active":
            return ok("The session is active.")
        case "ended":
            return fail("The session has expired: 14 days after login, 3 days after it was last used.")
        case _:
            return fail("There is no such session: it was ended, or the cookie is of another installation.")


async def check_csrf_token(context: RunbookContext) -> Observation:
    """Whether the token of the session is in the header."""
    request = context.required_request
    if context.settings.csrf_cookie_name not in request.cookies and request.session_state == "active":
        return fail(f"The cookie {context.settings.csrf_cookie_name}, from which scripts take the token, is not there.")
    match request.csrf_state:
        case None:
            return skip("This request needs no token.")
        case "right":
            return ok("The header x-csrf-token holds the session's token.")
        case "missing":
            return fail("The header x-csrf-token did not arrive.")
        case _ if request.session_state != "active":
            return skip("There is no session whose token it could be.")
        case _:
            return fail("The header x-csrf-token holds another token than the session's.")


async def check_login_limit(context: RunbookContext) -> Observation:
    """Whether too many logins failed."""
    settings = context.settings
    if context.request is not None and context.request.session_state != "active":
        raise CheckSkippedError("Only who is signed in is told about others.")
    async with context.resources.db.transaction() as conn:
        counted = await queries.list_rate_limits(conn, list(_LOGIN))
    most, minutes = settings.login_rate_limit_max_attempts, settings.login_rate_limit_window_minutes
    full = [limit for limit in counted if limit.hits > most and limit.minutes < minutes]
    if full:
        left = max(minutes - limit.minutes for limit in full)
        return warn(f"Some address or name has used up its {most} tries, for {left:.0f} more minutes.")
    return ok(f"Nobody has used up the {most} tries in {minutes} minutes.")


async def collect_headers(context: RunbookContext) -> Any:
    """What decides about cookies and CORS in the answers to this request, and what came with it."""
    settings, request = context.settings, context.required_request
    shared = request.origin if request.origin in settings.cors_origins else None
    secure = settings.secure_cookies if settings.secure_cookies is not None else request.scheme == "https"
    return {
        "answered": {
            "access-control-allow-origin": shared,
            "access-control-allow-credentials": "true" if shared else None,
            "cookie attributes": "HttpOnly, SameSite=Lax, Path=/" + (", Secure" if secure else ""),
            "vary": "Accept" + (", Origin" if shared else ""),
        },
        "asked": request.headers,
        "cookies": sorted(request.cookies),
        "scheme": request.scheme,
        "peer": request.peer,
    }


async def collect_auth_events(context: RunbookContext) -> Any:
    """What the trail tells of logins: the owner sees all, others their own."""
    asked = AuditFilter("auth.*", None, None)
    found = await chain.list_events(context.resources.db, context.required_scope, context.actor, asked, _EVENTS, 0)
    return [_event(event) for event in found]


async def collect_auth_log(context: RunbookContext) -> Any:
    """What this process logged last about signing in; for the owner only, since others are in it."""
    if not context.actor.is_owner:
        raise CheckSkippedError("The owner's bundle holds the log.")
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
    """What the browser speaks; who serves behind a proxy sees another scheme."""
    told = request.origin or request.referer or ""
    claimed = request.forwarded.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
    return urlsplit(told).scheme or claimed or request.scheme


def _origin(url: str | None) -> str:
    parts = urlsplit(url or "")
    return f"{parts.scheme}://{parts.netloc}"


def _word(secure: bool | None) -> str:
    return "Secure where the request is https" if secure is None else "Secure" if secure else "not Secure"


_AGAIN = Fix("Clear the browser's cookies of this site and sign in again.")

RUNBOOK = Runbook(
    slug="auth-loop",
    title="Auth loop / unauthorized",
    symptom="Pages lead back to the login, or the API answers 401 or 403. (`POST /auth/check` needs no session.)",
    impact="Nobody can work.",
    checks=(
        Check(
            "secure-cookies",
            "Secure cookies",
            "Cookies are Secure only where people come over https.",
            "Cookies are marked Secure, and people come over http, where browsers drop them.",
            check_secure_cookies,
            (Fix("Serve over https, or set COOKIE_SECURE=false and an http PUBLIC_URL, then restart."), _AGAIN),
        ),
        Check(
            "proxy",
            "Proxy headers",
            "The proxy in front is in TRUSTED_PROXIES.",
            "The proxy in front is not trusted, so what it tells of scheme and address is not believed.",
            check_proxy,
            (fixes.set_variable("TRUSTED_PROXIES", "to the address of the proxy"),),
        ),
        Check(
            "origin",
            "Origin",
            "The origin of the page is in CORS_ORIGIN, or Proofdesk's own.",
            "CORS_ORIGIN does not name the origin of the page that asks.",
            check_origin,
            (fixes.set_variable("CORS_ORIGIN", "to the origin of the page"), _AGAIN),
        ),
        Check(
            "clock",
            "Clocks",
            "Server, database and browser have the same time.",
            "The clocks differ, so sessions end early and PINs expire at once.",
            check_clocks,
            (Fix("Let NTP set the clocks."),),
        ),
        Check(
            "cookie",
            "Session cookie",
            "The session cookie comes along with the request.",
            "The session cookie does not arrive: nobody signed in, the browser did not keep it, or a proxy strips it.",
            check_session_cookie,
            (Fix("Let the proxy pass Cookie and Set-Cookie unchanged, then sign in.", "POST", "/auth/login"),),
        ),
        Check(
            "session",
            "Session",
            "The session of the cookie is active.",
            "The session has ended.",
            check_session,
            (Fix("Sign in again.", "POST", "/auth/login"),),
        ),
        Check(
            "csrf",
            "CSRF token",
            "A change carries the session's token in the header x-csrf-token.",
            "The header x-csrf-token is missing or holds an old token.",
            check_csrf_token,
            (Fix("Send the value of the CSRF cookie in x-csrf-token, and let proxies pass it."), _AGAIN),
        ),
        Check(
            "login-limit",
            "Login limit",
            "Nobody has used up the tries of LOGIN_RATE_LIMIT_MAX_ATTEMPTS.",
            "Too many logins failed.",
            check_login_limit,
            (Fix("Wait for the end of the window, or raise LOGIN_RATE_LIMIT_MAX_ATTEMPTS and restart."),),
        ),
    ),
    evidence=(
        EvidenceSection("Request and response headers", collect_headers),
        EvidenceSection("Events of the trail about signing in", collect_auth_events),
        EvidenceSection("Log of this process about signing in", collect_auth_log),
    ),
    variables=(
        "CORS_ORIGIN", "PUBLIC_URL", "COOKIE_SECURE", "TRUSTED_PROXIES", "SESSION_COOKIE_NAME", "CSRF_COOKIE_NAME",
        "LOGIN_RATE_LIMIT_MAX_ATTEMPTS", "LOGIN_RATE_LIMIT_WINDOW_MINUTES",
    ),
)  # fmt: skip
