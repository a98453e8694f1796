"""Schedules: when a job runs next, and what makes it wait or go on."""

from typing import Any

import psycopg
import pytest

from proofdesk.chatwoot.binding import NoSourceBound
from proofdesk.database.pool import Database
from proofdesk.errors import ProofdeskError, Unavailable
from proofdesk.jobs import new_projects, runs, schedules, tick
from proofdesk.jobs.pipeline import ChatwootNotConfigured
from proofdesk.jobs.runs import RunOutcome
from proofdesk.jobs.schedule_queries import Schedule
from proofdesk.projects import sources
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings
from tests.support.audit_events import newest_event
from tests.support.jobs import start_run
from tests.support.projects import new_project

JOB = "chatwoot_sync"
UNSET = ChatwootNotConfigured("Set it.", configured=False)
UNBOUND = NoSourceBound("Bind a source.")
BOTH = Settings(chatwoot_base_url="http://127.0.0.1:9", chatwoot_api_token="t", chatwoot_account_id=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("failures", "least", "most"),
    [
        (0, 900, 900),
        (1, 60, 120),
        (2, 120, 240),
        (3, 240, 480),
        (4, 480, 960),
        (5, 960, 1920),
        (6, 1920, 3600),
        (7, 2700, 3600),
        (1000, 2700, 3600),
    ],
)
def test_retry_delay_doubles_from_a_minute_to_an_hour(failures: int, least: float, most: float):
    assert schedules.next_delay(failures, 900, 0.0) == least
    assert schedules.next_delay(failures, 900, 1.0) == most
    assert schedules.next_delay(failures, 900, 0.5) == (least + most) / 2


async def ended(db: Database, project: Scope, error: ProofdeskError | None = None) -> Schedule:
    """The job's schedule after a run that went well, or that failed with that error."""

    async def work(*_: Any) -> RunOutcome:
        if error:
            raise error
        return RunOutcome(0, {})

    requested = await start_run(db, project, JOB, "cli")
    await runs.execute(db, project, requested.run, work)
    return await load_schedule(db, project)


async def load_schedule(db: Database, project: Scope, job_type: str = JOB) -> Schedule:
    """The job's schedule."""
    return next(s for s in await schedules.list_schedules(db, project) if s.job_type == job_type)


def until_next(schedule: Schedule) -> float:
    """Seconds from the last run to the next."""
    assert schedule.last_run_at is not None
    return (schedule.next_run_at - schedule.last_run_at).total_seconds()


async def test_failed_job_is_retried_with_backoff_until_it_succeeds(db: Database, project: Scope):
    assert 60 <= until_next(await ended(db, project, Unavailable("No."))) <= 120
    again = await ended(db, project, Unavailable("Still no."))
    assert 120 <= until_next(again) <= 240
    assert (again.failures, again.last_status, again.last_error) == (2, "failed", "Still no.")
    well = await ended(db, project)
    assert until_next(well) == 900
    assert (well.failures, well.last_status, well.last_error) == (0, "ok", None)


async def test_cancelled_run_is_no_failure(db: Database, project: Scope):
    requested = await runs.request(db, project, JOB, "manual")
    await runs.cancel(db, project, requested.run.id)
    schedule = await load_schedule(db, project)
    assert (schedule.failures, schedule.last_status, until_next(schedule)) == (0, "cancelled", 900)


async def test_job_without_a_source_pauses_until_one_is_bound(db: Database, project: Scope):
    paused = await ended(db, project, UNBOUND)
    assert (paused.status, paused.paused_cause) == ("paused", "chatwoot_source_binding_error")
    assert paused.last_error == "Bind a source."
    assert JOB not in [s.job_type for s in await tick.start_due(db, Settings(), 25)]
    await sources.bind(db, project, "chatwoot_account", "7")
    assert JOB in [s.job_type for s in await tick.start_due(db, Settings(), 25)]
    resumed = await load_schedule(db, project)
    assert (resumed.status, resumed.paused_cause) == ("active", None)


async def test_job_without_chatwoot_pauses_until_it_is_configured(db: Database, project: Scope):
    assert (await ended(db, project, UNSET)).paused_cause == "chatwoot_not_configured"
    assert JOB not in [s.job_type for s in await tick.start_due(db, Settings(), 25)]
    assert JOB in [s.job_type for s in await tick.start_due(db, BOTH, 25)]


async def test_job_resumes_when_the_default_account_is_free(db: Database, project: Scope):
    other = await new_project(db, "Other")
    taken = await sources.bind(db, other, "chatwoot_inbox", "1:5")
    await ended(db, project, UNBOUND)
    assert JOB not in [s.job_type for s in await tick.start_due(db, BOTH, 25, project)]
    await sources.unbind(db, other, taken.id)
    assert JOB in [s.job_type for s in await tick.start_due(db, BOTH, 25, project)]


async def test_job_that_paused_itself_resumes_after_a_successful_run(db: Database, project: Scope):
    await ended(db, project, UNBOUND)
    well = await ended(db, project)
    assert (well.status, well.paused_cause) == ("active", None)


@pytest.mark.parametrize("error", [None, UNBOUND, UNSET])
async def test_pause_by_a_person_stays(db: Database, project: Scope, error: ProofdeskError | None):
    await schedules.change(db, project, JOB, status="paused")
    still = await ended(db, project, error)
    assert (still.status, still.paused_cause) == ("paused", None)
    await sources.bind(db, project, "chatwoot_account", "7")
    await tick.start_due(db, BOTH, 25)
    assert (await load_schedule(db, project)).status == "paused"


async def test_person_can_take_over_a_pause(db: Database, project: Scope):
    await ended(db, project, UNBOUND)
    mine = await schedules.change(db, project, JOB, status="paused")
    assert (mine.status, mine.paused_cause) == ("paused", None)
    await sources.bind(db, project, "chatwoot_account", "7")
    await tick.start_due(db, BOTH, 25)
    assert (await load_schedule(db, project)).status == "paused"


async def test_resumed_job_is_due_a_cadence_after_its_last_run(db: Database, project: Scope):
    await ended(db, project, Unavailable("No."))
    await schedules.change(db, project, JOB, status="paused")
    resumed = await schedules.change(db, project, JOB, status="active")
    assert (until_next(resumed), resumed.failures) == (900, 0)


async def test_changed_cadence_counts_from_the_last_run(db: Database, project: Scope):
    await ended(db, project)
    assert until_next(await schedules.change(db, project, JOB, cadence_seconds=30)) == 30


async def test_change_of_a_schedule_records_the_old_value(db: Database, project: Scope, owner_conn: psycopg.Connection):
    await schedules.change(db, project, JOB, cadence_seconds=60)
    await schedules.change(db, project, JOB, cadence_seconds=60)
    await schedules.change(db, project, JOB)
    event_count = owner_conn.execute(
        "SELECT count(*) FROM audit_events WHERE action = 'job.schedule_changed'"
    ).fetchone()
    assert event_count == (1,)
    assert newest_event(owner_conn)["payload"] == {"job_type": JOB, "cadence_seconds": {"from": 900, "to": 60}}


async def test_unknown_job_cannot_be_changed(db: Database, project: Scope):
    with pytest.raises(schedules.JobTypeNotFound):
        await schedules.change(db, project, "nonsense", status="paused")


async def test_missing_schedules_are_added_to_every_project(
    db: Database, project: Scope, owner_conn: psycopg.Connection
):
    other = await new_project(db, "Other")
    owner_conn.execute("DELETE FROM scheduled_jobs WHERE job_type = 'maintenance'")
    await schedules.change(db, other, JOB, cadence_seconds=60)
    assert await new_projects.add_missing_schedules(db) == 2
    assert (await load_schedule(db, project, "maintenance")).cadence_seconds == 3600
    assert (await load_schedule(db, other)).cadence_seconds == 60, "a schedule that exists is left as it is"
