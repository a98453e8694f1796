"""The tick: queues a run for each due job, of all projects or of one, and waits for the results."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from proofdesk.audit import events
from proofdesk.audit.events import Actor, BulkEvent
from proofdesk.chatwoot.binding import NoSourceBound
from proofdesk.core.progress import ReportProgress, ignore_progress
from proofdesk.database.pool import Database
from proofdesk.jobs import queue, run_queries, run_state_queries, runs, schedule_queries
from proofdesk.jobs.pipeline import ChatwootNotConfigured
from proofdesk.jobs.queue import JobKey
from proofdesk.jobs.run_queries import Run, StartedRun
from proofdesk.projects import scope
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings

DEFAULT_DUE_JOBS, MAX_DUE_JOBS = 10, 100


@dataclass(frozen=True)
class TickSummary:
    """The results of the jobs that a tick started. Those that are neither ok nor failed are not over yet."""

    processed: int
    ok: int
    failed: int
    details: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as JSON shows it."""
        return asdict(self)


async def start_due(
    db: Database, settings: Settings, limit: int, scope: Scope | None = None, actor: Actor | None = None
) -> list[StartedRun]:
    """Queue a run for at most `limit` due jobs of all projects, or of one, the longest overdue first.

    Resumes the schedules first whose reason to wait is gone. Everything is one transaction. Several processes may do
    this at once: each job is taken by one of them.
    """
    actor = actor or (scope.actor if scope else events.system_actor())
    async with db.transaction() as conn:
        await schedule_queries.show_all_projects(conn)
        await schedule_queries.resume_unblocked(
            conn,
            chatwoot_configured=settings.has_chatwoot,
            default_account_id=settings.chatwoot_account_id,
            unconfigured=ChatwootNotConfigured.code,
            unbound=NoSourceBound.code,
        )
        due = await schedule_queries.take_due_jobs(conn, limit, scope.project_id if scope else None)
        if not due:
            return []
        started = await run_state_queries.insert_scheduled_runs(conn, due, actor.request_id)
        new = {(run.project_id, run.job_type) for run in started}
        joined = await run_queries.active_runs_of(conn, [j for j in due if (j.project_id, j.job_type) not in new])
        await queue.enqueue(conn, [JobKey(run.project_id, run.job_type) for run in started])
        # Each event locks the end of its project's chain: so they come last, and in the order of projects.
        await events.record_for_projects(conn, actor, [_requested_event(run) for run in _in_order(started)])
    return [*started, *joined]


async def wait_for_results(
    db: Database, actor: Actor, started: Sequence[StartedRun], seconds: float, report: ReportProgress = ignore_progress
) -> TickSummary:
    """Wait for all of these runs, at most so many seconds. Return the status of each."""
    scopes = {project: await scope.enter(db, actor, project) for project in {s.project_id for s in started}}
    over = 0

    async def wait_for(job: StartedRun) -> Run:
        nonlocal over
        run = await runs.wait(db, scopes[job.project_id], job.run_id, seconds)
        over += run.status not in runs.ACTIVE
        report(over, len(started), "jobs")
        return run

    results = await asyncio.gather(*map(wait_for, started))
    return TickSummary(
        processed=len(results),
        ok=sum(run.status == "ok" for run in results),
        failed=sum(run.status in ("failed", "cancelled") for run in results),
        details=[_detail(s.project_id, run) for s, run in zip(started, results, strict=True)],
    )


def _in_order(started: Sequence[StartedRun]) -> list[StartedRun]:
    return sorted(started, key=lambda run: (run.project_id, run.job_type))


def _requested_event(run: StartedRun) -> tuple[StartedRun, BulkEvent]:
    payload = {"job_type": run.job_type, "trigger": "schedule", "params": run.params}
    return run, BulkEvent("job.requested", "worker_run", run.run_id, payload=payload)


def _detail(project_id: UUID, run: Run) -> dict[str, Any]:
    detail = {"job_type": run.job_type, "status": run.status, "run_id": run.id, "project_id": project_id}
    if run.status == "ok":
        return detail | {"details": run.meta.get("result")}
    if run.status in runs.ACTIVE:
        return detail
    return detail | {"error": run.error, "details": run.error_details}
