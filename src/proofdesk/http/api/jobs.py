"""JSON: jobs asked for and waited for, their runs, and how things stand."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from proofdesk.dashboard import status
from proofdesk.http.api import job_responses
from proofdesk.http.dependencies import Config, Db, ProjectEditor, ProjectReader
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.parameters import Clamp, Limit, Offset, UuidText
from proofdesk.http.responses import Envelope, success
from proofdesk.http.schemas import schema
from proofdesk.indexing import vectors
from proofdesk.jobs import catalog, runs, schedules, tick
from proofdesk.jobs.schedule_queries import Schedule
from proofdesk.projects import projects

JobStatus = Literal["active", "paused"]

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=JsonRoute)

Seconds = Annotated[float | None, Field(allow_inf_nan=False), Clamp(0, 600)]
Due = Annotated[int | None, Clamp(1, 100)]
Chunks = Annotated[int | None, Clamp(1, 1_000_000_000)]
Status = Literal["queued", "running", "ok", "failed", "cancelled"]


class Waiting(JsonBody):
    """How long the answer may take; the query string may say it too."""

    wait: Seconds = Field(None, description="Seconds, at most 600; unset: JOB_WAIT_SECONDS.")


class Embedding(Waiting):
    """How much to embed."""

    limit: Chunks = Field(None, description="Chunks; unset: until none is pending.")


class Ticking(Waiting):
    """How many due jobs to start."""

    limit: Due = Field(None, description="Jobs, at most 100; unset: 10.")


class Rescheduling(JsonBody):
    """What to change of a schedule; what is absent stays as it is."""

    status: JobStatus | None = None
    cadence_seconds: int | None = Field(None, ge=30, le=86_400)


class TickDetail(BaseModel):
    """A job that a tick started, and how its run stands."""

    job_type: str
    status: Status
    run_id: UUID
    project_id: UUID
    details: dict[str, Any] | None = None
    error: str | None = None


class TickResult(BaseModel):
    """What a tick started; what is neither ok nor failed is under way."""

    processed: int
    ok: int
    failed: int
    details: list[TickDetail]


class RunShape(BaseModel):
    """One run of a job."""

    id: UUID
    job_type: str
    trigger: Literal["manual", "schedule", "webhook", "cli"]
    status: Status
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    processed_count: int
    progress: dict[str, Any] | None = Field(description="`{done, total, unit}`")
    error: str | None
    error_details: dict[str, Any] | None
    meta: dict[str, Any]
    request_id: str | None
    attempt: int
    cancel_requested_at: datetime | None


RunAnswer = schema("JobRun", result=dict[str, Any] | None, run=RunShape, joined=bool)
_LATE: dict[int | str, dict[str, Any]] = {
    202: {"description": "Not finished in time; `result` is null.", "model": RunAnswer}
}


@router.post("/chatwoot/sync", summary="Read Chatwoot", response_model=RunAnswer, responses=_LATE)
async def sync(db: Db, settings: Config, scope: ProjectEditor, given: Waiting, wait: Seconds = None) -> Envelope:
    """Imports what is new or changed in the project's sources."""
    asked = await runs.request(db, scope, catalog.SYNC.name, "manual", {})
    return await job_responses.awaited(db, settings, scope, asked, wait if wait is not None else given.wait)


@router.post("/chatwoot/reconcile", summary="Compare with Chatwoot", response_model=RunAnswer, responses=_LATE)
async def reconcile(db: Db, settings: Config, scope: ProjectEditor, given: Waiting, wait: Seconds = None) -> Envelope:
    """Counts both sides, brings what is missing and removes what was deleted."""
    asked = await runs.request(db, scope, catalog.RECONCILE.name, "manual", {})
    return await job_responses.awaited(db, settings, scope, asked, wait if wait is not None else given.wait)


@router.post("/embeddings/run", summary="Embed pending chunks", response_model=RunAnswer, responses=_LATE)
async def embed(
    db: Db, settings: Config, scope: ProjectEditor, given: Embedding, wait: Seconds = None, limit: Chunks = None
) -> Envelope:
    """Makes vectors, so that search finds by meaning."""
    limit = limit if limit is not None else given.limit
    asked = await runs.request(db, scope, catalog.EMBED.name, "manual", {} if limit is None else {"limit": limit})
    return await job_responses.awaited(db, settings, scope, asked, wait if wait is not None else given.wait)


@router.post("/embeddings/retry-failed", summary="Try failed chunks again", response_model=schema("Reset", reset=int))
async def retry_failed(db: Db, scope: ProjectEditor) -> Envelope:
    """Failed chunks become pending; the next run takes them."""
    return success(reset=await vectors.retry_failed(db, scope))


@router.get("/status", summary="How things stand", response_model=schema("JobsStatus", **status.FIELDS))
async def show_status(db: Db, settings: Config, scope: ProjectReader) -> Envelope:
    """Latest runs, counts, storage, watermarks, workers and backlog of the active project."""
    return success(**await status.read_status(db, scope, settings))


@router.get("/scheduler", summary="Schedules", response_model=schema("Schedules", jobs=list[Schedule]))
async def list_schedules(db: Db, scope: ProjectReader) -> Envelope:
    """Every job of the active project: when it runs next, and how it went last. A job may have paused itself."""
    return success(jobs=await schedules.list_schedules(db, scope))


@router.patch("/scheduler/{job_type}", summary="Change a schedule", response_model=schema("OneSchedule", job=Schedule))
async def change_schedule(db: Db, scope: ProjectEditor, job_type: str, given: Rescheduling) -> Envelope:
    """Pauses or resumes a job, or gives it another cadence; it is then due a cadence after it last ran."""
    changed = await schedules.change(db, scope, job_type, status=given.status, cadence_seconds=given.cadence_seconds)
    return success(job=changed)


@router.post("/scheduler/tick", summary="Start what is due", response_model=schema("Tick", result=TickResult))
async def start_due(
    db: Db, settings: Config, scope: ProjectEditor, given: Ticking, wait: Seconds = None, limit: Due = None
) -> Envelope:
    """Starts due jobs of the active project and waits for their results, at most so long."""
    started = await tick.start_due(db, settings, limit or given.limit or 10, scope)
    wait = wait if wait is not None else given.wait
    patience = settings.job_wait_seconds if wait is None else wait
    return success(result=(await tick.wait_for_results(db, scope.actor, started, patience)).as_dict())


@router.get("/runs", summary="Runs", response_model=schema("Runs", runs=list[RunShape], total=int))
async def list_runs(
    db: Db,
    scope: ProjectReader,
    job_type: str | None = None,
    run_status: Annotated[Status | None, Query(alias="status")] = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> Envelope:
    """Newest first."""
    found, total = await runs.list_history(db, scope, job_type or None, run_status, limit, offset)
    return success(runs=[job_responses.run(r) for r in found], total=total)


@router.get("/runs/{run_id}", summary="One run", response_model=schema("OneRun", run=RunShape))
async def show_run(db: Db, scope: ProjectReader, run_id: UuidText) -> Envelope:
    """With its progress, and its result in `meta.result`."""
    return success(run=job_responses.run(await runs.get(db, scope, _known(run_id))))


@router.post("/runs/{run_id}/cancel", summary="Cancel a run", response_model=schema("Cancelled", run=RunShape))
async def cancel_run(db: Db, scope: ProjectEditor, run_id: UuidText) -> Envelope:
    """A queued run ends at once; one that is running stops within seconds, between pages or batches."""
    return success(run=job_responses.run(await runs.cancel(db, scope, _known(run_id))))


def _known(run_id: str) -> UUID:
    wanted = projects.parse_id(run_id)
    if wanted is None:
        raise runs.RunNotFound("This project has no such run.")
    return wanted
