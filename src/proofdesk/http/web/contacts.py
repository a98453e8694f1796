"""Pages: contacts, and one contact with their conversations, policies and outbound messages."""

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proofdesk.conversations import contacts
from proofdesk.http.dependencies import Config, CurrentSession, Db, OptionalProject, ProjectReader, Route
from proofdesk.http.web import commitment_views, layout, outbound_views, projects, view_models
from proofdesk.http.web.policies import CHANGED
from proofdesk.outbound import policies, recipients
from proofdesk.outbound.policy_queries import PolicyFilter

router = APIRouter(route_class=Route)

PAGE_SIZE = 50
MOST_WRITTEN = 20


@router.get("/contacts")
async def list_contacts(
    request: Request, db: Db, session: CurrentSession, scope: OptionalProject, q: str = "", page: str = "1"
) -> Response:
    """Show a page of contacts. `q` searches names, addresses, phone numbers and identifiers."""
    if scope is None:
        return await projects.render_projects(request, session)
    number = layout.parse_page_number(page)
    first = (number - 1) * PAGE_SIZE
    rows = await contacts.list_contacts(db, scope, q, PAGE_SIZE + 1, first)
    values: dict[str, Any] = {
        "contacts": [view_models.contact_view(scope.project_id, c) for c in rows[:PAGE_SIZE]],
        "q": q[:200],
        "is_past_end": number > 1,
        "range_text": f"{first + 1} to {first + len(rows[:PAGE_SIZE])}" if rows else "",
        "newer_url": _url(q, number - 1) if number > 1 else "",
        "older_url": _url(q, number + 1) if len(rows) > PAGE_SIZE else "",
    }
    if layout.wants_partial(request):
        return layout.render_partial(request, "contacts/_list.html", values)
    return layout.render_page(
        request, "contacts/page.html", values, frame=await layout.load_frame(request, db, session)
    )


@router.get("/contacts/{contact_id}")
async def show_contact(
    request: Request,
    db: Db,
    settings: Config,
    session: CurrentSession,
    scope: ProjectReader,
    contact_id: str,
    done: str = "",
) -> Response:
    """Show a contact with their commitments, conversations, policies and outbound messages."""
    details = await contacts.get_contact(db, scope, contact_id)
    contact_policies, _ = await policies.list_policies(db, scope, PolicyFilter(contact_id.lower()), PAGE_SIZE, 0)
    sent_messages = await recipients.list_messages(db, scope, contact_id.lower(), MOST_WRITTEN)
    names = await recipients.load_contacts(db, scope, {m.recipient_ref for m in sent_messages} | {contact_id.lower()})
    page_url = view_models.contact_url(scope.project_id, details.contact.account_id, details.contact.contact_id)
    values = {
        "contact": view_models.contact_view(scope.project_id, details.contact),
        "number": details.contact.contact_id,
        "conversations": [view_models.conversation_view(scope.project_id, c) for c in details.conversations],
        "commitments": await commitment_views.load_card(
            db, scope, settings.project_timezone, contact=contact_id.lower()
        ),
        "most": contacts.MAX_CONVERSATIONS,
        "policies": [outbound_views.policy_view(p, names) for p in contact_policies],
        "rows": [outbound_views.message_row(m, names) for m in sent_messages],
        "most_written": MOST_WRITTEN,
        "back": f"{page_url}?done=policy",
        "compose_url": f"/outbound?{urlencode({'compose': 1, 'to': contact_id.lower()})}",
    }
    frame = await layout.load_frame(request, db, session)
    notice = CHANGED if done == "policy" else ""
    return layout.render_page(request, "contacts/contact.html", values, frame=frame, toast=notice)


def _url(q: str, page: int) -> str:
    fields = ({"q": q} if q else {}) | ({"page": str(page)} if page > 1 else {})
    return "/contacts" + (f"?{urlencode(fields)}" if fields else "")
