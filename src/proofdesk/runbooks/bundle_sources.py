"""What the evidence of an incident is gathered from. `masking` has the last word on what of it is shown."""

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


async def load_entity_counts(case: RunbookContext) -> EntityCounts:
    """Counts of what the project holds."""
    return await totals.count_entities(case.resources.db, case.required_scope)


async def collect_project(case: RunbookContext) -> Any:
    """Its id and name."""
    async with case.resources.db.scoped(case.required_scope) as conn:
        return {"id": case.required_scope.project_id, "project": await queries.fetch_project_name(conn, case.required_scope)}


async def load_jobs_status(case: RunbookContext) -> Any:
    """What `GET /jobs/status` answers."""
    return await status.read_status(case.resources.db, case.required_scope, case.settings)


async def collect_counts(case: RunbookContext) -> Any:
    """Counts of messages and chunks."""
    return {"entities": await case.load_once(load_entity_counts), "chunks": await case.load_once(facts.load_chunk_counts)}


async def collect_failed_chunks(case: RunbookContext) -> Any:
    """Failed chunks by reason."""
    async with case.resources.db.scoped(case.required_scope) as conn:
        return await queries.group_failed_chunks(conn, case.required_scope, _REASONS)


async def collect_sources(case: RunbookContext) -> Any:
    """Accounts and inboxes that the project reads, and the default account."""
    bound = await case.load_once(facts.load_sources)
    read = [{"account_id": s.account_id, "inbox_id": s.inbox_id} for s in bound]
    return {"default_account_id": case.settings.chatwoot_account_id, "sources": read}


def collect_last_failures(*job_types: str) -> Callable[[RunbookContext], Awaitable[Any]]:
    """The newest failed run of each of these jobs, with the request that failed."""

    async def gather(case: RunbookContext) -> Any:
        found = [await _newest_failed(case, job_type) for job_type in job_types]
        return [_told(run) for run in found if run is not None] or "No run failed."

    return gather


async def collect_failed_runs(case: RunbookContext) -> Any:
    """The latest failed runs of all jobs."""
    found, _ = await runs.list_history(case.resources.db, case.required_scope, None, "failed", _RUNS, 0)
    return [_told(run) for run in found]


async def _newest_failed(case: RunbookContext, job_type: str) -> Run | None:
    found, _ = await runs.list_history(case.resources.db, case.required_scope, job_type, "failed", 1, 0)
    return found[0] if found else None


def _told(run: Run) -> dict[str, Any]:
    names = ("id", "job_type", "trigger", "status", "started_at", "finished_at", "attempt", "request_id", "error")
    return {name: getattr(run, name) for name in names} | {"error_details": run.error_details}
