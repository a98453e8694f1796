"""Health, readiness and metrics, for monitoring without a session."""

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
from proofdesk.http.responses import JsonEnvelope, success
from proofdesk.http.schemas import schema

router = APIRouter(prefix="/v1", tags=["health"], route_class=JsonRoute)

_READY_TIMEOUT = 3  # seconds; monitors do not wait long


@router.get("/health", summary="Check health", response_model=schema("Health", status=str, version=str))
async def health() -> JsonEnvelope:
    """The process is running. Checks nothing else."""
    return success(status="up", version=__version__)


@router.get("/ready", summary="Check readiness", response_model=schema("Ready", status=str, worker=WorkerStatus))
async def ready(db: Db, settings: Config) -> JsonEnvelope:
    """The database responds and has every migration, and a worker sent a heartbeat recently. Otherwise 503."""
    try:
        with anyio.fail_after(_READY_TIMEOUT):
            await status.check_ready(db)
            worker = await status.check_workers(db, settings)
    except TimeoutError as error:
        message = f"The database did not respond within {_READY_TIMEOUT} seconds. Check the database server."
        raise Unavailable(message, code="database_unavailable", configured=False) from error
    return success(status="ready", worker=worker)


@router.get("/metrics", summary="Get Prometheus metrics", response_class=PlainTextResponse)
async def metrics(cache: Metrics) -> Response:
    """Metrics in Prometheus's text format, explained in docs/monitoring.md. Totals only, without data of projects."""
    return Response(await dashboard_metrics.render(cache), media_type=dashboard_metrics.CONTENT_TYPE)
