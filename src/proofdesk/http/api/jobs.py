"""JSON: jobs, their schedules and their runs."""

from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from proofdesk.dashboard import status
from proofdesk.http.api import job_responses
from proofdesk.http.api.job_responses import RunAnswer, RunSchema
from proofdesk.http.dependencies import Config, Db, ProjectEditor, ProjectReader
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.parameters import Clamp, Limit, Offset, UuidText
from proofdesk.http.responses import JsonEnvelope, success
from proofdesk.http.schemas import row_schema, schema
from proofdesk.indexing import failed_chunks, vectors
from proofdesk.indexing.failed_chunks import FailedChunk
from proofdesk.jobs import catalog, runs, schedules, tick
from proofdesk.jobs.run_queries import RunStatus
from proofdesk.jobs.runs import MAX_WAIT_SECONDS
from proofdesk.jobs.schedule_queries import Schedule, ScheduleStatus
from proofdesk.jobs.schedules import MAX_CADENCE, MIN_CADENCE
from proofdesk.jobs.tick import DEFAULT_DUE_JOBS, MAX_DUE_JOBS, TickSummary
from proofdesk.projects import projects

T = TypeVar("T")

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=JsonRoute)

WaitSeconds = Annotated[float | None, Field(allow_inf_nan=False), Clamp(0, MAX_WAIT_SECONDS)]
JobLimit = Annotated[int | None, Clamp(1, MAX_DUE_JOBS)]
ChunkLimit = Annotated[int | None, Clamp(1, 1_000_000_000)]


class JobBody(JsonBody):
    """How long the request waits. The query string may contain the same field."""

    wait: WaitSeconds = Field(None, description=f"Seconds, at most {MAX_WAIT_SECONDS}. Unset: JOB_WAIT_SECONDS.")


class EmbeddingJobBody(JobBody):
    """How many chunks to embed."""

    limit: ChunkLimit = Field(None, description="Chunks. Unset: until none is pending.")


class TickBody(JobBody):
    """How many due jobs to start."""

    limit: JobLimit = Field(None, description=f"Jobs, at most {MAX_DUE_JOBS}. Unset: {DEFAULT_DUE_JOBS}.")


class ScheduleBody(JsonBody):
    """Changes of a schedule. Absent fields stay as they are."""

    status: ScheduleStatus | None = None
    cadence_seconds: int | None = Field(None, ge=MIN_CADENCE, le=MAX_CADENCE)


class ChunkBody(JsonBody):
    """A chunk."""

    chunk_id: str = Field(max_length=200, description="Id of the chunk.", examples=["cwmsg:<project>:1:42#0"])


class FailedChunkSchema(row_schema(FailedChunk)):
    """A chunk without an embedding."""


class TickDetailSchema(BaseModel):
    """A job that a tick started, and the status of its run."""

    job_type: str
    status: RunStatus
    run_id: UUID
    project_id: UUID
    details: dict[str, Any] | None = None
    error: str | None = None


class TickSchema(row_schema(TickSummary)):
    """The jobs that a tick started. Jobs that are neither ok nor failed have not finished."""

    details: list[TickDetailSchema]


_NOT_FINISHED: dict[int | str, dict[str, Any]] = {
    202: {"description": "Not finished in time; `result` is null.", "model": RunAnswer}
}


@router.post("/chatwoot/sync", summary="Sync with Chatwoot", response_model=RunAnswer, responses=_NOT_FINISHED)
async def sync(db: Db, settings: Config, scope: ProjectEditor, body: JobBody, wait: WaitSeconds = None) -> JsonEnvelope:
    """Imports what is new or changed in the project's sources."""
    requested = await runs.request(db, scope, catalog.SYNC.name, "manual", {})
    return await job_responses.wait_for_run(db, settings, scope, requested, _first_set(wait, body.wait))


@router.post(
    "/chatwoot/reconcile", summary="Reconcile with Chatwoot", response_model=RunAnswer, responses=_NOT_FINISHED
)
async def reconcile(
    db: Db, settings: Config, scope: ProjectEditor, body: JobBody, wait: WaitSeconds = None
) -> JsonEnvelope:
    """Counts both sides, imports what is missing, and removes what was deleted in Chatwoot."""
    requested = await runs.request(db, scope, catalog.RECONCILE.name, "manual", {})
    return await job_responses.wait_for_run(db, settings, scope, requested, _first_set(wait, body.wait))


@router.post("/embeddings/run", summary="Embed pending chunks", response_model=RunAnswer, responses=_NOT_FINISHED)
async def embed(
    db: Db,
    settings: Config,
    scope: ProjectEditor,
    body: EmbeddingJobBody,
    wait: WaitSeconds = None,
    limit: ChunkLimit = None,
) -> JsonEnvelope:
    """Computes the vectors that semantic search needs."""
    limit = _first_set(limit, body.limit)
    requested = await runs.request(db, scope, catalog.EMBED.name, "manual", {} if limit is None else {"limit": limit})
    return await job_responses.wait_for_run(db, settings, scope, requested, _first_set(wait, body.wait))


@router.post("/commitments/run", summary="Extract commitments", response_model=RunAnswer, responses=_NOT_FINISHED)
async def extract_commitments(
    db: Db, settings: Config, scope: ProjectEditor, body: JobBody, wait: WaitSeconds = None
) -> JsonEnvelope:
    """Reads what new and changed messages promise."""
    requested = await runs.request(db, scope, catalog.COMMITMENTS.name, "manual", {})
    return await job_responses.wait_for_run(db, settings, scope, requested, _first_set(wait, body.wait))


@router.post("/embeddings/retry-failed", summary="Retry failed chunks", response_model=schema("Reset", reset=int))
async def retry_failed(db: Db, scope: ProjectEditor) -> JsonEnvelope:
    """Makes failed chunks pending. The next run embeds them."""
    return success(reset=await vectors.retry_failed(db, scope))


@router.get(
    "/embeddings/failed",
    summary="List failed chunks",
    response_model=schema("FailedChunks", chunks=list[FailedChunkSchema]),
)
async def list_failed_chunks(db: Db, scope: ProjectReader) -> JsonEnvelope:
    """Chunks without an embedding, with their message and the reason; those that nobody skipped first."""
    return success(chunks=await failed_chunks.list_failed(db, scope))


@router.post("/embeddings/failed/retry", summary="Retry a failed chunk", response_model=schema("ChunkRetried"))
async def retry_failed_chunk(db: Db, scope: ProjectEditor, body: ChunkBody) -> JsonEnvelope:
    """Makes the chunk pending, also if it was skipped. The next run embeds it."""
    await failed_chunks.retry(db, scope, body.chunk_id)
    return success()


@router.post("/embeddings/failed/skip", summary="Skip a failed chunk", response_model=schema("ChunkSkipped"))
async def skip_failed_chunk(db: Db, scope: ProjectEditor, body: ChunkBody) -> JsonEnvelope:
    """Leaves the chunk without an embedding: keywords still find it, and nothing reports it any more."""
    await failed_chunks.skip(db, scope, body.chunk_id)
    return success()


@router.get("/status", summary="Get the status of a project", response_model=schema("JobsStatus", **status.FIELDS))
async def show_status(db: Db, settings: Config, scope: ProjectReader) -> JsonEnvelope:
    """Latest runs, counts, storage, watermarks, workers and backlog of the active project."""
    return success(**await status.read_status(db, scope, settings))


@router.get("/scheduler", summary="List schedules", response_model=schema("Schedules", jobs=list[Schedule]))
async def list_schedules(db: Db, scope: ProjectReader) -> JsonEnvelope:
    """Every job of the active project: its next run and the result of its last. A job can pause itself."""
    return success(jobs=await schedules.list_schedules(db, scope))


@router.patch("/scheduler/{job_type}", summary="Change a schedule", response_model=schema("OneSchedule", job=Schedule))
async def change_schedule(db: Db, scope: ProjectEditor, job_type: str, body: ScheduleBody) -> JsonEnvelope:
    """Pauses or resumes a job, or changes its cadence. The job is then due one cadence after its last run."""
    changed = await schedules.change(db, scope, job_type, status=body.status, cadence_seconds=body.cadence_seconds)
    return success(job=changed)


@router.post("/scheduler/tick", summary="Start due jobs", response_model=schema("Tick", result=TickSchema))
async def start_due(
    db: Db, settings: Config, scope: ProjectEditor, body: TickBody, wait: WaitSeconds = None, limit: JobLimit = None
) -> JsonEnvelope:
    """Starts due jobs of the active project and waits for their results."""
    started = await tick.start_due(db, settings, limit or body.limit or DEFAULT_DUE_JOBS, scope)
    timeout = _first_set(wait, body.wait, settings.job_wait_seconds) or 0
    summary = await tick.wait_for_results(db, scope.actor, started, timeout)
    return success(result=summary.as_dict())


@router.get("/runs", summary="List runs", response_model=schema("Runs", runs=list[RunSchema], total=int))
async def list_runs(
    db: Db,
    scope: ProjectReader,
    job_type: str | None = None,
    run_status: Annotated[RunStatus | None, Query(alias="status")] = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> JsonEnvelope:
    """The newest first."""
    history, total = await runs.list_history(db, scope, job_type or None, run_status, limit, offset)
    return success(runs=[job_responses.run(row) for row in history], total=total)


@router.get("/runs/{run_id}", summary="Get a run", response_model=schema("OneRun", run=RunSchema))
async def show_run(db: Db, scope: ProjectReader, run_id: UuidText) -> JsonEnvelope:
    """A run with its progress. Its result is in `meta.result`."""
    return success(run=job_responses.run(await runs.get(db, scope, _parse_run_id(run_id))))


@router.post("/runs/{run_id}/cancel", summary="Cancel a run", response_model=schema("Cancelled", run=RunSchema))
async def cancel_run(db: Db, scope: ProjectEditor, run_id: UuidText) -> JsonEnvelope:
    """A queued run ends at once. A running one stops within seconds, between pages or batches."""
    return success(run=job_responses.run(await runs.cancel(db, scope, _parse_run_id(run_id))))


def _first_set(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)


def _parse_run_id(text: str) -> UUID:
    run_id = projects.parse_id(text)
    if run_id is None:
        raise runs.RunNotFound("This project has no such run.")
    return run_id
