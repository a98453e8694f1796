"""Pages: the list of outbound messages, and one message with its gates and the actions that its state allows."""

from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.accounts.queries import UserSession
from proofdesk.errors import Conflict, Denied, Invalid, ProofdeskError, Unavailable
from proofdesk.http import dependencies
from proofdesk.http.dependencies import Config, CurrentSession, Db, ProjectEditor, ProjectReader, Resources, Route
from proofdesk.http.web import composer, layout, outbound_views, policies, projects, view_models
from proofdesk.http.web.layout import Choice
from proofdesk.outbound import approval, messages, preflight, recipients
from proofdesk.outbound.delivery import delivery
from proofdesk.outbound.delivery.delivery import DeliveryOptions
from proofdesk.outbound.delivery.outcomes import DELIVERY_UNKNOWN
from proofdesk.outbound.messages import MessageDetails, OutboundNotFound
from proofdesk.outbound.preflight import Preflight
from proofdesk.projects import projects as rooms
from proofdesk.projects.scope import Scope

router = APIRouter(prefix="/outbound", route_class=Route)

PAGE_SIZE = 50
DONE = {
    "draft": "Draft created. It is sent only after approval.",
    "approve": "Message approved. A worker sends it when it is due.",
    "send": "Message sent.",
    "cancel": "Message cancelled.",
    "retry": "A worker will retry the message.",
    "redraft": "Message returned to draft. Approve it again to send it.",
    "policy": policies.CHANGED,
}
GATED = ("draft", "approved", "failed", "blocked_opt_out")
"""States in which the gates are shown."""


@router.get("")
async def show_outbound(
    request: Request,
    session: CurrentSession,
    status: str = "",
    channel: str = "",
    q: str = "",
    delivery: str = "",
    page: str = "1",
    compose: str = "",
    evidence: Annotated[list[str] | None, Query()] = None,
    to: str = "",
) -> Response:
    """Show a page of messages, newest first; with `compose`, the form that writes one."""
    scope = dependencies.active_scope(request, session)
    if scope is None:
        return await projects.render_projects(request, session)
    if compose:
        return await composer.render_composer(
            request, session, scope, composer.prefilled_form(channel, to, evidence or [])
        )
    asked = {"status": status if status in outbound_views.STATES else "", "channel": channel, "q": q[:200]}
    asked["delivery"] = "failed" if delivery == "failed" else ""
    values = await _listed(request, scope, asked, layout.parse_page_number(page))
    if layout.wants_partial(request):
        return layout.render_partial(request, "outbound/_list.html", values)
    frame = await layout.load_frame(request, request.state.resources.db, session)
    return layout.render_page(request, "outbound/page.html", values, frame=frame)


@router.get("/{outbound_id}")
async def show_message(
    request: Request, session: CurrentSession, scope: ProjectReader, outbound_id: str, done: str = ""
) -> Response:
    """Show a message with its history, gates, evidence and policy."""
    return await _shown(request, session, scope, _id(outbound_id), said=DONE.get(done, ""))


@router.post("/{outbound_id}/approve")
async def approve(
    request: Request, db: Db, settings: Config, session: CurrentSession, scope: ProjectEditor, outbound_id: str
) -> Response:
    """Approve a draft."""
    wanted = _id(outbound_id)
    doing = approval.approve(db, scope, wanted, four_eyes=settings.outbound_four_eyes)
    return await _after(request, session, scope, wanted, doing, "approve")


@router.post("/{outbound_id}/send")
async def send(
    request: Request, held: Resources, session: CurrentSession, scope: ProjectEditor, outbound_id: str
) -> Response:
    """Send a message now; it must pass all gates."""
    wanted = _id(outbound_id)
    doing = delivery.send_now(held.db, scope, held.outbound, DeliveryOptions.from_settings(held.settings), wanted)
    return await _after(request, session, scope, wanted, doing, "send")


@router.post("/{outbound_id}/cancel")
async def cancel(request: Request, db: Db, session: CurrentSession, scope: ProjectEditor, outbound_id: str) -> Response:
    """Cancel a message."""
    wanted = _id(outbound_id)
    return await _after(request, session, scope, wanted, approval.cancel(db, scope, wanted), "cancel")


@router.post("/{outbound_id}/retry")
async def retry(request: Request, db: Db, session: CurrentSession, scope: ProjectEditor, outbound_id: str) -> Response:
    """Retry a failed message."""
    wanted = _id(outbound_id)
    return await _after(request, session, scope, wanted, approval.retry(db, scope, wanted), "retry")


@router.post("/{outbound_id}/redraft")
async def redraft(
    request: Request, db: Db, session: CurrentSession, scope: ProjectEditor, outbound_id: str
) -> Response:
    """Return a message to draft."""
    wanted = _id(outbound_id)
    return await _after(request, session, scope, wanted, approval.redraft(db, scope, wanted), "redraft")


async def _after(
    request: Request, session: UserSession, scope: Scope, wanted: UUID, doing: Coroutine[Any, Any, Any], done: str
) -> Response:
    """Run an action, then show the message with a toast or with the error."""
    try:
        await doing
    except (Invalid, Conflict, Denied, Unavailable) as error:
        return await _shown(request, session, scope, wanted, wrong=error)
    return RedirectResponse(f"/outbound/{wanted}?done={done}", 303)


async def _shown(
    request: Request,
    session: UserSession,
    scope: Scope,
    wanted: UUID,
    *,
    said: str = "",
    wrong: ProofdeskError | None = None,
) -> Response:
    held = request.state.resources
    found = await messages.get_details(held.db, scope, wanted)
    gates = await preflight.check_gates(held.db, scope, held.outbound, wanted)
    who = [found.outbound.recipient_ref, *([found.policy.contact_global_id] if found.policy else [])]
    known = await recipients.load_contacts(held.db, scope, who)
    values = _values(found, gates) | {
        "row": outbound_views.message_row(found.outbound, known),
        "policy": outbound_views.policy_view(found.policy, known) if found.policy else None,
        "back": f"/outbound/{wanted}?done=policy",
        "wrong": wrong.message if wrong else "",
    }
    frame = await layout.load_frame(request, held.db, session)
    return layout.render_page(
        request, "outbound/message.html", values, frame=frame, status=layout.error_status(wrong), toast=said
    )


def _values(found: MessageDetails, gates: Preflight) -> dict[str, Any]:
    message = found.outbound
    waits = message.status in GATED
    sendable = gates.sendable_at if waits else None
    return {
        "message": message,
        "content": {"subject": "", "html": ""} | message.payload,
        "evidence": outbound_views.message_evidence(message.evidence_refs, found.history),
        "lights": outbound_views.gate_lights(gates.gates, message) if waits else [],
        "sendable": view_models.display_time(sendable) if sendable else None,
        "now": sendable is not None and all(g.passes for g in gates.gates),
        "may": _allowed(found),
        "unknown": message.last_error == DELIVERY_UNKNOWN,
        "moments": outbound_views.message_history(found.history, found.attempts),
        "scheduled": view_models.display_time(message.scheduled_at) if message.scheduled_at else None,
        "approved": view_models.display_time(message.approved_at) if message.approved_at else None,
        "sent": view_models.display_time(message.sent_at) if message.sent_at else None,
    }


def _allowed(found: MessageDetails) -> set[str]:
    """Return the actions that the state of a message allows."""
    message, opted_out = found.outbound, found.policy is not None and found.policy.opted_out
    may = {
        "draft": {"approve", "cancel"},
        "approved": {"cancel"},
        "failed": {"retry", "redraft", "cancel"},
        "blocked_opt_out": set() if opted_out else {"redraft"},
        "cancelled": {"redraft"},
    }.get(message.status, set())
    waits = message.scheduled_at is not None and message.scheduled_at > datetime.now(UTC)
    goes_out = message.status in ("approved", "failed") and message.next_attempt_at is not None
    return may | ({"send"} if goes_out and not waits else set())


async def _listed(request: Request, scope: Scope, asked: dict[str, str], number: int) -> dict[str, Any]:
    db = request.state.resources.db
    first = (number - 1) * PAGE_SIZE
    channel, q = asked["channel"] or None, asked["q"]
    wanted = messages.build_filter(asked["status"], channel, q, asked["delivery"])
    found, total = await messages.list_messages(db, scope, wanted, PAGE_SIZE, first)
    counts = await messages.count_by_state(db, scope, channel, q)
    failed = await messages.count_undelivered(db, scope, channel)
    known = await recipients.load_contacts(db, scope, (m.recipient_ref for m in found))
    states = {"": "All"} | outbound_views.STATES
    return asked | {
        "rows": [outbound_views.message_row(m, known) for m in found],
        "states": [
            (
                Choice(
                    _url(asked | {"status": state, "delivery": ""}),
                    label,
                    state == asked["status"] and not asked["delivery"],
                ),
                _count(counts, state),
            )
            for state, label in states.items()
        ]
        + [
            (
                Choice(_url(asked | {"status": "", "delivery": "failed"}), "Not delivered", bool(asked["delivery"])),
                failed,
            )
        ],
        "channels": [Choice(c, n, c == channel) for c, n in ({"": "Any channel"} | outbound_views.CHANNELS).items()],
        "is_set": any(asked.values()),
        "said": f"{first + 1} to {first + len(found)} of {view_models.format_number(total)}" if found else "",
        "newer_url": _url(asked, number - 1) if number > 1 else "",
        "older_url": _url(asked, number + 1) if first + len(found) < total else "",
    }


def _count(counts: dict[str, int], state: str) -> str:
    return view_models.format_number(counts[state] if state else sum(counts.values()))


def _url(asked: dict[str, str], page: int = 1) -> str:
    fields = {name: value for name, value in asked.items() if value} | ({"page": str(page)} if page > 1 else {})
    return "/outbound" + (f"?{urlencode(fields)}" if fields else "")


def _id(text: str) -> UUID:
    wanted = rooms.parse_id(text)
    if wanted is None:
        raise OutboundNotFound("This project has no such message.")
    return wanted
