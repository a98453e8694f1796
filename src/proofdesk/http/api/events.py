"""Server-sent events: the runs of the active project as they change."""

from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.sse import EventSourceResponse, ServerSentEvent

from proofdesk.http.api import job_responses
from proofdesk.http.events import RunUpdates
from proofdesk.http.json_routes import JsonRoute
from proofdesk.http.responses import encode

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=JsonRoute)

_RECONNECT_DELAY = 2000  # milliseconds


@router.get("/events", summary="Stream run updates", response_class=EventSourceResponse)
async def follow_runs(updates: RunUpdates) -> AsyncIterator[ServerSentEvent]:
    """An event `run` for the latest run of each job type, then one for each change, with a run as in
    `/jobs/runs/{run_id}`. A client that reconnects receives the current state first, so it misses nothing."""
    yield ServerSentEvent(comment="runs of the active project", retry=_RECONNECT_DELAY)
    async for run in updates:
        if run is None:
            yield ServerSentEvent(comment="idle")
        else:
            yield ServerSentEvent(event="run", id=str(run.id), raw_data=encode(job_responses.run(run)).decode())
