"""The runbooks name workers that hang or run with other settings, and jobs that have not succeeded for long."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psutil
import pytest

from proofdesk import __version__
from proofdesk.database.pool import Database
from proofdesk.jobs import schedules, worker, worker_processes
from proofdesk.jobs.outcomes import current_runner
from tests.runbooks.faults_workers import OLD, SLUG
from tests.runbooks.installation import Installation


@pytest.mark.parametrize(
    ("slug", "job"),
    [
        ("chatwoot-sync-fails", "chatwoot_sync"),
        ("search-returns-no-results", "chatwoot_sync"),
        ("embeddings-fail", "embeddings_run"),
    ],
)
async def test_the_runbook_of_a_job_names_its_age(installation: Installation, slug: str, job: str):
    installation.sql(OLD.format(job))
    result = await installation.run(slug)
    assert result.cause is not None and result.cause.check == "age" and "3 days ago" in result.cause.message


async def test_a_long_pause_by_a_person_becomes_the_cause(installation: Installation):
    ben = replace(installation.scope, actor=replace(installation.scope.actor, username="ben"))
    await schedules.change(installation.db, ben, "chatwoot_sync", status="paused")
    assert (await installation.run(SLUG)).verdict == "ok"
    installation.sql(OLD.format("chatwoot_sync"))
    result = await installation.run(SLUG)
    assert result.cause is not None and result.cause.check == "age" and "paused" in result.cause.message
    assert result.fixes[0].path == "/jobs/scheduler/chatwoot_sync"


async def test_resuming_a_schedule_brings_its_next_run_near(installation: Installation):
    installation.sql("UPDATE scheduled_jobs SET next_run_at = now() + interval '1 year', last_run_at = NULL")
    for job in await schedules.list_schedules(installation.db, installation.scope):
        await schedules.change(installation.db, installation.scope, job.job_type, status="active")
    assert (await installation.run(SLUG)).cause is None


@pytest.fixture
def sleeper() -> Iterator[str]:
    """Yield a process that does nothing, as a runner."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        host = current_runner().split(":")[0]
        yield f"{host}:{process.pid}:{psutil.Process(process.pid).create_time():.2f}"
        process.kill()


@pytest.mark.parametrize("others", [0, 1])
async def test_a_hung_worker_is_named_with_the_process_to_end(installation: Installation, sleeper: str, others: int):
    installation.sql(
        "INSERT INTO worker_processes (runner, version, fingerprints, seen_at)"
        " VALUES (%(runner)s, 'x', '{}', now() - interval '10 minutes')",
        runner=sleeper,
    )
    if not others:
        installation.sql("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '10 minutes'")
    result = await installation.run(SLUG)
    number = sleeper.split(":")[1]
    assert result.cause is not None and result.cause.check == ("hung-workers" if others else "worker")
    assert f"process {number}" in result.cause.message and "hangs" in result.cause.message
    assert any(f"kill -9 {number};" in (fix.command or "") for fix in result.fixes)


async def test_a_worker_that_is_gone_does_not_hang(installation: Installation):
    installation.sql("UPDATE worker_processes SET seen_at = now() - interval '1 hour', runner = runner || '9'")
    assert (await installation.run(SLUG)).cause is None


async def test_a_worker_reports_itself_and_withdraws(installation: Installation, monkeypatch: pytest.MonkeyPatch):
    withdraw, seen = worker_processes.withdraw, list[Any]()

    async def withdraw_noted(db: Database) -> None:
        seen.extend(installation.rows("SELECT runner, version FROM worker_processes"))
        await withdraw(db)

    monkeypatch.setattr(worker_processes, "withdraw", withdraw_noted)
    installation.sql("DELETE FROM worker_processes")
    async with installation.context() as context:
        await worker.run_worker(context.resources, drain=True)
    assert seen == [(current_runner(), __version__)]
    assert installation.rows("SELECT count(*) FROM worker_processes") == [(0,)]
