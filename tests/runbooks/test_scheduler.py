"""Each way in which jobs stand still is planted, and named."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from proofdesk.jobs import schedules
from tests.runbooks.house import House

SLUG = "scheduler-worker-failing"
LOST = (
    "INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger, status, heartbeat_at, started_at)"
    " VALUES (%(project)s, %(account_scope)s, 'chatwoot_sync', 'schedule', 'running', now() - interval '1 hour', now())"
)
OPENAI = '{"upstream": {"service": "openai", "method": "POST", "endpoint": "/v1/embeddings", "status": 401}}'

FAULTS: dict[str, tuple[str, Callable[[House], Any]]] = {
    "an old schema": ("database", lambda h: h.sql("DELETE FROM schema_migrations WHERE name LIKE '0005%%'")),
    "no worker": ("worker", lambda h: h.sql("DELETE FROM workers")),
    "a silent worker": (
        "worker",
        lambda h: h.sql("UPDATE workers SET last_heartbeat_at = now() - interval '1 hour'"),
    ),
    "a lost run": ("lost-runs", lambda h: h.sql(LOST)),
    "no source": ("sources", lambda h: (h.set(chatwoot_account_id=None), h.sql("DELETE FROM project_sources"))),
    "a paused schedule": (
        "paused",
        lambda h: h.sql(
            "UPDATE scheduled_jobs SET status = 'paused', paused_cause = 'workers_lost',"
            " last_error = 'Ten workers were lost.' WHERE job_type = 'chatwoot_sync'"
        ),
    ),
    "a failed run": ("runs", lambda h: h.failed_run("embeddings_run", "The key was refused.", OPENAI)),
    "a schedule with an error": (
        "last-errors",
        lambda h: h.sql("UPDATE scheduled_jobs SET last_error = 'It broke.' WHERE job_type = 'chatwoot_sync'"),
    ),
    "an overdue schedule": (
        "overdue",
        lambda h: h.sql("UPDATE scheduled_jobs SET next_run_at = now() - interval '1 hour'"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_cause_is_named_first(house: House, fault: str):
    cause, plant = FAULTS[fault]
    applied = house.rows("SELECT name, applied_at FROM schema_migrations")
    plant(house)
    try:
        found = await house.look(SLUG)
    finally:
        for name, when in applied:
            house.sql(
                "INSERT INTO schema_migrations VALUES (%(name)s, %(at)s) ON CONFLICT DO NOTHING", name=name, at=when
            )
    assert found.cause is not None and found.cause.check == cause, found
    assert found.verdict == "problem" and found.fixes


async def test_a_dead_worker_goes_before_what_it_causes(house: House):
    house.sql("DELETE FROM workers")
    house.sql("UPDATE scheduled_jobs SET next_run_at = now() - interval '1 hour'")
    found = await house.look(SLUG)
    assert [c.id for c in found.checks if c.status == "fail"] == ["worker", "overdue"]
    assert found.cause is not None and found.cause.check == "worker"
    assert found.fixes[0].command == "proofdesk worker"


async def test_a_failed_run_leads_to_the_runbook_of_whoever_is_at_fault(house: House):
    house.failed_run("embeddings_run", "The key was refused.", OPENAI)
    found = await house.look(SLUG)
    assert [f.path for f in found.fixes[:2]] == ["/runbooks/embeddings-fail/run", "/jobs/embeddings/run"]
    assert "POST /v1/embeddings 401" in next(c.observed for c in found.checks if c.id == "runs")


async def test_what_merely_waits_is_no_fault(house: House):
    house.sql("UPDATE rag_chunks SET embedding_status = 'pending'")
    found = await house.look(SLUG)
    assert [(c.id, c.status) for c in found.checks if c.status != "ok"] == [("backlog", "warn")]


async def test_a_pause_by_a_person_is_told_with_his_name_and_is_no_fault(house: House):
    ben = replace(house.scope, actor=replace(house.scope.actor, username="ben"))
    await schedules.change(house.db, ben, "chatwoot_sync", status="paused")
    await schedules.change(house.db, ben, "outbound_process", status="paused")
    for slug in (SLUG, "outbound-blocked"):
        found = await house.look(slug)
        check = next(c for c in found.checks if c.id == "paused")
        assert (found.verdict, found.cause, check.status) == ("ok", None, "warn"), found
        assert f"ben paused it, {datetime.now(UTC):%Y-%m-%d}" in check.observed
    assert [f.path for f in found.fixes] == ["/jobs/scheduler/outbound_process"]


async def test_of_two_pauses_the_one_that_nobody_meant_is_the_cause(house: House):
    await schedules.change(house.db, house.scope, "chatwoot_reconcile", status="paused")
    house.sql("UPDATE scheduled_jobs SET status = 'paused', paused_cause = 'x' WHERE job_type = 'embeddings_run'")
    found = await house.look(SLUG)
    assert found.cause is not None and "embeddings_run" in found.cause.message
    assert "chatwoot_reconcile is paused" in next(c.observed for c in found.checks if c.id == "paused")
