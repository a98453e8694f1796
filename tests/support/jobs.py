"""Runs in the process of a test, without a worker."""

from proofdesk.database.pool import Database
from proofdesk.jobs import runs
from proofdesk.jobs.queue import JobKey
from proofdesk.jobs.runs import RequestedRun
from proofdesk.projects.scope import Scope


async def start_run(db: Database, scope: Scope, job_type: str, trigger: str) -> RequestedRun:
    """Request a run and claim it for this process, which a worker does when it takes the job from the queue."""
    requested = await runs.request(db, scope, job_type, trigger)
    if requested.joined:
        return requested
    async with db.transaction() as conn:
        await conn.execute("DELETE FROM procrastinate_jobs WHERE lock = %s", [JobKey(scope.project_id, job_type).lock])
    run = await runs.claim(db, scope, job_type)
    assert run is not None, "it was queued"
    return RequestedRun(run, False)
