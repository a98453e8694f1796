"""What several checks want to know. Each is asked once a run: `await case.know(facts.counts)`."""

from proofdesk.indexing import vectors
from proofdesk.indexing.vector_queries import Counts
from proofdesk.jobs import runs
from proofdesk.jobs.run_queries import Run
from proofdesk.projects import sources
from proofdesk.projects.source_queries import Source
from proofdesk.runbooks import queries
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import Observation, fail, ok, warn


async def load_chunk_counts(case: RunbookContext) -> Counts:
    """Chunks by status."""
    return await vectors.counts(case.resources.db, case.required_scope)


async def load_reading_progress(case: RunbookContext) -> queries.ReadingProgress:
    """How far the conversations came."""
    async with case.resources.db.scoped(case.required_scope) as conn:
        return await queries.fetch_reading_progress(conn, case.required_scope)


async def load_latest_runs(case: RunbookContext) -> dict[str, Run]:
    """The newest run of each job."""
    return {run.job_type: run for run in await runs.list_latest(case.resources.db, case.required_scope)}


async def load_sources(case: RunbookContext) -> list[Source]:
    """What the project reads."""
    return await sources.list_sources(case.resources.db, case.required_scope)


async def check_last_run(case: RunbookContext, *job_types: str) -> Observation:
    """Whether the newest runs of these jobs failed, and of what."""
    latest = await case.load_once(load_latest_runs)
    runs_by_age = sorted((latest[name] for name in job_types if name in latest), key=lambda r: r.created_at, reverse=True)
    failed = next((run for run in runs_by_age if run.status == "failed"), None)
    if failed is not None:
        return fail(describe_failure(failed), f"The last run of {failed.job_type} failed: {_sentence(failed.error)}")
    if not runs_by_age:
        return warn("There was no run yet.")
    return ok(f"{runs_by_age[0].job_type} is {runs_by_age[0].status}.")


def describe_failure(run: Run) -> str:
    """How a run failed, and what was asked of whom."""
    upstream = (run.error_details or {}).get("upstream") or {}
    request = " ".join(str(upstream[name]) for name in ("method", "endpoint", "status") if upstream.get(name))
    return f"{run.job_type}: {_sentence(run.error)}" + (f" Asked: {request}." if request else "")


def _sentence(error: str | None) -> str:
    text = (error or "no reason given").strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
