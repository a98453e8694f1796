"""A tick: look which jobs are due, in all projects, and ask for a run of each."""

from dataclasses import dataclass

from proofdesk.audit import trail
from proofdesk.db.pool import Database
from proofdesk.projects import scope
from proofdesk.scheduler import queries, runs
from proofdesk.scheduler.queries import Run


@dataclass(frozen=True)
class Started:
    """A due job and the run that serves it."""

    project_id: str
    job_type: str
    run: Run
    joined: bool


async def tick(db: Database, most: int) -> list[Started]:
    """Queue a run for at most so many due jobs, the longest overdue first. Several schedulers may tick at once."""
    async with db.transaction() as conn:
        due = await queries.due(conn, most)
    started = []
    for job in due:
        inside = await scope.enter(db, trail.system(), job.project_id)
        async with db.scoped(inside) as conn:
            mine = await queries.postpone(conn, inside, job.job_type)
        if mine:
            asked = await runs.request(db, inside, job.job_type, "schedule")
            started.append(Started(str(job.project_id), job.job_type, asked.run, asked.joined))
    return started
