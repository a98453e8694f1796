"""Pages: the answer above the hits of a search, streamed with its steps, and the register of asked questions."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from proofdesk.answers import asking, register
from proofdesk.answers.answer import Answer
from proofdesk.answers.answer_queries import AnswerFilter
from proofdesk.answers.asking import AnswerRequest
from proofdesk.errors import ProofdeskError
from proofdesk.http import errors
from proofdesk.http.dependencies import CurrentSession, OptionalProject, ProjectReader, Resources, Route
from proofdesk.http.web import answer_views, filters, layout, projects
from proofdesk.http.web.filters import SearchForm
from proofdesk.projects.scope import Scope

router = APIRouter(route_class=Route)

PAGE_SIZE = 50
FilledIn = Annotated[SearchForm, Depends(filters.parse_form)]


@router.post("/answers")
async def ask_question(request: Request, resources: Resources, scope: ProjectReader, form: FilledIn) -> Response:
    """Answer the query of the search form: as a stream for htmx, else on a page of its own."""
    question = AnswerRequest(form.q, filters.build_query(form).filters)
    if layout.wants_partial(request):
        stream = _stream(request, resources, scope, question)
        return StreamingResponse(stream, 200, {"cache-control": "no-store"}, "text/event-stream")
    answer = await asking.ask(resources.answering, scope, question)
    return RedirectResponse(f"/answers/{answer.id}", 303)


@router.get("/answers")
async def list_answers(
    request: Request,
    resources: Resources,
    session: CurrentSession,
    scope: OptionalProject,
    status: str = "",
    page: str = "",
) -> Response:
    """Show asked questions, or those without an answer."""
    if scope is None:
        return await projects.render_projects(request, session)
    number = layout.parse_page_number(page)
    chosen = AnswerFilter(status if status in ("answered", "abstained", "failed") else None)
    answers, total = await register.list_answers(resources.db, scope, chosen, PAGE_SIZE, (number - 1) * PAGE_SIZE)
    values = {
        "answers": [answer_views.answer_view(answer) for answer in answers],
        "total": total,
        "status": chosen.status or "",
        "earlier": number + 1 if total > number * PAGE_SIZE else 0,
    }
    frame = await layout.load_frame(request, resources.db, session)
    return layout.render_page(request, "answers/list.html", values, frame=frame)


@router.get("/answers/{answer_id}")
async def show_answer(
    request: Request, resources: Resources, session: CurrentSession, scope: ProjectReader, answer_id: str
) -> Response:
    """Show a question with its answer."""
    answer = await register.get_answer(resources.db, scope, answer_id)
    frame = await layout.load_frame(request, resources.db, session)
    return layout.render_page(request, "answers/page.html", _values(answer), frame=frame)


@router.post("/answers/{answer_id}/feedback")
async def rate_answer(
    request: Request, resources: Resources, scope: ProjectReader, answer_id: str, useful: Annotated[str, Form()] = ""
) -> Response:
    """Store whether the answer was useful."""
    answer = await register.give_feedback(resources.db, scope, answer_id, {"yes": True, "no": False}.get(useful), None)
    if layout.wants_partial(request):
        return layout.render_partial(request, "answers/_feedback.html", _values(answer))
    return RedirectResponse(layout.referring_path(request), 303)


def _values(answer: Answer) -> dict[str, Any]:
    return {"answer": answer_views.answer_view(answer)}


async def _stream(request: Request, resources: Resources, scope: Scope, question: AnswerRequest) -> AsyncIterator[str]:
    """Yield the steps and then the answer as server-sent events. The question is cancelled when the client leaves."""
    steps: asyncio.Queue[str | None] = asyncio.Queue()
    task = asyncio.create_task(asking.ask(resources.answering, scope, question, steps.put))
    task.add_done_callback(lambda _: steps.put_nowait(None))
    shown: list[str] = []
    try:
        while (step := await steps.get()) is not None:
            shown.append(step)
            yield _event(layout.render_partial(request, "answers/_progress.html", {"steps": shown}))
        yield _event(_outcome(request, task))
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


def _outcome(request: Request, task: "asyncio.Task[Answer]") -> Response:
    try:
        return layout.render_partial(request, "answers/_answer.html", _values(task.result()))
    except ProofdeskError as error:
        failure = errors.describe_error(error)
        return layout.render_partial(request, "answers/_failure.html", {"message": failure.message})


def _event(part: Response) -> str:
    lines = bytes(part.body).decode().splitlines()
    return "".join(f"data: {line}\n" for line in lines) + "\n"
