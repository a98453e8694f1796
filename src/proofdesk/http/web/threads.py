"""Page: the conversation around a message."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proofdesk.conversations import conversations
from proofdesk.conversations.conversations import ConversationDetails
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.http.dependencies import Config, CurrentSession, Db, ProjectReader, Route
from proofdesk.http.web import commitment_views, layout, view_models
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings

router = APIRouter(route_class=Route)

CONTEXT_MESSAGES = 15
"""The number of messages before and after the cited one, unless the whole conversation is requested."""


@dataclass(frozen=True)
class ThreadWindow:
    """The messages that are shown, and how many are left out before and after them."""

    lines: list[view_models.ThreadMessage]
    before: int
    after: int


@router.get("/conversations/{conversation_id}/thread")
async def show_thread(
    request: Request,
    db: Db,
    settings: Config,
    session: CurrentSession,
    scope: ProjectReader,
    conversation_id: str,
    hit: str = "",
    all: str = "",
) -> Response:
    """Show the messages around `hit`, or all; as a part for htmx."""
    thread = await conversations.get_conversation(db, scope, conversation_id)
    if layout.wants_partial(request):
        return layout.render_partial(
            request, "thread/_thread.html", {"thread": thread_values(settings, scope, thread, hit, bool(all))}
        )
    context = {"thread": thread_values(settings, scope, thread, hit, bool(all) or not hit)}
    context |= {"commitments": await _load_commitments(db, settings, scope, thread)}
    return layout.render_page(request, "thread/page.html", context, frame=await layout.load_frame(request, db, session))


@router.get("/messages/{message_id}/thread")
async def show_message_thread(
    request: Request, db: Db, settings: Config, session: CurrentSession, scope: ProjectReader, message_id: str
) -> Response:
    """Show the conversation of a message."""
    thread = await conversations.get_conversation_of_message(db, scope, message_id)
    context = {"thread": thread_values(settings, scope, thread, message_id)}
    if layout.wants_partial(request):
        return layout.render_partial(request, "thread/_thread.html", context)
    context |= {"commitments": await _load_commitments(db, settings, scope, thread)}
    return layout.render_page(request, "thread/page.html", context, frame=await layout.load_frame(request, db, session))


def thread_values(
    settings: Settings, scope: Scope, thread: ConversationDetails, hit: str, whole: bool = False, closes: str = ""
) -> dict[str, Any]:
    """Return the values of the template. `closes` is the address of the page without the conversation."""
    window = _window(scope, thread, hit, whole=whole)
    conversation = thread.conversation
    conversation_id = ids.conversation(scope.project_id, conversation.account_id, conversation.conversation_id)
    return {
        "number": conversation.conversation_id,
        "contact": conversation.contact_name or "",
        "contact_url": view_models.contact_url(scope.project_id, conversation.account_id, conversation.contact_id),
        "inbox": conversation.inbox_name or f"Inbox {conversation.inbox_id}",
        "status": conversation.status,
        "labels": conversation.labels,
        "assignee": conversation.assignee_name or "",
        "lines": window.lines,
        "before": window.before,
        "after": window.after,
        "whole_url": f"{view_models.thread_url(conversation_id)}?all=1&hit={quote(hit)}",
        "page_url": view_models.thread_url(conversation_id, hit),
        "source_url": view_models.chatwoot_url(settings, conversation.account_id, conversation.conversation_id),
        "closes": closes,
    }


async def _load_commitments(
    db: Database, settings: Settings, scope: Scope, thread: ConversationDetails
) -> dict[str, Any]:
    row = thread.conversation
    conversation_id = ids.conversation(scope.project_id, row.account_id, row.conversation_id)
    return await commitment_views.load_card(db, scope, settings.project_timezone, conversation=conversation_id)


def _window(scope: Scope, thread: ConversationDetails, hit: str, *, whole: bool) -> ThreadWindow:
    message_ids = [ids.message(scope.project_id, m.account_id, m.message_id) for m in thread.messages]
    cited = message_ids.index(hit) if hit in message_ids else None
    first = 0 if whole or cited is None else max(0, cited - CONTEXT_MESSAGES)
    last = (
        len(message_ids)
        if whole
        else min(len(message_ids), (cited or 0) + CONTEXT_MESSAGES + 1 if cited is not None else 2 * CONTEXT_MESSAGES)
    )
    lines = [view_models.thread_message(m, n == cited) for n, m in enumerate(thread.messages)][first:last]
    return ThreadWindow(lines, first, len(message_ids) - last)
