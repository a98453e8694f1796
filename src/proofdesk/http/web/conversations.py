"""Page: conversations, the most recently active first."""

from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from proofdesk.conversations import conversations, totals
from proofdesk.conversations.queries import InboxRow
from proofdesk.http.dependencies import CurrentSession, Db, OptionalProject, Route
from proofdesk.http.web import layout, projects, view_models
from proofdesk.http.web.filters import STATUSES
from proofdesk.http.web.layout import Choice

router = APIRouter(route_class=Route)

PAGE_SIZE = 50


@dataclass(frozen=True)
class ConversationFilter:
    """Which conversations to list; invalid values of the address are ignored."""

    inbox: str = ""
    status: str = ""
    page: int = 1


async def parse_filter(inbox_id: str = "", status: str = "", page: str = "1") -> ConversationFilter:
    """Return the filter that the address contains."""
    return ConversationFilter(
        inbox=inbox_id if inbox_id.isascii() and inbox_id.isdigit() and len(inbox_id) < 19 else "",
        status=status if status in STATUSES else "",
        page=layout.parse_page_number(page),
    )


@router.get("/conversations")
async def list_conversations(
    request: Request,
    db: Db,
    session: CurrentSession,
    scope: OptionalProject,
    conversation_filter: Annotated[ConversationFilter, Depends(parse_filter)],
) -> Response:
    """Show a page of conversations."""
    if scope is None:
        return await projects.render_projects(request, session)
    inbox, first = (
        int(conversation_filter.inbox) if conversation_filter.inbox else None,
        (conversation_filter.page - 1) * PAGE_SIZE,
    )
    rows = await conversations.list_conversations(
        db, scope, inbox, conversation_filter.status or None, PAGE_SIZE + 1, first
    )
    values = {
        "conversations": [view_models.conversation_view(scope.project_id, c) for c in rows[:PAGE_SIZE]],
        "statuses": [_choice(conversation_filter, status, label) for status, label in STATUSES.items()],
        "inboxes": _inboxes(conversation_filter, await totals.list_inboxes(db, scope)),
        "status": conversation_filter.status,
        "is_set": bool(conversation_filter.inbox or conversation_filter.status),
        "is_past_end": first > 0,
        "range_text": f"{first + 1} to {first + len(rows[:PAGE_SIZE])}" if rows else "",
        "newer_url": _url(replace(conversation_filter, page=conversation_filter.page - 1))
        if conversation_filter.page > 1
        else "",
        "older_url": _url(replace(conversation_filter, page=conversation_filter.page + 1))
        if len(rows) > PAGE_SIZE
        else "",
    }
    return layout.render_page(
        request, "conversations/page.html", values, frame=await layout.load_frame(request, db, session)
    )


def _choice(conversation_filter: ConversationFilter, status: str, label: str) -> Choice:
    return Choice(
        _url(replace(conversation_filter, status=status, page=1)), label, conversation_filter.status == status
    )


def _inboxes(conversation_filter: ConversationFilter, inboxes: list[InboxRow]) -> list[Choice]:
    names = {"": "Any inbox"} | {str(i.inbox_id): i.name for i in inboxes}
    return [Choice(value, label, value == conversation_filter.inbox) for value, label in names.items()]


def _url(conversation_filter: ConversationFilter) -> str:
    fields = {
        "inbox_id": conversation_filter.inbox,
        "status": conversation_filter.status,
        "page": conversation_filter.page if conversation_filter.page > 1 else "",
    }
    query = urlencode({name: value for name, value in fields.items() if value})
    return "/conversations" + (f"?{query}" if query else "")
