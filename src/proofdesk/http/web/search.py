"""Page: search. Its state is in the address, so that it works without scripts and can be shared."""

from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from proofdesk.conversations import conversations, totals
from proofdesk.conversations.queries import InboxRow
from proofdesk.errors import Invalid, NotFound, Unavailable
from proofdesk.http import dependencies, errors
from proofdesk.http.dependencies import CurrentSession, Resources, Route
from proofdesk.http.web import filters, layout, projects, threads, view_models
from proofdesk.http.web.filters import SearchForm
from proofdesk.indexing import vectors
from proofdesk.projects.scope import Scope
from proofdesk.search import results
from proofdesk.search.results import SearchResults

router = APIRouter(route_class=Route)

TITLES = {
    "no_project_data": "This project has no conversations yet",
    "sync_pending": "The first sync has not finished",
    "embeddings_missing": "Search by meaning is not ready",
    "provider_not_configured": "Search by meaning is not set up",
}

FIXES = {
    "no_project_data": ["source", "sync"],
    "sync_pending": ["sync"],
    "embeddings_missing": ["embed"],
}
"""The buttons for each cause of an empty result."""
KEYWORD_FALLBACK = ("embeddings_missing", "provider_not_configured")

FilledIn = Annotated[SearchForm, Depends(filters.parse_form)]


@dataclass(frozen=True)
class SearchOutcome:
    """The result of a search, or the error that prevented it."""

    answer: SearchResults | None = None
    error: str = ""
    status: int = 200


@router.get("/search")
async def show_search(request: Request, opened: Resources, session: CurrentSession, filled: FilledIn) -> Response:
    """Show the form and the results; only the results for htmx."""
    scope = dependencies.active_scope(request, session)
    if scope is None:
        return await projects.render_projects(request, session)
    outcome = await _search(opened, scope, filled)
    inboxes = await totals.list_inboxes(opened.db, scope)
    found = _results(filled, outcome, inboxes) | {"beside": await _open_thread(request, opened, scope, filled)}
    if layout.wants_partial(request):
        return layout.render_partial(request, "search/_results.html", found, outcome.status)
    first = await _start_values(opened, scope) if not filled.q else None
    form = filters.form_values(filled, inboxes, await totals.list_labels(opened.db, scope))
    values = {**found, "form": form, "first": first}
    frame = await layout.load_frame(request, opened.db, session)
    return layout.render_page(request, "search/page.html", values, frame=frame, status=outcome.status)


async def _open_thread(request: Request, opened: Resources, scope: Scope, filled: SearchForm) -> dict[str, Any] | None:
    """Return the conversation that is open beside the results, if the address names one of its messages."""
    if not filled.open:
        return None
    try:
        thread = await conversations.get_conversation_of_message(opened.db, scope, filled.open)
    except (Invalid, NotFound):
        return None
    return threads.thread_values(
        opened.settings, scope, thread, filled.open, closes=filters.search_url(replace(filled, open=""))
    )


async def _search(opened: Resources, scope: Scope, filled: SearchForm) -> SearchOutcome:
    if not filled.q:
        return SearchOutcome()
    try:
        question = filters.build_query(filled)
        return SearchOutcome(await results.search(opened.db, scope, opened.provider, opened.settings, question))
    except (Invalid, Unavailable) as error:
        return SearchOutcome(error=error.message, status=errors.describe_error(error).status)


def _results(filled: SearchForm, outcome: SearchOutcome, inboxes: list[InboxRow]) -> dict[str, Any]:
    answer = outcome.answer
    found = answer.results if answer else []
    opening = {h.message_global_id: filters.search_url(replace(filled, open=h.message_global_id)) for h in found}
    return {
        "asked": bool(filled.q),
        "refused": outcome.error,
        "groups": view_models.group_hits(found),
        "opening": opening,
        "open": filled.open,
        "passages": len(found),
        "took_ms": round(answer.took_ms["total"]) if answer else 0,
        "degraded": bool(answer and answer.degraded),
        "diagnosis": _diagnosis(filled, answer),
        "chips": filters.filter_chips(filled, inboxes),
        "more_url": filters.search_url(replace(filled, k=filters.MAX_RESULTS, open=""))
        if len(found) == filled.k and filled.k < filters.MAX_RESULTS
        else "",
        "can_compose": layout.has_page("/outbound"),
    }


def _diagnosis(filled: SearchForm, answer: SearchResults | None) -> dict[str, Any] | None:
    if answer is None or answer.diagnosis is None:
        return None
    why = answer.diagnosis
    in_words = replace(filled, mode="text", open="")
    return {
        "code": why.code,
        "title": TITLES.get(why.code, "No match"),
        "message": why.message,
        "fixes": FIXES.get(why.code, []),
        "words_url": filters.search_url(in_words) if filled.mode != "text" and why.code in KEYWORD_FALLBACK else "",
        "clear_url": filters.search_url(SearchForm(q=filled.q, mode=filled.mode)) if why.code == "no_match" else "",
        "runbook_url": f"/runbooks/{why.runbook}" if layout.has_page("/runbooks") else "",
        "counts": {name.replace("_", " "): view_models.format_number(count) for name, count in why.counts.items()},
    }


async def _start_values(opened: Resources, scope: Scope) -> dict[str, Any]:
    held = await totals.count_entities(opened.db, scope)
    return {
        "empty": held.messages == 0,
        "conversations": view_models.format_number(held.conversations),
        "messages": view_models.format_number(held.messages),
        "ready": view_models.format_number((await vectors.count_chunks(opened.db, scope)).ready),
    }
