"""Page: conversations, the most recently active first."""

from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from proofdesk.conversations import conversations, totals
from proofdesk.conversations.queries import InboxRow
from proofdesk.http import dependencies
from proofdesk.http.dependencies import CurrentSession, Db, Route
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
    request: Request, db: Db, session: CurrentSession, which: Annotated[ConversationFilter, Depends(parse_filter)]
) -> Response:
    """Show a page of conversations."""
    scope = dependencies.active_scope(request, session)
    if scope is None:
        return await projects.render_projects(request, session)
    inbox, first = int(which.inbox) if which.inbox else None, (which.page - 1) * PAGE_SIZE
    found = await conversations.list_conversations(db, scope, inbox, which.status or None, PAGE_SIZE + 1, first)
    values = {
        "talks": [view_models.conversation_view(scope.project_id, c) for c in found[:PAGE_SIZE]],
        "statuses": [_choice(which, status, label) for status, label in STATUSES.items()],
        "inboxes": _inboxes(which, await totals.list_inboxes(db, scope)),
        "status": which.status,
        "is_set": bool(which.inbox or which.status),
        "said": f"{first + 1} to {first + len(found[:PAGE_SIZE])}" if found else "",
        "newer_url": _url(replace(which, page=which.page - 1)) if which.page > 1 else "",
        "older_url": _url(replace(which, page=which.page + 1)) if len(found) > PAGE_SIZE else "",
    }
    return layout.render_page(
        request, "conversations/page.html", values, frame=await layout.load_frame(request, db, session)
    )


def _choice(which: ConversationFilter, status: str, label: str) -> Choice:
    return Choice(_url(replace(which, status=status, page=1)), label, which.status == status)


def _inboxes(which: ConversationFilter, found: list[InboxRow]) -> list[Choice]:
    names = {"": "Any inbox"} | {str(i.inbox_id): i.name for i in found}
    return [Choice(value, label, value == which.inbox) for value, label in names.items()]


def _url(which: ConversationFilter) -> str:
    fields = {"inbox_id": which.inbox, "status": which.status, "page": which.page if which.page > 1 else ""}
    query = urlencode({name: value for name, value in fields.items() if value})
    return "/conversations" + (f"?{query}" if query else "")
