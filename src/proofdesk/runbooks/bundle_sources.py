"""The sections of evidence bundles. `redaction` removes secrets and personal data from all of them."""

from collections.abc import Awaitable, Callable
from typing import Any

from proofdesk.conversations import totals
from proofdesk.conversations.totals_queries import EntityCounts
from proofdesk.dashboard import status
from proofdesk.jobs import runs
from proofdesk.jobs.run_queries import Run
from proofdesk.runbooks import facts, queries
from proofdesk.runbooks.context import RunbookContext

_REASONS = 50
_RUNS = 10


async def load_entity_counts(context: RunbookContext) -> EntityCounts:
    """Return how many items of each kind the project has."""
    return await totals.count_entities(context.resources.db, context.required_scope)


async def collect_project(context: RunbookContext) -> Any:
    """Return the id and the name of the project."""
    async with context.resources.db.scoped(context.required_scope) as conn:
        return {
            "id": context.required_scope.project_id,
            "project": await queries.fetch_project_name(conn, context.required_scope),
        }


async def load_jobs_status(context: RunbookContext) -> Any:
    """Return the content of `GET /jobs/status`."""
    return await status.read_status(context.resources.db, context.required_scope, context.settings)


async def collect_counts(context: RunbookContext) -> Any:
    """Return counts of messages and chunks."""
    return {
        "entities": await context.load_once(load_entity_counts),
        "chunks": await context.load_once(facts.load_chunk_counts),
    }


async def collect_failed_chunks(context: RunbookContext) -> Any:
    """Return failed chunks by error."""
    async with context.resources.db.scoped(context.required_scope) as conn:
        return await queries.group_failed_chunks(conn, context.required_scope, _REASONS)


async def collect_sources(context: RunbookContext) -> Any:
    """Return the accounts and inboxes that the project reads, and the default account."""
    bound = await context.load_once(facts.load_sources)
    read = [{"account_id": s.account_id, "inbox_id": s.inbox_id} for s in bound]
    return {"default_account_id": context.settings.chatwoot_account_id, "sources": read}


def collect_last_failures(*job_types: str) -> Callable[[RunbookContext], Awaitable[Any]]:
    """Return a collector of the newest failed run of each job, with the request that failed."""

    async def collect(context: RunbookContext) -> Any:
        failed = [await _newest_failed(context, job_type) for job_type in job_types]
        return [_run_evidence(run) for run in failed if run is not None] or "No run has failed."

    return collect


async def collect_failed_runs(context: RunbookContext) -> Any:
    """Return the latest failed runs of all jobs."""
    failed, _ = await runs.list_history(context.resources.db, context.required_scope, None, "failed", _RUNS, 0)
    return [_run_evidence(run) for run in failed]


async def _newest_failed(context: RunbookContext, job_type: str) -> Run | None:
    failed, _ = await runs.list_history(context.resources.db, context.required_scope, job_type, "failed", 1, 0)
    return failed[0] if failed else None


def _run_evidence(run: Run) -> dict[str, Any]:
    names = ("id", "job_type", "trigger", "status", "started_at", "finished_at", "attempt", "request_id", "error")
    return {name: getattr(run, name) for name in names} | {"error_details": run.error_details}
