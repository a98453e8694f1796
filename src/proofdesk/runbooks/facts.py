"""Values that several checks share: `await context.load_once(facts.load_chunk_counts)`."""

from proofdesk.indexing import vectors
from proofdesk.indexing.vector_queries import ChunkCounts
from proofdesk.jobs import runs
from proofdesk.jobs.run_queries import Run
from proofdesk.projects import sources
from proofdesk.projects.source_queries import Source
from proofdesk.runbooks import queries
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import Observation, fail, ok, warn


async def load_chunk_counts(context: RunbookContext) -> ChunkCounts:
    """Return the number of chunks by status."""
    return await vectors.count_chunks(context.resources.db, context.required_scope)


async def load_reading_progress(context: RunbookContext) -> queries.ReadingProgress:
    """Return how many conversations are imported, chunked and indexed."""
    async with context.resources.db.scoped(context.required_scope) as conn:
        return await queries.fetch_reading_progress(conn, context.required_scope)


async def load_latest_runs(context: RunbookContext) -> dict[str, Run]:
    """Return the newest run of each job."""
    return {run.job_type: run for run in await runs.list_latest(context.resources.db, context.required_scope)}


async def load_sources(context: RunbookContext) -> list[Source]:
    """Return the sources of the project."""
    return await sources.list_sources(context.resources.db, context.required_scope)


async def check_last_run(context: RunbookContext, *job_types: str) -> Observation:
    """Check whether the newest runs of these jobs failed."""
    latest = await context.load_once(load_latest_runs)
    runs_by_age = sorted(
        (latest[name] for name in job_types if name in latest), key=lambda r: r.created_at, reverse=True
    )
    failed = next((run for run in runs_by_age if run.status == "failed"), None)
    if failed is not None:
        return fail(describe_failure(failed), f"The last run of {failed.job_type} failed: {_sentence(failed.error)}")
    if not runs_by_age:
        return warn("No run yet.")
    return ok(f"{runs_by_age[0].job_type} is {runs_by_age[0].status}.")


def describe_failure(run: Run) -> str:
    """Return why a run failed, and the request to another service that failed."""
    upstream = (run.error_details or {}).get("upstream") or {}
    request = " ".join(str(upstream[name]) for name in ("method", "endpoint", "status") if upstream.get(name))
    return f"{run.job_type}, run {run.id}: {_sentence(run.error)}" + (f" Request: {request}." if request else "")


def _sentence(error: str | None) -> str:
    text = (error or "no error recorded").strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
