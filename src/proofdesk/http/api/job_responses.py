"""How the outcome of a job looks over HTTP: finished, failed, or still under way."""

from typing import Any

from proofdesk.database.pool import Database
from proofdesk.http.responses import Envelope, failure, success
from proofdesk.jobs import catalog, runs
from proofdesk.jobs.run_queries import Run
from proofdesk.jobs.runs import RequestedRun
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings

_CAUSES = {"chatwoot_source_binding_error": 409, "chatwoot_not_configured": 503, "openai_not_configured": 503}
_SHOWN = (
    "id", "job_type", "trigger", "status", "created_at", "started_at", "finished_at", "processed_count", "progress",
    "error", "error_details", "meta", "request_id", "attempt", "cancel_requested_at",
)  # fmt: skip
_PROGRESS = ("done", "total", "unit")


async def awaited(
    db: Database, settings: Settings, scope: Scope, asked: RequestedRun, seconds: float | None
) -> Envelope:
    """Wait for a run and answer: 200 with its result, 202 while it is under way, 409, 502 or 503 when it failed."""
    patience = settings.job_wait_seconds if seconds is None else seconds
    ended = await runs.wait(db, scope, asked.run.id, patience)
    if ended.status in ("failed", "cancelled"):
        return _failed(ended)
    result = ended.meta.get("result") if ended.status == "ok" else None
    return success(200 if ended.status == "ok" else 202, result=result, run=run(ended), joined=asked.joined)


def run(found: Run) -> dict[str, Any]:
    """A run as the contract spells it."""
    progress = found.progress and {name: found.progress[name] for name in _PROGRESS}
    return {name: getattr(found, name) for name in _SHOWN} | {"progress": progress}


def _failed(ended: Run) -> Envelope:
    cause = dict(ended.error_details or {})
    code = cause.pop("code", None)
    details = {"run_id": ended.id, "cause": code, **cause}
    if ended.status == "cancelled":
        return failure(409, "job_cancelled", ended.error or "The run was cancelled.", details)
    message = ended.error or "The job failed."
    if code in _CAUSES:
        return failure(_CAUSES[code], code, message, details)
    job = catalog.find(ended.job_type)
    return failure(502, job.failure_code if job else "internal_error", message, details)
