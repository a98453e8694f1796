"""A tick: take what is due, of all projects or of one, and queue a run of each; then wait for the results."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from proofdesk.audit import events
from proofdesk.audit.events import Actor
from proofdesk.core.progress import ReportProgress, ignore_progress
from proofdesk.database import queue
from proofdesk.database.pool import Database
from proofdesk.jobs import runs, schedule_queries
from proofdesk.jobs.run_queries import Run
from proofdesk.jobs.schedule_queries import StartedRun
from proofdesk.projects import scope
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings

DEFAULT_DUE_JOBS, MAX_DUE_JOBS = 10, 100


@dataclass(frozen=True)
class TickSummary:
    """What became of the jobs that a tick started; those that are neither ok nor failed are under way."""

    processed: int
    ok: int
    failed: int
    details: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """As the contract spells it."""
        return asdict(self)


async def start_due(
    db: Database, settings: Settings, most: int, inside: Scope | None = None, actor: Actor | None = None
) -> list[StartedRun]:
    """Queue a run for at most so many due jobs, the longest overdue first; in one transaction with all it entails.

    Several may tick at once: each job is taken by one of them. Schedules that wait for something that is there by now
    go on first.
    """
    actor = actor or (inside.actor if inside else events.system_actor())
    async with db.transaction() as conn:
        await schedule_queries.resume_mended(conn, settings.has_chatwoot, settings.chatwoot_account_id)
        started = await schedule_queries.start_due(conn, actor, most, inside.project_id if inside else None)
        new = [{"project_id": str(s.project_id), "run_id": str(s.run_id)} for s in started if not s.joined]
        await queue.enqueue_all(conn, "run", new)
    return started


async def wait_for_results(
    db: Database, actor: Actor, started: Sequence[StartedRun], seconds: float, report: ReportProgress = ignore_progress
) -> TickSummary:
    """Wait for the runs, all of them together at most so long; how each stands then."""
    projects = {project: await scope.enter(db, actor, project) for project in {s.project_id for s in started}}
    over = 0

    async def ending(job: StartedRun) -> Run:
        nonlocal over
        run = await runs.wait(db, projects[job.project_id], job.run_id, seconds)
        over += run.status not in runs.ACTIVE
        report(over, len(started), "jobs")
        return run

    ended = await asyncio.gather(*map(ending, started))
    return TickSummary(
        processed=len(ended),
        ok=sum(run.status == "ok" for run in ended),
        failed=sum(run.status in ("failed", "cancelled") for run in ended),
        details=[_detail(s.project_id, run) for s, run in zip(started, ended, strict=True)],
    )


def _detail(project_id: UUID, run: Run) -> dict[str, Any]:
    told = {"job_type": run.job_type, "status": run.status, "run_id": run.id, "project_id": project_id}
    if run.status == "ok":
        return told | {"details": run.meta.get("result")}
    if run.status in runs.ACTIVE:
        return told
    return told | {"error": run.error, "details": run.error_details}
