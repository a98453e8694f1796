"""Page: audit events, and the verification of their chain."""

from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from proofdesk.audit import chain
from proofdesk.audit.queries import AuditEvent, AuditFilter
from proofdesk.evidence import references
from proofdesk.http.dependencies import CurrentSession, Db, OptionalProject, ProjectReader, Route
from proofdesk.http.web import layout, projects, view_models
from proofdesk.http.web.layout import Choice

router = APIRouter(route_class=Route)

PAGE_SIZE = 50
FAMILIES = {
    "": "Everything", "auth.*": "Accounts and sign-ins", "project.*": "Projects and members", "source.*": "Sources",
    "job.*": "Jobs", "embeddings.*": "Embeddings", "outbound.*": "Outbound",
}  # fmt: skip


async def _parse_filter(
    action: str | None = None, entity_type: str | None = None, entity_id: str | None = None
) -> AuditFilter:
    return AuditFilter(action or None, entity_type or None, entity_id or None)


EventFilter = Annotated[AuditFilter, Depends(_parse_filter)]


@dataclass(frozen=True)
class AuditRow:
    """An audit event as a row of the list."""

    id: int
    action: str
    actor: str
    status: str
    entity: str
    entity_url: str
    request_id: str
    details: list[tuple[str, str]]
    refs: list[dict[str, str]]
    created: view_models.DisplayTime


@router.get("/audit")
async def show_audit(
    request: Request,
    db: Db,
    session: CurrentSession,
    scope: OptionalProject,
    event_filter: EventFilter,
    page: str = "1",
) -> Response:
    """Show a page of events, newest first."""
    if scope is None:
        return await projects.render_projects(request, session)
    number = layout.parse_page_number(page)
    events = await chain.list_events(db, scope, scope.actor, event_filter, PAGE_SIZE, (number - 1) * PAGE_SIZE)
    events = await references.add_snippets(db, scope, events)
    total = await chain.count_events(db, scope, scope.actor, event_filter)
    values = {
        "rows": [_row(e) for e in events],
        "total": view_models.format_count(total, "event"),
        "form": _form(event_filter),
        "newer_url": _url(event_filter, number - 1) if number > 1 else "",
        "older_url": _url(event_filter, number + 1) if number * PAGE_SIZE < total else "",
    }
    return layout.render_page(request, "audit/page.html", values, frame=await layout.load_frame(request, db, session))


@router.get("/audit/verify")
async def verify(request: Request, db: Db, session: CurrentSession, scope: ProjectReader) -> Response:
    """Verify the chain of the project and, for the owner, that of the installation; a part for htmx."""
    proofs = [await chain.verify(db, scope, "This project")]
    if session.is_owner:
        proofs.append(await chain.verify(db, None, "Accounts and sign-ins"))
    values = {
        "proofs": [{"name": p.chain, "events": view_models.format_number(p.events), "fault": p.fault} for p in proofs]
    }
    if layout.wants_partial(request):
        return layout.render_partial(request, "audit/_proof.html", values)
    return layout.render_page(request, "audit/proof.html", values, frame=await layout.load_frame(request, db, session))


def _row(event: AuditEvent) -> AuditRow:
    facts = [
        (view_models.format_name(name), view_models.format_value(value))
        for name, value in event.payload.items()
        if value not in ({}, [], None)
    ]
    same_entity = AuditFilter(entity_type=event.entity_type, entity_id=event.entity_id)
    return AuditRow(
        id=event.id,
        action=event.action,
        actor=event.actor_username,
        status=event.status,
        entity=view_models.format_name(event.entity_type),
        entity_url=_url(same_entity, 1) if event.entity_id else "",
        request_id=event.request_id or "",
        details=facts,
        refs=[_ref(ref) for ref in event.evidence_refs],
        created=view_models.display_time(event.created_at),
    )


def _ref(ref: dict[str, Any]) -> dict[str, str]:
    """Return a reference for the template. A reference to a message opens in place."""
    name = str(ref.get("ref", ""))
    message = name.partition("#")[0] if ref.get("source") in ("cw_messages", "rag_chunks") else ""
    url = f"/messages/{quote(message)}/thread" if message else ""
    if ref.get("source") == "cw_conversations":
        url = view_models.thread_url(name)
    return {"ref": name, "snippet": str(ref.get("snippet") or ""), "url": url}


def _form(event_filter: AuditFilter) -> dict[str, Any]:
    action = event_filter.action or ""
    families = FAMILIES if action in FAMILIES else {**FAMILIES, action: action}
    return {
        "action": action,
        "families": [
            Choice(_url(replace(event_filter, action=value or None), 1), label, value == action)
            for value, label in families.items()
        ],
        "entity_type": event_filter.entity_type or "",
        "entity_id": event_filter.entity_id or "",
        "is_set": event_filter != AuditFilter(),
    }


def _url(event_filter: AuditFilter, page: int) -> str:
    fields = {name: value for name, value in vars(event_filter).items() if value} | ({"page": page} if page > 1 else {})
    return "/audit" + (f"?{urlencode(fields)}" if fields else "")
