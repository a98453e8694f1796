"""The context of a runbook that runs for a request: its user, its project, and facts about the request."""

from datetime import datetime
from uuid import UUID

from fastapi import Request

from proofdesk.accounts import csrf, sessions
from proofdesk.accounts.session_queries import ActiveSession
from proofdesk.audit import events
from proofdesk.http.cookies import session_token
from proofdesk.http.dependencies import FORWARDED, active_scope, actor, is_form
from proofdesk.runbooks.context import RequestContext, RunbookContext

# Headers whose values help and identify nobody. Of other headers a bundle contains only the names.
_SHOWN_HEADERS = (
    "host", "origin", "referer", "user-agent", "accept", "content-type", "via", "forwarded", "sec-fetch-site",
)  # fmt: skip


async def build_context(
    request: Request, session: ActiveSession | None, outbound_id: UUID | None = None, sent_at: datetime | None = None
) -> RunbookContext:
    """Return the context of a request. Without a session it has no user and no project."""
    resources = request.state.resources
    facts = await _request_facts(request, session, sent_at)
    if session is None:
        return RunbookContext(resources, events.anonymous_actor(), request=facts)
    return RunbookContext(resources, actor(request, session), active_scope(request, session), facts, outbound_id)


async def _request_facts(request: Request, session: ActiveSession | None, sent_at: datetime | None) -> RequestContext:
    headers = request.headers
    return RequestContext(
        method=request.method,
        scheme=request.url.scheme,
        host=headers.get("host", ""),
        peer=request.client.host if request.client else "",
        cookies=frozenset(request.cookies),
        session_state=await _session_state(request, session),
        csrf_state=_csrf_state(request, session),
        origin=headers.get("origin"),
        referer=headers.get("referer"),
        forwarded={name: value for name, value in headers.items() if name.startswith("x-forwarded-")},
        proxy_trusted=bool(request.scope.get(FORWARDED)),
        headers={name: value if _is_shown(name) else "[not shown]" for name, value in headers.items()},
        client_time=sent_at,
    )


async def _session_state(request: Request, session: ActiveSession | None) -> str | None:
    token = session_token(request)
    if token is None:
        return None
    return "active" if session else await sessions.session_state(request.state.resources.db, token)


def _is_shown(header: str) -> bool:
    return header in _SHOWN_HEADERS or header.startswith("x-forwarded-")


def _csrf_state(request: Request, session: ActiveSession | None) -> str | None:
    if request.method in csrf.SAFE_METHODS:
        return None
    token = request.headers.get("x-csrf-token")
    if token is None:
        # A form has the token as a field. With a session, `current_session` has checked that field already.
        if is_form(request.headers.get("content-type", "")):
            return "right" if session else None
        return "missing"
    return "right" if session is not None and token == session.csrf_token else "wrong"
