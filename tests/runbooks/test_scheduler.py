"""The runbook names each cause of jobs that do not run."""

from dataclasses import replace
from datetime import UTC, datetime

from proofdesk.jobs import schedules
from tests.runbooks.faults_scheduler import OPENAI, SLUG
from tests.runbooks.installation import Installation


async def test_a_dead_worker_goes_before_what_it_causes(installation: Installation):
    installation.sql("DELETE FROM procrastinate_workers")
    installation.sql("UPDATE scheduled_jobs SET next_run_at = now() - interval '1 hour'")
    result = await installation.run(SLUG)
    assert [c.id for c in result.checks if c.status == "fail"] == ["worker", "overdue"]
    assert result.cause is not None and result.cause.check == "worker"
    assert result.fixes[0].command == "proofdesk worker"


async def test_a_failed_run_leads_to_the_runbook_of_whoever_is_at_fault(installation: Installation):
    installation.failed_run("embeddings_run", "The key was refused.", OPENAI)
    result = await installation.run(SLUG)
    assert [f.path for f in result.fixes] == ["/runbooks/embeddings-fail/run"]
    assert "POST /v1/embeddings 401" in next(c.observed for c in result.checks if c.id == "runs")


async def test_what_merely_waits_is_no_fault(installation: Installation):
    installation.sql("UPDATE rag_chunks SET embedding_status = 'pending'")
    result = await installation.run(SLUG)
    assert [(c.id, c.status) for c in result.checks if c.status != "ok"] == [("backlog", "warn")]


async def test_a_pause_by_a_person_is_told_with_his_name_and_is_no_fault(installation: Installation):
    ben = replace(installation.scope, actor=replace(installation.scope.actor, username="ben"))
    await schedules.change(installation.db, ben, "chatwoot_sync", status="paused")
    await schedules.change(installation.db, ben, "outbound_process", status="paused")
    for slug in (SLUG, "outbound-blocked"):
        result = await installation.run(slug)
        check = next(c for c in result.checks if c.id == "paused")
        assert (result.verdict, result.cause, check.status) == ("ok", None, "warn"), result
        assert f"ben paused it, {datetime.now(UTC):%Y-%m-%d}" in check.observed
    assert [f.path for f in result.fixes] == ["/jobs/scheduler/outbound_process"]


async def test_of_two_pauses_the_one_that_nobody_meant_is_the_cause(installation: Installation):
    await schedules.change(installation.db, installation.scope, "chatwoot_reconcile", status="paused")
    installation.sql(
        "UPDATE scheduled_jobs SET status = 'paused', paused_cause = 'x' WHERE job_type = 'embeddings_run'"
    )
    result = await installation.run(SLUG)
    assert result.cause is not None and "embeddings_run" in result.cause.message
    assert "chatwoot_reconcile is paused" in next(c.observed for c in result.checks if c.id == "paused")
