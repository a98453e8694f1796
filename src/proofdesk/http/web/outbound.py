"""Pages: the list of outbound messages, and one message with its gates and the actions that its state allows."""

from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.accounts.session_queries import UserSession
from proofdesk.database.pool import Database
from proofdesk.errors import Conflict, Denied, Invalid, ProofdeskError, Unavailable
from proofdesk.http.dependencies import (
    Config,
    CurrentSession,
    Db,
    OptionalProject,
    ProjectEditor,
    ProjectReader,
    Resources,
    Route,
)
from proofdesk.http.web import composer, layout, outbound_views, policies, projects, sending, view_models
from proofdesk.http.web.layout import Choice
from proofdesk.outbound import approval, messages, preflight, recipients
from proofdesk.outbound.delivery import delivery
from proofdesk.outbound.delivery.outcomes import DELIVERY_UNKNOWN
from proofdesk.outbound.messages import MessageDetails
from proofdesk.outbound.preflight import Preflight
from proofdesk.projects.scope import Scope

router = APIRouter(prefix="/outbound", route_class=Route)

PAGE_SIZE = 50
DONE = {
    "draft": "Draft created. It is sent only after approval.",
    "assign": "Approval requested.",
    "approve": "Message approved. A worker sends it when it is due.",
    "send": "Message sent.",
    "cancel": "Message cancelled.",
    "retry": "A worker will retry the message.",
    "edited": "Draft changed.",
    "unapproved": "Message changed. It is a draft again and needs a new approval.",
    "unchanged": "Nothing was changed.",
    "redraft": "Message returned to draft. Approve it again to send it.",
    "policy": policies.CHANGED,
    "stopped": "All sending is stopped.",
    "resumed": "Sending is allowed again.",
}
WAITING_FOR_ME = {"status": "draft", "delivery": "", "assigned": "me"}
GATED = ("draft", "approved", "failed", "blocked_opt_out")
"""States in which the gates are shown."""
_ROLES = {"approve": "approver", "send": "approver", "retry": "approver"}


@router.get("")
async def show_outbound(
    request: Request,
    session: CurrentSession,
    scope: OptionalProject,
    status: str = "",
    channel: str = "",
    q: str = "",
    delivery: str = "",
    assigned: str = "",
    page: str = "1",
    compose: str = "",
    evidence: Annotated[list[str] | None, Query()] = None,
    to: str = "",
    done: str = "",
) -> Response:
    """Show a page of messages, newest first; with `compose`, the form that writes one."""
    if scope is None:
        return await projects.render_projects(request, session)
    if compose:
        return await composer.render_composer(
            request, session, scope, composer.prefilled_form(channel, to, evidence or [])
        )
    query = {"status": status if status in outbound_views.STATES else "", "channel": channel, "q": q[:200]}
    query["delivery"] = "failed" if delivery == "failed" else ""
    query["assigned"] = "me" if assigned == "me" else ""
    if query["assigned"]:
        query["status"] = "draft"
    values = await _listed(request, scope, query, layout.parse_page_number(page))
    if layout.wants_partial(request):
        return layout.render_partial(request, "outbound/_list.html", values)
    frame = await layout.load_frame(request, request.state.resources.db, session)
    values["kill_switch"] = await sending.load_kill_switch(request.state.resources.db, scope)
    return layout.render_page(request, "outbound/page.html", values, frame=frame, toast=DONE.get(done, ""))


@router.get("/{outbound_id}")
async def show_message(
    request: Request, session: CurrentSession, scope: ProjectReader, outbound_id: str, done: str = ""
) -> Response:
    """Show a message with its history, gates, evidence and policy."""
    return await _render_message(
        request, session, scope, composer.parse_message_id(outbound_id), notice=DONE.get(done, "")
    )


@router.post("/{outbound_id}/approve")
async def approve(
    request: Request, db: Db, settings: Config, session: CurrentSession, scope: ProjectEditor, outbound_id: str
) -> Response:
    """Approve a draft."""
    message_id = composer.parse_message_id(outbound_id)
    action = approval.approve(db, scope, message_id, four_eyes=settings.outbound_four_eyes)
    return await _after(request, session, scope, message_id, action, "approve")


@router.post("/{outbound_id}/send")
async def send(
    request: Request, resources: Resources, session: CurrentSession, scope: ProjectEditor, outbound_id: str
) -> Response:
    """Send a message now; it must pass all gates."""
    message_id = composer.parse_message_id(outbound_id)
    action = delivery.send_now(
        resources.db,
        scope,
        resources.outbound,
        resources.delivery_options,
        message_id,
    )
    return await _after(request, session, scope, message_id, action, "send")


@router.post("/{outbound_id}/assign")
async def assign(
    request: Request,
    db: Db,
    session: CurrentSession,
    scope: ProjectEditor,
    outbound_id: str,
    username: Annotated[str, Form()] = "",
) -> Response:
    """Ask a person to approve a draft."""
    message_id = composer.parse_message_id(outbound_id)
    return await _after(request, session, scope, message_id, approval.assign(db, scope, message_id, username), "assign")


@router.post("/{outbound_id}/cancel")
async def cancel(request: Request, db: Db, session: CurrentSession, scope: ProjectEditor, outbound_id: str) -> Response:
    """Cancel a message."""
    message_id = composer.parse_message_id(outbound_id)
    return await _after(request, session, scope, message_id, approval.cancel(db, scope, message_id), "cancel")


@router.post("/{outbound_id}/retry")
async def retry(request: Request, db: Db, session: CurrentSession, scope: ProjectEditor, outbound_id: str) -> Response:
    """Retry a failed message."""
    message_id = composer.parse_message_id(outbound_id)
    return await _after(request, session, scope, message_id, approval.retry(db, scope, message_id), "retry")


@router.post("/{outbound_id}/redraft")
async def redraft(
    request: Request, db: Db, session: CurrentSession, scope: ProjectEditor, outbound_id: str
) -> Response:
    """Return a message to draft."""
    message_id = composer.parse_message_id(outbound_id)
    return await _after(request, session, scope, message_id, approval.redraft(db, scope, message_id), "redraft")


async def _after(
    request: Request, session: UserSession, scope: Scope, message_id: UUID, action: Coroutine[Any, Any, Any], done: str
) -> Response:
    """Run an action, then show the message with a toast or with the error."""
    try:
        await action
    except (Invalid, Conflict, Denied, Unavailable) as error:
        return await _render_message(request, session, scope, message_id, error=error)
    return RedirectResponse(f"/outbound/{message_id}?done={done}", 303)


async def _render_message(
    request: Request,
    session: UserSession,
    scope: Scope,
    message_id: UUID,
    *,
    notice: str = "",
    error: ProofdeskError | None = None,
) -> Response:
    resources = request.state.resources
    details = await messages.get_details(resources.db, scope, message_id)
    gates = await preflight.check_gates(resources.db, scope, resources.outbound, message_id)
    refs = [details.outbound.recipient_ref, *([details.policy.contact_global_id] if details.policy else [])]
    contacts = await recipients.load_contacts(resources.db, scope, refs)
    values = _values(scope, details, gates) | {
        "row": outbound_views.message_row(details.outbound, contacts),
        "policy": outbound_views.policy_view(details.policy, contacts) if details.policy else None,
        "back": f"/outbound/{message_id}?done=policy",
        "error": error.message if error else "",
        "approvers": [
            Choice(name, name, name == details.outbound.assigned_to)
            for name in await approval.list_approvers(resources.db, scope)
        ],
    }
    frame = await layout.load_frame(request, resources.db, session)
    return layout.render_page(
        request, "outbound/message.html", values, frame=frame, status=layout.error_status(error), toast=notice
    )


def _values(scope: Scope, details: MessageDetails, gates: Preflight) -> dict[str, Any]:
    message = details.outbound
    is_gated = message.status in GATED
    sendable = gates.sendable_at if is_gated else None
    return {
        "message": message,
        "content": {"subject": "", "html": ""} | message.payload,
        "evidence": outbound_views.message_evidence(message.evidence_refs, details.history),
        "lights": outbound_views.gate_lights(gates.gates, message) if is_gated else [],
        "sendable": view_models.display_time(sendable) if sendable else None,
        "is_due": sendable is not None and all(g.passes for g in gates.gates),
        "actions": {action for action in _allowed(details) if scope.may(_ROLES.get(action, "editor"))},
        "unknown": message.last_error == DELIVERY_UNKNOWN,
        "history": outbound_views.message_history(details.history, details.attempts),
        "versions": [outbound_views.version_view(version) for version in details.versions],
        "scheduled": view_models.display_time(message.scheduled_at) if message.scheduled_at else None,
        "approved": view_models.display_time(message.approved_at) if message.approved_at else None,
        "sent": view_models.display_time(message.sent_at) if message.sent_at else None,
    }


def _allowed(details: MessageDetails) -> set[str]:
    """Return the actions that the state of a message allows."""
    message, opted_out = details.outbound, details.policy is not None and details.policy.opted_out
    actions = {
        "draft": {"approve", "edit", "cancel"},
        "approved": {"edit", "cancel"},
        "failed": {"retry", "redraft", "edit", "cancel"},
        "blocked_opt_out": set() if opted_out else {"redraft"},
        "cancelled": {"redraft"},
    }.get(message.status, set())
    is_scheduled = message.scheduled_at is not None and message.scheduled_at > datetime.now(UTC)
    is_due = message.status in ("approved", "failed") and message.next_attempt_at is not None
    return actions | ({"send"} if is_due and not is_scheduled else set())


async def _listed(request: Request, scope: Scope, query: dict[str, str], number: int) -> dict[str, Any]:
    db = request.state.resources.db
    first = (number - 1) * PAGE_SIZE
    channel, q = query["channel"] or None, query["q"]
    mine = scope.actor.username if query["assigned"] else None
    message_filter = messages.build_filter(query["status"], channel, q, query["delivery"], mine)
    rows, total = await messages.list_messages(db, scope, message_filter, PAGE_SIZE, first)
    contacts = await recipients.load_contacts(db, scope, (m.recipient_ref for m in rows))
    return query | {
        "rows": [outbound_views.message_row(m, contacts) for m in rows],
        "states": await _state_choices(db, scope, query),
        "channels": [Choice(c, n, c == channel) for c, n in ({"": "Any channel"} | outbound_views.CHANNELS).items()],
        "is_set": any(query.values()),
        "range_text": f"{first + 1} to {first + len(rows)} of {view_models.format_number(total)}" if rows else "",
        "newer_url": _url(query, number - 1) if number > 1 else "",
        "older_url": _url(query, number + 1) if first + len(rows) < total else "",
    }


async def _state_choices(db: Database, scope: Scope, query: dict[str, str]) -> list[tuple[Choice, object]]:
    """Return the lists of messages that the page links to, each with its number."""
    counts = await messages.count_by_state(db, scope, query["channel"] or None, query["q"])
    failed = await messages.count_undelivered(db, scope, query["channel"] or None)
    all_states = not query["delivery"] and not query["assigned"]
    reset = {"delivery": "", "assigned": ""}
    return [
        *(
            (
                Choice(_url(query | reset | {"status": state}), label, all_states and state == query["status"]),
                _count(counts, state),
            )
            for state, label in ({"": "All"} | outbound_views.STATES).items()
        ),
        (
            Choice(
                _url(query | reset | {"status": "", "delivery": "failed"}), "Not delivered", bool(query["delivery"])
            ),
            failed,
        ),
        (
            Choice(_url(query | WAITING_FOR_ME), "Waiting for your approval", bool(query["assigned"])),
            await messages.count_assigned(db, scope),
        ),
    ]


def _count(counts: dict[str, int], state: str) -> str:
    return view_models.format_number(counts[state] if state else sum(counts.values()))


def _url(query: dict[str, str], page: int = 1) -> str:
    fields = {name: value for name, value in query.items() if value} | ({"page": str(page)} if page > 1 else {})
    return "/outbound" + (f"?{urlencode(fields)}" if fields else "")
