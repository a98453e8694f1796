"""JSON: is the process up, is it ready."""

import anyio
from fastapi import APIRouter

from proofdesk import __version__
from proofdesk.api.answers import Answer, shape, success
from proofdesk.api.bodies import JsonRoute
from proofdesk.errors import Unavailable
from proofdesk.request import Db
from proofdesk.scheduler import status

router = APIRouter(prefix="/v1", tags=["health"], route_class=JsonRoute)

_PATIENCE = 3  # seconds; who asks whether we are ready does not wait for long


@router.get("/health", summary="Is the process up", response_model=shape("Health", status=str, version=str))
async def health() -> Answer:
    """Does not look at anything else."""
    return success(status="up", version=__version__)


@router.get("/ready", summary="Is the server ready", response_model=shape("Ready", status=str))
async def ready(db: Db) -> Answer:
    """The database answers and is migrated; 503 otherwise."""
    try:
        with anyio.fail_after(_PATIENCE):
            await status.check_ready(db)
    except TimeoutError as error:
        message = f"The database did not answer within {_PATIENCE} seconds."
        raise Unavailable(message, code="database_unavailable", configured=False) from error
    return success(status="ready")
