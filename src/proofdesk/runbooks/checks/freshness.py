"""Freshness: how long ago each job last succeeded, whatever the reason why it did not run since."""

from proofdesk.jobs import catalog, schedules
from proofdesk.jobs.catalog import JobType
from proofdesk.jobs.schedule_queries import Schedule
from proofdesk.runbooks import fixes, queries
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import Alerts, Check, Fix, Observation, Observe, fail, ok, skip

_GRACE_SECONDS = 600.0
_STUCK_SECONDS = 900.0


async def load_schedules(context: RunbookContext) -> list[Schedule]:
    """Return the schedules of the project."""
    return await schedules.list_schedules(context.resources.db, context.required_scope)


async def check_all(context: RunbookContext) -> Observation:
    """Check the age of the last good run of each job."""
    return await _check(context, (catalog.SYNC, catalog.EMBED, catalog.OUTBOUND, catalog.RECONCILE))


async def check_sync(context: RunbookContext) -> Observation:
    """Check the age of the last good Sync."""
    return await _check(context, (catalog.SYNC,))


async def check_embeddings(context: RunbookContext) -> Observation:
    """Check the age of the last good Embeddings run."""
    return await _check(context, (catalog.EMBED,))


async def check_outbound(context: RunbookContext) -> Observation:
    """Check the age of the last good Outbound run."""
    return await _check(context, (catalog.OUTBOUND,))


async def check_next_runs(context: RunbookContext) -> Observation:
    """Check that every active schedule is due soon enough."""
    far = [
        (schedule, seconds)
        for schedule in await context.load_once(load_schedules)
        if schedule.status == "active"
        and (seconds := (schedule.next_run_at - context.now()).total_seconds()) > _longest_wait(schedule)
    ]
    if not far:
        return ok("Every active schedule is due within its cadence.")
    text = "; ".join(f"{schedule.job_type} runs next in {_duration(seconds)}" for schedule, seconds in far)
    return fail(f"{text}.", f"The next run of {far[0][0].job_type} is in {_duration(far[0][1])}.", resume(far[0][0]))


async def check_stuck_runs(context: RunbookContext) -> Observation:
    """Check that every running run makes progress."""
    stuck = [
        run
        for run in await context.load_once(load_active_runs)
        if run.status == "running" and run.idle_seconds > _STUCK_SECONDS and run.silent_seconds < _STUCK_SECONDS
    ]
    if not stuck:
        return ok("Every running job makes progress.")
    run = stuck[0]
    text = f"{run.job_type}, run {run.id}, has made no progress for {_duration(run.idle_seconds)}."
    host, number, *_ = f"{run.runner}::".split(":")
    end = Fix(
        f"End process {number} on {host}, then start a worker. The run continues there.",
        command=f"kill -9 {number}; {fixes.RESTART}",
        destructive=True,
    )
    return fail(f"{text} Process {number} on {host} executes it.", f"{text} Process {number} on {host} hangs.", end)


async def load_active_runs(context: RunbookContext) -> list[queries.ActiveRun]:
    """Return the queued and running runs of the project."""
    async with context.resources.db.scoped(context.required_scope) as conn:
        return await queries.list_active_runs(conn, context.required_scope)


async def load_good_runs(context: RunbookContext) -> dict[str, queries.GoodRun]:
    """Return when each job last succeeded."""
    async with context.resources.db.scoped(context.required_scope) as conn:
        return {run.job_type: run for run in await queries.list_good_runs(conn, context.required_scope)}


def resume(schedule: Schedule) -> Fix:
    """Return the fix that lets a job run on schedule again."""
    path = f"/jobs/scheduler/{schedule.job_type}"
    return Fix(f"Resume {schedule.job_type}.", "PATCH", path, {"status": "active"})


async def _check(context: RunbookContext, jobs: tuple[JobType, ...]) -> Observation:
    schedules_by_type = {s.job_type: s for s in await context.load_once(load_schedules)}
    good, active = await context.load_once(load_good_runs), await context.load_once(load_active_runs)
    missing = [job.name for job in jobs if job.name not in schedules_by_type]
    if missing:
        return fail(f"The project has no schedule of {', '.join(missing)}.", "A schedule is missing.", fixes.WORKER)
    running = {run.job_type for run in active if run.status == "running" and run.idle_seconds < _STUCK_SECONDS}
    old = [
        (schedules_by_type[job.name], good[job.name])
        for job in jobs
        if job.name not in running and good[job.name].age_seconds > _limit(schedules_by_type[job.name])
    ]
    if old:
        fix = resume(old[0][0]) if old[0][0].status == "paused" else _RUN.get(old[0][0].job_type, fixes.TICK)
        return fail(" ".join(_describe(*each) for each in old), _describe(*old[0]), fix)
    ages = [f"{name} {_duration(run.age_seconds)} ago" for name, run in good.items() if run.finished_at]
    return ok(f"Last good runs: {', '.join(ages)}.") if ages else skip("No run yet: the project is new.")


def _describe(schedule: Schedule, good: queries.GoodRun) -> str:
    age = _duration(good.age_seconds)
    what = f"last succeeded {age} ago" if good.finished_at else f"has never succeeded in the {age} of the project"
    state = "" if schedule.status == "active" else f" It is {schedule.status}."
    error = f" Last error: {schedule.last_error}" if schedule.last_error else ""
    return f"{schedule.job_type} {what}; it should run every {_duration(schedule.cadence_seconds)}.{state}{error}"


def _limit(schedule: Schedule) -> float:
    return 2 * schedule.cadence_seconds + _GRACE_SECONDS


def _longest_wait(schedule: Schedule) -> float:
    """Return the most seconds until a next run: the cadence, or the longest backoff, with a margin for jitter."""
    return 1.1 * max(schedule.cadence_seconds, schedules.MAX_RETRY_DELAY) + 60


def _duration(seconds: float) -> str:
    for size, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} seconds"


_RUN = {
    catalog.SYNC.name: fixes.SYNC,
    catalog.EMBED.name: fixes.EMBED,
    catalog.OUTBOUND.name: fixes.PROCESS,
    catalog.RECONCILE.name: fixes.RECONCILE,
}


def make_check(observe: Observe, name: str, alerts: Alerts = "symptom") -> Check:
    """Return the check of the age of the last good run."""
    return Check(
        "age",
        "Age of the last good run",
        f"{name} succeeded within twice its cadence, also when its schedule is paused.",
        f"{name} has not succeeded for too long.",
        observe,
        fixes.TICK,
        alerts,
    )


SYNC, EMBEDDINGS, OUTBOUND = (
    make_check(check_sync, "Sync"),
    make_check(check_embeddings, "Embeddings"),
    make_check(check_outbound, "Outbound"),
)
ALL = make_check(check_all, "Each job", "never")
NEXT_RUNS = Check(
    "next-runs",
    "Next runs",
    "No `next_run_at` is further away than the cadence.",
    "A schedule does not run for a long time.",
    check_next_runs,
    Fix("Resume the schedule.", "PATCH", "/jobs/scheduler/{job_type}", {"status": "active"}),
)
STUCK = Check(
    "stuck-runs",
    "Progress",
    "Every running job made progress within 15 minutes.",
    "A running job makes no progress.",
    check_stuck_runs,
    Fix("End the process, then start a worker. The run continues there.", command="kill -9 PID", destructive=True),
)
