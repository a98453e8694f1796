"""Schedules: when each job of a project runs next, and what makes it wait.

After a success a job is due one cadence later, after a failure by `next_delay`. A job that cannot work before somebody
acts pauses itself, and the tick resumes it when that was done. A pause by a person stays.
"""

import random

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import NotFound
from proofdesk.jobs import schedule_queries as queries
from proofdesk.jobs.schedule_queries import Schedule
from proofdesk.projects.scope import Scope

MIN_CADENCE, MAX_CADENCE = 30, 86_400  # seconds
MIN_RETRY_DELAY, MAX_RETRY_DELAY = 60.0, 3600.0  # seconds from a failure to the next attempt


class JobTypeNotFound(NotFound):
    """The project has no job of that type."""

    code = "job_type_not_found"


def next_delay(failures: int, cadence: float, chance: float) -> float:
    """Return the seconds to the next run after so many failures in a row: the cadence after none.

    The delay doubles from a minute to an hour. `chance`, from 0 to 1, adds jitter, so that jobs that failed together do
    not return together.
    """
    if failures == 0:
        return cadence
    least = min(MIN_RETRY_DELAY * 2 ** min(failures - 1, 30), MAX_RETRY_DELAY * 0.75)
    return least + chance * (min(2 * least, MAX_RETRY_DELAY) - least)


async def list_schedules(db: Database, scope: Scope) -> list[Schedule]:
    """Return the schedules of the project, by job type."""
    async with db.scoped(scope) as conn:
        return await queries.list_schedules(conn, scope)


async def change(
    db: Database, scope: Scope, job_type: str, *, status: str | None = None, cadence_seconds: int | None = None
) -> Schedule:
    """Pause or resume a job, or change its cadence (30 to 86,400 seconds). Raises `JobTypeNotFound`."""
    scope.require("editor")
    async with db.scoped(scope) as conn:
        before = await queries.lock_schedule(conn, scope, job_type)
        if before is None:
            raise JobTypeNotFound("This project has no job of that type.")
        after = await queries.change_schedule(conn, scope, job_type, status, cadence_seconds)
        assert after is not None, "the schedule is locked"
        changed = {
            name: {"from": getattr(before, name), "to": getattr(after, name)}
            for name in ("status", "cadence_seconds", "paused_cause")
            if getattr(before, name) != getattr(after, name)
        }
        if changed:
            payload = {"job_type": job_type, **changed}
            action = "job.schedule_changed"
            await events.record(conn, scope.actor, action, "scheduled_job", after.id, scope=scope, payload=payload)
    return after


async def record_outcome(
    conn: Conn, scope: Scope, before: Schedule, outcome: str, error: str | None, pause_for: str | None
) -> None:
    """Write how a run ended to its schedule, which the caller has locked. A cancelled run is no failure."""
    failures = {"ok": 0, "failed": before.failures + 1}.get(outcome, before.failures)
    seconds = next_delay(failures if outcome == "failed" else 0, before.cadence_seconds, random.random())  # noqa: S311
    await queries.record_outcome(
        conn,
        scope,
        before.job_type,
        outcome,
        error=error,
        failures=failures,
        delay=seconds,
        pause_for=pause_for,
    )
