"""Page: search. Its state is in the address, so that it works without scripts and can be shared."""

from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from proofdesk.answers import questions
from proofdesk.conversations import conversations, totals
from proofdesk.conversations.queries import InboxRow
from proofdesk.errors import Invalid, NotFound, Unavailable
from proofdesk.http import errors
from proofdesk.http.dependencies import CurrentSession, OptionalProject, Resources, Route
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
async def show_search(
    request: Request, resources: Resources, session: CurrentSession, scope: OptionalProject, form: FilledIn
) -> Response:
    """Show the form and the results; only the results for htmx."""
    if scope is None:
        return await projects.render_projects(request, session)
    outcome = await _search(resources, scope, form)
    inboxes = await totals.list_inboxes(resources.db, scope)
    result_values = _results(form, outcome, inboxes) | {"thread": await _open_thread(request, resources, scope, form)}
    if layout.wants_partial(request):
        return layout.render_partial(request, "search/_results.html", result_values, outcome.status)
    start = await _start_values(resources, scope) if not form.q else None
    fields = filters.form_values(form, inboxes, await totals.list_labels(resources.db, scope))
    values = {**result_values, "form": fields, "start": start}
    frame = await layout.load_frame(request, resources.db, session)
    return layout.render_page(request, "search/page.html", values, frame=frame, status=outcome.status)


async def _open_thread(request: Request, resources: Resources, scope: Scope, form: SearchForm) -> dict[str, Any] | None:
    """Return the conversation that is open beside the results, if the address names one of its messages."""
    if not form.open:
        return None
    try:
        thread = await conversations.get_conversation_of_message(resources.db, scope, form.open)
    except (Invalid, NotFound):
        return None
    return threads.thread_values(
        resources.settings, scope, thread, form.open, closes=filters.search_url(replace(form, open=""))
    )


async def _search(resources: Resources, scope: Scope, form: SearchForm) -> SearchOutcome:
    if not form.q:
        return SearchOutcome()
    try:
        question = filters.build_query(form)
        return SearchOutcome(
            await results.search(resources.db, scope, resources.provider, resources.settings, question)
        )
    except (Invalid, Unavailable) as error:
        return SearchOutcome(error=error.message, status=errors.describe_error(error).status)


def _results(form: SearchForm, outcome: SearchOutcome, inboxes: list[InboxRow]) -> dict[str, Any]:
    answer = outcome.answer
    hits = answer.results if answer else []
    opening = {h.message_global_id: filters.search_url(replace(form, open=h.message_global_id)) for h in hits}
    return {
        "has_query": bool(form.q),
        "error": outcome.error,
        "groups": view_models.group_hits([hit for hit in hits if hit.relevance == "strong"]),
        "weak_groups": view_models.group_hits([hit for hit in hits if hit.relevance == "weak"]),
        "opening": opening,
        "open": form.open,
        "hit_count": sum(hit.relevance == "strong" for hit in hits),
        "took_ms": round(answer.took_ms["total"]) if answer else 0,
        "degraded": bool(answer and answer.degraded),
        "hints": answer.hints if answer else [],
        "diagnosis": _diagnosis(form, answer),
        "chips": filters.filter_chips(form, inboxes),
        "more_url": filters.search_url(replace(form, k=filters.MAX_RESULTS, open=""))
        if len(hits) == form.k and form.k < filters.MAX_RESULTS
        else "",
        "ask_url": filters.search_url(replace(form, open="")).replace("/search", "/answers", 1)
        if answer and form.k < filters.MAX_RESULTS and questions.is_question(form.q)
        else "",
        "can_compose": layout.has_page("/outbound"),
    }


def _diagnosis(form: SearchForm, answer: SearchResults | None) -> dict[str, Any] | None:
    if answer is None or answer.diagnosis is None:
        return None
    why = answer.diagnosis
    in_words = replace(form, mode="text", open="")
    return {
        "code": why.code,
        "title": TITLES.get(why.code, "No strong match" if answer.results else "No match"),
        "message": why.message,
        "fixes": FIXES.get(why.code, []),
        "words_url": filters.search_url(in_words) if form.mode != "text" and why.code in KEYWORD_FALLBACK else "",
        "clear_url": filters.search_url(SearchForm(q=form.q, mode=form.mode)) if why.code == "no_match" else "",
        "runbook_url": f"/runbooks/{why.runbook}" if layout.has_page("/runbooks") else "",
        "counts": {name.replace("_", " "): view_models.format_number(count) for name, count in why.counts.items()},
    }


async def _start_values(resources: Resources, scope: Scope) -> dict[str, Any]:
    counts = await totals.count_entities(resources.db, scope)
    return {
        "empty": counts.messages == 0,
        "conversations": view_models.format_number(counts.conversations),
        "messages": view_models.format_number(counts.messages),
        "ready": view_models.format_number((await vectors.count_chunks(resources.db, scope)).ready),
    }
