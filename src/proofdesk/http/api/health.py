"""Is the process up, is it ready, and how does everything fare: for monitors, without a session."""

import anyio
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from proofdesk import __version__
from proofdesk.dashboard import metrics as dashboard_metrics
from proofdesk.dashboard import status
from proofdesk.dashboard.status_queries import WorkerStatus
from proofdesk.errors import Unavailable
from proofdesk.http.dependencies import Config, Db, Metrics
from proofdesk.http.json_routes import JsonRoute
from proofdesk.http.responses import Envelope, success
from proofdesk.http.schemas import schema

router = APIRouter(prefix="/v1", tags=["health"], route_class=JsonRoute)

_PATIENCE = 3  # seconds; who asks whether we are ready does not wait for long


@router.get("/health", summary="Is the process up", response_model=schema("Health", status=str, version=str))
async def health() -> Envelope:
    """Does not look at anything else."""
    return success(status="up", version=__version__)


@router.get("/ready", summary="Is the server ready", response_model=schema("Ready", status=str, worker=WorkerStatus))
async def ready(db: Db, settings: Config) -> Envelope:
    """The database answers and is migrated, and a worker was heard of lately; 503 otherwise."""
    try:
        with anyio.fail_after(_PATIENCE):
            await status.check_ready(db)
            working = await status.check_workers(db, settings)
    except TimeoutError as error:
        message = f"The database did not answer within {_PATIENCE} seconds."
        raise Unavailable(message, code="database_unavailable", configured=False) from error
    return success(status="ready", worker=working)


@router.get("/metrics", summary="Numbers for Prometheus", response_class=PlainTextResponse)
async def metrics(board: Metrics) -> Response:
    """In its text format; docs/monitoring.md tells what each means. Totals only: nothing of any project."""
    return Response(await dashboard_metrics.render(board), media_type=dashboard_metrics.CONTENT_TYPE)
