"""Pages: contacts, and one of them with his conversations."""

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proofdesk import request as asking
from proofdesk.request import Db, ProjectReader, Route, Viewer
from proofdesk.review import contacts
from proofdesk.web import cards, projects, shell

router = APIRouter(route_class=Route)

A_PAGE = 50


@router.get("/contacts")
async def list_contacts(request: Request, db: Db, session: Viewer, q: str = "", page: str = "1") -> Response:
    """A page of them; with `q` in a name, address, number or identifier."""
    scope = await asking.active_scope(request, session)
    if scope is None:
        return await projects.choose(request, session)
    number = shell.page_number(page)
    first = (number - 1) * A_PAGE
    found = await contacts.find(db, scope, q, A_PAGE + 1, first)
    values: dict[str, Any] = {
        "people": [cards.who(scope.project_id, c) for c in found[:A_PAGE]],
        "q": q[:200],
        "said": f"{first + 1} to {first + len(found[:A_PAGE])}" if found else "",
        "newer_url": _url(q, number - 1) if number > 1 else "",
        "older_url": _url(q, number + 1) if len(found) > A_PAGE else "",
    }
    if shell.wants_part(request):
        return shell.partial(request, "contacts/_list.html", values)
    return shell.page(request, "contacts/page.html", values, frame=await shell.frame(request, db, session))


@router.get("/contacts/{contact_id}")
async def show_contact(request: Request, db: Db, session: Viewer, scope: ProjectReader, contact_id: str) -> Response:
    """One of them, with his last conversations."""
    known = await contacts.known(db, scope, contact_id)
    values = {
        "who": cards.who(scope.project_id, known.contact),
        "number": known.contact.contact_id,
        "talks": [cards.talk(scope.project_id, c) for c in known.conversations],
        "most": contacts.MOST_CONVERSATIONS,
    }
    return shell.page(request, "contacts/contact.html", values, frame=await shell.frame(request, db, session))


def _url(q: str, page: int) -> str:
    fields = ({"q": q} if q else {}) | ({"page": str(page)} if page > 1 else {})
    return "/contacts" + (f"?{urlencode(fields)}" if fields else "")
