"""Page: search. Its state is in the address, so it works without scripts and can be shared."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk import failures
from proofdesk import request as asking
from proofdesk.embeddings import vectors
from proofdesk.errors import Invalid, Unavailable
from proofdesk.projects.scope import Scope
from proofdesk.request import Resources, Route, Viewer
from proofdesk.review import holdings
from proofdesk.review.holdings import Overview
from proofdesk.search import hits
from proofdesk.search.hits import Answer
from proofdesk.web import cards, filters, shell
from proofdesk.web.filters import Filled

router = APIRouter(route_class=Route)

TITLES = {
    "no_project_data": "This project has no conversations yet",
    "sync_pending": "The first sync has not finished",
    "embeddings_missing": "Search by meaning is not ready",
    "provider_not_configured": "Search by meaning is not set up",
}

FilledIn = Annotated[Filled, Depends(filters.filled)]


@dataclass(frozen=True)
class Outcome:
    """What came of a question: an answer, or the reason why there is none."""

    answer: Answer | None = None
    refused: str = ""
    status: int = 200


@router.get("/")
async def start(session: Viewer) -> Response:
    """The start page is search."""
    return RedirectResponse(shell.HOME, 303)


@router.get("/search")
async def show_search(request: Request, opened: Resources, session: Viewer, filled: FilledIn) -> Response:
    """The form and, when something is asked, the evidence; only the latter for htmx."""
    scope = await asking.active_scope(request, session)
    if scope is None:
        frame = await shell.frame(request, opened.db, session)
        return shell.page(request, "projects/none.html", {"name": "", "error": ""}, frame=frame)
    outcome = await _ask(opened, scope, filled)
    found = _results(filled, outcome)
    if shell.wants_part(request):
        return shell.partial("search/_results.html", found, outcome.status)
    overview = await holdings.overview(opened.db, scope)
    form = filters.form(filled, overview)
    first = await _first_visit(opened, scope, overview) if not filled.q else None
    values = {**found, "form": form, "first": first}
    frame = await shell.frame(request, opened.db, session)
    return shell.page(request, "search/page.html", values, frame=frame, status=outcome.status)


async def _ask(opened: Resources, scope: Scope, filled: Filled) -> Outcome:
    if not filled.q:
        return Outcome()
    try:
        question = filters.question(filled)
        return Outcome(await hits.find(opened.db, scope, opened.provider, opened.settings, question))
    except (Invalid, Unavailable) as error:
        return Outcome(refused=error.message, status=failures.translated(error).status)


def _results(filled: Filled, outcome: Outcome) -> dict[str, Any]:
    answer = outcome.answer
    found = answer.results if answer else []
    return {
        "asked": bool(filled.q),
        "refused": outcome.refused,
        "cards": [cards.card(hit) for hit in found],
        "took_ms": round(answer.took_ms["total"]) if answer else 0,
        "degraded": bool(answer and answer.degraded),
        "diagnosis": _diagnosis(answer),
        "more_url": filters.more_url(filled) if len(found) == filled.k and filled.k < filters.MOST else "",
    }


def _diagnosis(answer: Answer | None) -> dict[str, str] | None:
    if answer is None or answer.diagnosis is None:
        return None
    return {"title": TITLES.get(answer.diagnosis.code, "No match"), "message": answer.diagnosis.message}


async def _first_visit(opened: Resources, scope: Scope, overview: Overview) -> dict[str, Any]:
    ready = (await vectors.counts(opened.db, scope)).ready
    return {
        "empty": overview.holdings.messages == 0,
        "conversations": cards.number(overview.holdings.conversations),
        "messages": cards.number(overview.holdings.messages),
        "ready": cards.number(ready),
        "project_id": str(scope.project_id),
    }
