"""Pages: running jobs, schedules and the history of runs, with buttons to run, pause and cancel."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from proofdesk.dashboard import status as standing
from proofdesk.http.dependencies import Config, CurrentSession, Db, OptionalProject, ProjectEditor, ProjectReader, Route
from proofdesk.http.web import layout, projects, run_views, view_models
from proofdesk.indexing import failed_chunks, vectors
from proofdesk.jobs import catalog, runs, schedules
from proofdesk.projects import projects as rooms

router = APIRouter(route_class=Route)

PAGE_SIZE = 30
DAYS = 14


@router.get("/jobs")
async def show_jobs(
    request: Request,
    db: Db,
    settings: Config,
    session: CurrentSession,
    scope: OptionalProject,
    job_type: str = "",
    status: str = "",
    page: str = "1",
) -> Response:
    """Show the running jobs, the schedules, and a page of the history."""
    if scope is None:
        return await projects.render_projects(request, session)
    run_filter = run_views.RunFilter.parse(job_type, status, page)
    if layout.wants_partial(request):
        return layout.render_partial(request, "jobs/_live.html", await _live_values(db, settings, scope, run_filter))
    days = [run_views.day_card(d) for d in await standing.daily_work(db, scope, DAYS)]
    values = await _live_values(db, settings, scope, run_filter) | {
        "days": days,
        "has_days": any(d.has_work for d in days),
    }
    return layout.render_page(request, "jobs/page.html", values, frame=await layout.load_frame(request, db, session))


@router.get("/jobs/runs/{run_id}")
async def show_run(request: Request, db: Db, session: CurrentSession, scope: ProjectReader, run_id: str) -> Response:
    """Show a run: its result, or its error with the failed request."""
    values = {"run": run_views.run_detail(await runs.get(db, scope, _id(run_id)))}
    if layout.wants_partial(request):
        return layout.render_partial(request, "jobs/_run.html", values)
    return layout.render_page(request, "jobs/run.html", values, frame=await layout.load_frame(request, db, session))


@router.post("/jobs/runs/{run_id}/cancel")
async def cancel(request: Request, db: Db, scope: ProjectEditor, run_id: str) -> Response:
    """Cancel a run."""
    run = await runs.cancel(db, scope, _id(run_id))
    return _respond(request, "Cancelled." if run.status == "cancelled" else "It stops at the next page or batch.")


@router.post("/jobs/scheduler/{job_type}")
async def reschedule(
    request: Request,
    db: Db,
    scope: ProjectEditor,
    job_type: str,
    status: Annotated[str, Form()] = "",
    cadence_seconds: Annotated[int | None, Form(ge=30, le=86_400)] = None,
) -> Response:
    """Pause or resume a job, or change its cadence."""
    new_status = status if status in ("active", "paused") else None
    job = await schedules.change(db, scope, job_type, status=new_status, cadence_seconds=cadence_seconds)
    label = catalog.get_label(job.job_type)
    return _respond(
        request, f"{label} is paused." if job.status == "paused" else f"{label} runs {run_views.format_cadence(job)}."
    )


@router.post("/jobs/embeddings/retry-failed")
async def retry_failed(request: Request, db: Db, scope: ProjectEditor) -> Response:
    """Reset failed chunks and request a run that embeds them."""
    reset = await vectors.retry_failed(db, scope)
    await runs.request_after(db, scope, catalog.EMBED.name, "manual")
    return _respond(request, f"{view_models.format_count(reset, 'chunk')} will be embedded again.")


@router.get("/jobs/embeddings/failed")
async def show_failed_chunks(request: Request, db: Db, session: CurrentSession, scope: ProjectReader) -> Response:
    """Show failed chunks with their message and the reason."""
    values = {"chunks": await failed_chunks.list_failed(db, scope)}
    frame = await layout.load_frame(request, db, session)
    return layout.render_page(request, "jobs/failed_chunks.html", values, frame=frame)


@router.post("/jobs/embeddings/failed/retry")
async def retry_failed_chunk(db: Db, scope: ProjectEditor, chunk_id: Annotated[str, Form()] = "") -> Response:
    """Let the next run embed a failed chunk."""
    await failed_chunks.retry(db, scope, chunk_id)
    await runs.request_after(db, scope, catalog.EMBED.name, "manual")
    return RedirectResponse("/jobs/embeddings/failed", 303)


@router.post("/jobs/embeddings/failed/skip")
async def skip_failed_chunk(db: Db, scope: ProjectEditor, chunk_id: Annotated[str, Form()] = "") -> Response:
    """Leave a failed chunk without an embedding."""
    await failed_chunks.skip(db, scope, chunk_id)
    return RedirectResponse("/jobs/embeddings/failed", 303)


def _request_route(path: str, job_type: str) -> Callable[[Request, Db, ProjectEditor], Awaitable[Response]]:
    @router.post(path)
    async def ask(request: Request, db: Db, scope: ProjectEditor) -> Response:
        request_result = await runs.request(db, scope, job_type, "manual", {})
        label = catalog.get_label(job_type)
        return _respond(request, f"{label} is already running." if request_result.joined else f"{label} started.")

    return ask


sync = _request_route("/jobs/chatwoot/sync", catalog.SYNC.name)
embed = _request_route("/jobs/embeddings/run", catalog.EMBED.name)
commitments = _request_route("/jobs/commitments/run", catalog.COMMITMENTS.name)
reconcile = _request_route("/jobs/chatwoot/reconcile", catalog.RECONCILE.name)


async def _live_values(
    db: Db, settings: Config, scope: ProjectReader, run_filter: run_views.RunFilter
) -> dict[str, Any]:
    """Return the values of the part that is updated while the page is open."""
    offset = (run_filter.page - 1) * PAGE_SIZE
    history, total = await runs.list_history(
        db, scope, run_filter.job_type or None, run_filter.status or None, PAGE_SIZE, offset
    )
    return {
        "active": [run_views.run_card(run) for run in await runs.list_latest(db, scope) if run.status in runs.ACTIVE],
        "jobs": run_views.schedule_cards(await schedules.list_schedules(db, scope)),
        "worker": await standing.read_workers(db, settings),
        "chunks": await vectors.count_chunks(db, scope),
        "runs": [run_views.run_card(run) for run in history],
        "run_filter": run_filter,
        "types": run_filter.type_choices(),
        "statuses": run_filter.status_choices(),
        "total": view_models.format_count(total, "run"),
        "here_url": run_filter.url(),
        "newer_url": run_filter.url(page=run_filter.page - 1) if run_filter.page > 1 else "",
        "older_url": run_filter.url(page=run_filter.page + 1) if offset + PAGE_SIZE < total else "",
    }


def _id(run_id: str) -> UUID:
    parsed = rooms.parse_id(run_id)
    if parsed is None:
        raise runs.RunNotFound("This project has no such run.")
    return parsed


def _respond(request: Request, notice: str) -> Response:
    """Show a toast and keep the page; without htmx, go back to the page of the form."""
    if "hx-request" in request.headers:
        return layout.toast_response(notice)
    return RedirectResponse(layout.referring_path(request), 303)
