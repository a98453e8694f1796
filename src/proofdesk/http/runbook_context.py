"""The context of a runbook that runs for a request: its user, its project, and facts about the request."""

from datetime import datetime
from uuid import UUID

from fastapi import Request

from proofdesk.accounts import csrf, sessions
from proofdesk.accounts.queries import Visit
from proofdesk.audit import events
from proofdesk.http.cookies import session_token
from proofdesk.http.dependencies import FORWARDED, active_scope, actor, is_form
from proofdesk.runbooks.context import Asking, Case

# Headers whose values help and identify nobody. Of other headers a bundle contains only the names.
_SHOWN_HEADERS = (
    "host", "origin", "referer", "user-agent", "accept", "content-type", "via", "forwarded", "sec-fetch-site",
)  # fmt: skip


async def build_context(
    request: Request, session: Visit | None, outbound_id: UUID | None = None, sent_at: datetime | None = None
) -> Case:
    """Return the context of a request. Without a session it has no user and no project."""
    resources = request.state.resources
    facts = await _request_facts(request, session, sent_at)
    if session is None:
        return Case(resources, events.anonymous_actor(), asking=facts)
    return Case(resources, actor(request, session), active_scope(request, session), facts, outbound_id)


async def _request_facts(request: Request, session: Visit | None, sent_at: datetime | None) -> Asking:
    headers = request.headers
    return Asking(
        method=request.method,
        scheme=request.url.scheme,
        host=headers.get("host", ""),
        peer=request.client.host if request.client else "",
        cookies=frozenset(request.cookies),
        session=await _session_state(request, session),
        csrf=_csrf_state(request, session),
        origin=headers.get("origin"),
        referer=headers.get("referer"),
        forwarded={name: value for name, value in headers.items() if name.startswith("x-forwarded-")},
        believed=bool(request.scope.get(FORWARDED)),
        headers={name: value if _is_shown(name) else "[not shown]" for name, value in headers.items()},
        sent_at=sent_at,
    )


async def _session_state(request: Request, session: Visit | None) -> str | None:
    token = session_token(request)
    if token is None:
        return None
    return "active" if session else await sessions.state(request.state.resources.db, token)


def _is_shown(header: str) -> bool:
    return header in _SHOWN_HEADERS or header.startswith("x-forwarded-")


def _csrf_state(request: Request, session: Visit | None) -> str | None:
    if request.method in csrf.SAFE_METHODS:
        return None
    token = request.headers.get("x-csrf-token")
    if token is None:
        # A form has the token as a field. With a session, `current_session` has checked that field already.
        if is_form(request.headers.get("content-type", "")):
            return "right" if session else None
        return "missing"
    return "right" if session is not None and token == session.csrf_token else "wrong"
