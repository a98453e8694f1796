"""JSON responses of jobs: a run that finished, failed, or has not finished yet."""

from typing import Any

from pydantic import Field

from proofdesk.database.pool import Database
from proofdesk.http.responses import JsonEnvelope, failure, success
from proofdesk.http.schemas import row_schema, schema, to_answer
from proofdesk.jobs import catalog, runs
from proofdesk.jobs.run_queries import Run, RunStatus, RunTrigger
from proofdesk.jobs.runs import RequestedRun
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings

_STATUS_BY_CAUSE = {"chatwoot_source_binding_error": 409, "chatwoot_not_configured": 503, "openai_not_configured": 503}
_PROGRESS_FIELDS = ("done", "total", "unit")


class RunSchema(row_schema(Run, omit=("params", "runner", "heartbeat_at"))):
    """One run of a job."""

    trigger: RunTrigger
    status: RunStatus
    progress: dict[str, Any] | None = Field(description="`{done, total, unit}`")


RunAnswer = schema("JobRun", result=dict[str, Any] | None, run=RunSchema, joined=bool)


async def wait_for_run(
    db: Database, settings: Settings, scope: Scope, requested: RequestedRun, seconds: float | None
) -> JsonEnvelope:
    """Wait for a run. Return 200 with its result, 202 when it has not finished, 409, 502 or 503 when it failed."""
    timeout = settings.job_wait_seconds if seconds is None else seconds
    finished = await runs.wait(db, scope, requested.run.id, timeout)
    if finished.status in ("failed", "cancelled"):
        return _failure(finished)
    result = finished.meta.get("result") if finished.status == "ok" else None
    status = 200 if finished.status == "ok" else 202
    return success(status, result=result, run=run(finished), joined=requested.joined)


def run(row: Run) -> dict[str, Any]:
    """Return a run as JSON shows it."""
    progress = row.progress and {name: row.progress[name] for name in _PROGRESS_FIELDS}
    return to_answer(RunSchema, row, progress=progress)


def _failure(finished: Run) -> JsonEnvelope:
    cause = dict(finished.error_details or {})
    code = cause.pop("code", None)
    details = {"run_id": finished.id, "cause": code, **cause}
    if finished.status == "cancelled":
        return failure(409, "job_cancelled", finished.error or "The run was cancelled.", details)
    message = finished.error or "The job failed."
    if code in _STATUS_BY_CAUSE:
        return failure(_STATUS_BY_CAUSE[code], code, message, details)
    job = catalog.find(finished.job_type)
    return failure(502, job.failure_code if job else "internal_error", message, details)
