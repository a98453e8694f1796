"""Page: the conversation around a message."""

from dataclasses import dataclass
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proofdesk import ids
from proofdesk.projects.scope import Scope
from proofdesk.request import Db, ProjectReader, Route, Viewer
from proofdesk.review import conversations
from proofdesk.review.conversations import Thread
from proofdesk.web import cards, shell

router = APIRouter(route_class=Route)

AROUND = 15
"""Messages shown before and after the cited one, until the whole thread is asked for."""


@dataclass(frozen=True)
class Window:
    """The part of a thread that is shown, and how much is left out before and after it."""

    lines: list[cards.Line]
    before: int
    after: int


@router.get("/conversations/{conversation_id}/thread")
async def show_thread(
    request: Request, db: Db, session: Viewer, scope: ProjectReader, conversation_id: str, hit: str = "", all: str = ""
) -> Response:
    """The messages around `hit`, or all of them; as a part for htmx."""
    thread = await conversations.thread(db, scope, conversation_id)
    window = _window(scope, thread, hit, whole=bool(all))
    found = thread.conversation
    values = {
        "number": found.conversation_id,
        "contact": found.contact_name or "",
        "inbox": found.inbox_name or f"Inbox {found.inbox_id}",
        "status": found.status,
        "lines": window.lines,
        "before": window.before,
        "after": window.after,
        "whole_url": f"/conversations/{quote(conversation_id)}/thread?all=1&hit={quote(hit)}",
    }
    if shell.wants_part(request):
        return shell.partial("thread/_thread.html", values)
    return shell.page(request, "thread/page.html", values, frame=await shell.frame(request, db, session))


def _window(scope: Scope, thread: Thread, hit: str, *, whole: bool) -> Window:
    of = [ids.message(scope.project_id, m.account_id, m.message_id) for m in thread.messages]
    cited = of.index(hit) if hit in of else None
    first = 0 if whole or cited is None else max(0, cited - AROUND)
    last = len(of) if whole else min(len(of), (cited or 0) + AROUND + 1 if cited is not None else 2 * AROUND)
    lines = [cards.line(m, n == cited) for n, m in enumerate(thread.messages)][first:last]
    return Window(lines, first, len(of) - last)
