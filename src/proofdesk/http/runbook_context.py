"""The case that a request makes: whoever asks, in which project, and what came along."""

from datetime import datetime
from uuid import UUID

from fastapi import Request

from proofdesk.accounts import csrf, sessions
from proofdesk.accounts.queries import Visit
from proofdesk.audit import events
from proofdesk.http.cookies import session_token
from proofdesk.http.dependencies import FORWARDED, active_scope, actor, is_form
from proofdesk.runbooks.context import Asking, Case

# Headers whose values help and give nobody away; of others a bundle tells the names.
_SHOWN = ("host", "origin", "referer", "user-agent", "accept", "content-type", "via", "forwarded", "sec-fetch-site")


async def build_context(
    request: Request, session: Visit | None, outbound_id: UUID | None = None, sent_at: datetime | None = None
) -> Case:
    """The case of a request; without a session it is nobody's and in no project."""
    resources = request.state.resources
    asking = await _asking(request, session, sent_at)
    if session is None:
        return Case(resources, events.nobody(), asking=asking)
    scope = active_scope(request, session)
    return Case(resources, actor(request, session), scope, asking, outbound_id)


async def _asking(request: Request, session: Visit | None, sent_at: datetime | None) -> Asking:
    headers = request.headers
    token = session_token(request)
    state = None if token is None else "active" if session else await sessions.state(request.state.resources.db, token)
    return Asking(
        method=request.method,
        scheme=request.url.scheme,
        host=headers.get("host", ""),
        peer=request.client.host if request.client else "",
        cookies=frozenset(request.cookies),
        session=state,
        csrf=_csrf(request, session),
        origin=headers.get("origin"),
        referer=headers.get("referer"),
        forwarded={name: value for name, value in headers.items() if name.startswith("x-forwarded-")},
        believed=bool(request.scope.get(FORWARDED)),
        headers={name: value if _is_shown(name) else "[not shown]" for name, value in headers.items()},
        sent_at=sent_at,
    )


def _is_shown(name: str) -> bool:
    return name in _SHOWN or name.startswith("x-forwarded-")


def _csrf(request: Request, session: Visit | None) -> str | None:
    if request.method in csrf.SAFE_METHODS:
        return None
    presented = request.headers.get("x-csrf-token")
    if presented is None:
        # A form has it as a field, and who posts one with a session has passed the right to; the header is not missed.
        if is_form(request.headers.get("content-type", "")):
            return "right" if session else None
        return "missing"
    return "right" if session is not None and presented == session.csrf_token else "wrong"
