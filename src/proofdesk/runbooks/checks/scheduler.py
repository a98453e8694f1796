"""Scheduler or worker failing: checks the workers, the schedules, and the newest runs with their errors."""

from proofdesk.chatwoot.binding import NoSourceBound
from proofdesk.jobs import catalog
from proofdesk.jobs.pipeline import ChatwootNotConfigured
from proofdesk.jobs.recovery import UNQUEUED_AFTER_SECONDS
from proofdesk.jobs.schedule_queries import Schedule
from proofdesk.runbooks import bundle_sources, facts, fixes, queries
from proofdesk.runbooks.checks import database, freshness, workers
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import Check, EvidenceSection, Fix, Observation, Runbook, fail, ok, warn

_NOBODY = "nobody is recorded who paused it."
_CAUSES = dict.fromkeys((ChatwootNotConfigured.code, NoSourceBound.code), fixes.see("chatwoot-sync-fails"))
"""The fixes of pauses whose cause another runbook explains."""
_SERVICES = {"chatwoot": "chatwoot-sync-fails", "openai": "embeddings-fail"}


async def check_lost_runs(context: RunbookContext) -> Observation:
    """Check that every running run has a recent heartbeat."""
    limit = UNQUEUED_AFTER_SECONDS
    active_runs = await context.load_once(freshness.load_active_runs)
    lost = [r for r in active_runs if r.status == "running" and r.silent_seconds > limit]
    if lost:
        return fail(" ".join(f"{r.job_type} has had no heartbeat for {r.silent_seconds:.0f} s." for r in lost))
    return ok(f"{len(active_runs)} active runs, none of them lost.")


async def check_sources(context: RunbookContext) -> Observation:
    """Check that Chatwoot jobs have a source to read."""
    bound = await context.load_once(facts.load_sources)
    if bound:
        return ok(f"The project reads {', '.join(s.external_id for s in bound)}.")
    if context.settings.chatwoot_account_id is not None:
        return ok("No source yet. The first sync binds CHATWOOT_ACCOUNT_ID if no other project has it.")
    return fail("The project has no row in `project_sources`, and CHATWOOT_ACCOUNT_ID is not set.")


async def check_paused_schedules(context: RunbookContext) -> Observation:
    """Check that no schedule is paused. A pause by a person is only a warning."""
    paused = [s for s in await context.load_once(freshness.load_schedules) if s.status == "paused"]
    if not paused:
        return ok("Every schedule is active.")
    reasons = {s.job_type: await describe_pause(context, s) for s in paused}
    observed = "; ".join(f"{job_type} is paused: {reason}" for job_type, reason in reasons.items())
    paused_by_system = [s.job_type for s in paused if s.paused_cause is not None or reasons[s.job_type] == _NOBODY]
    if not paused_by_system:
        return warn(observed, None, _resume_later(paused[0].job_type))
    first = next(s for s in paused if s.job_type == paused_by_system[0])
    cause = f"The schedule of {first.job_type} is paused: {reasons[first.job_type]}"
    return fail(observed, cause, _CAUSES.get(first.paused_cause or "") or _resume(first.job_type))


async def check_newest_runs(context: RunbookContext) -> Observation:
    """Check that the newest run of each job did not fail, and name the service that failed."""
    latest = await context.load_once(facts.load_latest_runs)
    failed = sorted((r for r in latest.values() if r.status == "failed"), key=lambda r: r.created_at, reverse=True)
    if not failed:
        return ok("The newest run of each job did not fail.")
    service = ((failed[0].error_details or {}).get("upstream") or {}).get("service")
    cause = f"The newest run of {failed[0].job_type} failed: {failed[0].error or 'no error recorded'}"
    fix = fixes.see(_SERVICES[service]) if service in _SERVICES else _run_again(failed[0].job_type)
    return fail(" ".join(facts.describe_failure(run) for run in failed), cause, fix)


async def check_schedule_errors(context: RunbookContext) -> Observation:
    """Check that no schedule has an error."""
    failing = [s for s in await context.load_once(freshness.load_schedules) if s.last_error and s.status == "active"]
    if failing:
        cause = f"{failing[0].job_type} keeps failing: {failing[0].last_error}"
        return fail("; ".join(f"{s.job_type}: {s.last_error}" for s in failing), cause, _run_again(failing[0].job_type))
    return ok("No active schedule has an error.")


async def check_overdue_jobs(context: RunbookContext) -> Observation:
    """Check that no job is overdue for longer than the scheduler needs."""
    tolerance = max(120.0, 3.0 * context.settings.worker_interval_seconds)
    planned = await context.load_once(freshness.load_schedules)
    lateness = [(s, (context.now() - s.next_run_at).total_seconds()) for s in planned]
    late = [(s.job_type, seconds / 60) for s, seconds in lateness if s.status == "active" and seconds > tolerance]
    if late:
        return fail("; ".join(f"{job_type} is overdue by {minutes:.0f} minutes" for job_type, minutes in late) + ".")
    return ok("No job is overdue.")


async def check_backlog(context: RunbookContext) -> Observation:
    """Check what waits for the workers."""
    backlog = (await context.load_once(bundle_sources.load_jobs_status))["backlog"]
    counts = ", ".join(f"{name} {number}" for name, number in backlog.items())
    return warn(f"Waiting: {counts}.") if any(backlog.values()) else ok(f"Waiting: {counts}.")


async def describe_pause(context: RunbookContext, schedule: Schedule) -> str:
    """Return who paused a schedule and when, or why the system paused it."""
    if schedule.paused_cause is None:
        pause = (await context.load_once(_load_pauses)).get(schedule.job_type)
        return f"{pause.paused_by} paused it, {pause.paused_at:%Y-%m-%d %H:%M} UTC." if pause else _NOBODY
    return f"{schedule.last_error or schedule.paused_cause} It resumes automatically when the cause is fixed."


async def _load_pauses(context: RunbookContext) -> dict[str, queries.SchedulePause]:
    async with context.resources.db.scoped(context.required_scope) as conn:
        return {pause.job_type: pause for pause in await queries.list_last_pauses(conn, context.required_scope)}


def _resume_later(job_type: str) -> Fix:
    return Fix(f"Resume {job_type} when you need it again.", "PATCH", _resume(job_type).path, {"status": "active"})


def _resume(job_type: str) -> Fix:
    return Fix(f"Fix the cause, then resume {job_type}.", "PATCH", f"/jobs/scheduler/{job_type}", {"status": "active"})


def _run_again(job_type: str) -> Fix:
    job_fixes = {
        catalog.SYNC.name: fixes.SYNC,
        catalog.EMBED.name: fixes.EMBED,
        catalog.RECONCILE.name: fixes.RECONCILE,
        catalog.OUTBOUND.name: fixes.PROCESS,
    }
    return job_fixes.get(job_type, fixes.TICK)


RUNBOOK = Runbook(
    slug="scheduler-worker-failing",
    title="Scheduler tick / worker jobs failing",
    symptom="`POST /jobs/scheduler/tick` reports failures, or `worker_runs` contains failed rows.",
    impact="Messages are not read, embedded or sent automatically.",
    checks=(
        database.USABLE,
        workers.ALIVE,
        workers.HUNG,
        workers.SETTINGS,
        Check(
            "lost-runs",
            "Lost runs",
            "Every running job has a recent heartbeat.",
            "The process that ran a job is gone. The job stops until it is requested again.",
            check_lost_runs,
            fixes.TICK,
        ),
        freshness.STUCK,
        Check(
            "sources",
            "Sources",
            "`project_sources` has a row for the project, or the default account is free.",
            "The project has no source, so its Chatwoot jobs have nothing to read.",
            check_sources,
            fixes.BIND,
        ),
        Check(
            "paused",
            "Paused schedules",
            "Every schedule is `active`. A pause that a person made is a warning.",
            "The system paused a schedule.",
            check_paused_schedules,
            Fix(
                "Fix the cause, then resume the schedule.", "PATCH", "/jobs/scheduler/{job_type}", {"status": "active"}
            ),
        ),
        freshness.NEXT_RUNS,
        Check(
            "runs",
            "Newest runs",
            "The newest run of each job did not fail.",
            "The newest run of a job failed.",
            check_newest_runs,
            fixes.TICK,
            alerts="symptom",
        ),
        Check(
            "last-errors",
            "Schedules",
            "No row of `scheduled_jobs` has a `last_error`.",
            "A scheduled job keeps failing.",
            check_schedule_errors,
            fixes.TICK,
            alerts="symptom",
        ),
        Check(
            "overdue",
            "Due jobs",
            "No `next_run_at` is long past.",
            "Due jobs are not started: no scheduler runs, or all workers are busy.",
            check_overdue_jobs,
            fixes.TICK,
            alerts="symptom",
        ),
        freshness.ALL,
        Check(
            "backlog",
            "Backlog",
            "The backlog is empty.",
            "Work waits for the workers.",
            check_backlog,
            fixes.TICK,
            alerts="symptom",
        ),
    ),
    evidence=(
        EvidenceSection("Schedules", freshness.load_schedules),
        EvidenceSection("Latest failed runs with upstream errors", bundle_sources.collect_failed_runs),
        EvidenceSection("Status of the jobs", bundle_sources.load_jobs_status),
        EvidenceSection("Accounts and inboxes", bundle_sources.collect_sources),
    ),
    variables=("WORKER_INTERVAL_SECONDS", "WORKER_TICK_LIMIT", "WORKER_CONCURRENCY", "CHATWOOT_ACCOUNT_ID"),
)
