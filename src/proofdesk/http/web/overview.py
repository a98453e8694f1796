"""Page: the overview of the active project."""

from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from proofdesk.commitments import register
from proofdesk.dashboard import overview, status
from proofdesk.dashboard.overview import Overview
from proofdesk.http.dependencies import Config, CurrentSession, Db, OptionalProject, Route
from proofdesk.http.web import layout, outbound_views, projects, view_models
from proofdesk.jobs import catalog
from proofdesk.jobs.run_queries import Run
from proofdesk.outbound import messages
from proofdesk.search.query import MAX_QUERY_LENGTH

router = APIRouter(route_class=Route)

STALE_AFTER = timedelta(hours=1)


@router.get("/")
async def show_overview(
    request: Request, db: Db, settings: Config, session: CurrentSession, scope: OptionalProject
) -> Response:
    """Show freshness, chunks, commitments, messages per day, outbound states and recent failures."""
    if scope is None:
        return await projects.render_projects(request, session)
    project_overview = await overview.load_overview(db, scope, status.worker_timeout(settings).total_seconds())
    frame = await layout.load_frame(request, db, session)
    values = _values(project_overview) | {
        "funnel": _funnel(await messages.count_by_state(db, scope)),
        "commitments": await register.count_active(db, scope, settings.project_timezone),
    }
    return layout.render_page(request, "overview/page.html", values, frame=frame)


def _values(project_overview: Overview) -> dict[str, Any]:
    data = project_overview.contents
    return {
        "longest": MAX_QUERY_LENGTH,
        "empty": data.entities.messages == 0,
        "data": view_models.project_data(data),
        "stale": data.synced_at is None or datetime.now(UTC) - data.synced_at > STALE_AFTER,
        "has_runbooks": layout.has_page("/runbooks"),
        "workers": project_overview.workers.workers,
        "latest": [_job(run) for run in project_overview.latest],
        "failures": [_failure(run) for run in project_overview.failures],
        "days": [
            {"at": view_models.display_time(d.day), "received": d.received, "sent": d.sent}
            for d in project_overview.days
        ],
        "received": view_models.format_number(sum(d.received for d in project_overview.days)),
        "sent": view_models.format_number(sum(d.sent for d in project_overview.days)),
    }


def _funnel(counts: dict[str, int]) -> list[dict[str, Any]]:
    """Return the outbound states from draft to delivery with their counts."""
    return [
        {
            "name": outbound_views.STATES[state],
            "count": view_models.format_number(count),
            "url": f"/outbound?status={state}",
            "state": state,
        }
        for state, count in counts.items()
    ]


def _job(run: Run) -> dict[str, Any]:
    return {
        "name": catalog.get_label(run.job_type),
        "status": run.status,
        "at": view_models.display_time(run.finished_at or run.started_at or run.created_at),
        "processed": run.processed_count,
        "progress": run.progress,
    }


def _failure(run: Run) -> dict[str, Any]:
    job = catalog.find(run.job_type)
    slug = job.runbook if job else "scheduler-worker-failing"
    return {
        "name": catalog.get_label(run.job_type),
        "at": view_models.display_time(run.finished_at or run.created_at),
        "error": run.error or "The run failed without an error message.",
        "request_id": run.request_id or "",
        "runbook_url": f"/runbooks/{slug}" if layout.has_page("/runbooks") else "",
    }
