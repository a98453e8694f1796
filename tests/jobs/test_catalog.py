"""The catalog: each job type is defined once, and everything else reads it there."""

import re
from pathlib import Path

import pytest

import proofdesk
from proofdesk.database.pool import Database
from proofdesk.jobs import catalog, schedules
from proofdesk.jobs.catalog import JobType
from proofdesk.projects.scope import Scope
from proofdesk.runbooks import registry

SOURCE = Path(proofdesk.__file__).parent
NAMES = re.compile(r"\b(?:chatwoot_sync|embeddings_run|outbound_process|chatwoot_reconcile)\b|[\"'`]maintenance[\"'`]")
BELOW_JOBS = {Path("search/diagnosis_queries.py")}  # search stands below jobs and cannot import the catalog


def test_job_names_stand_in_the_catalog_only():
    built = {"static", "built"}
    files = [p for p in SOURCE.rglob("*") if p.suffix in (".py", ".html", ".js") and not built & set(p.parts)]
    naming = {p.relative_to(SOURCE) for p in files if NAMES.search(p.read_text("utf-8"))}
    assert naming - BELOW_JOBS == {Path("jobs/catalog.py")}


async def test_new_project_is_scheduled_as_the_catalog_says(db: Database, project: Scope):
    found = {s.job_type: s.cadence_seconds for s in await schedules.list_schedules(db, project)}
    assert found == {job.name: job.cadence_seconds for job in catalog.ALL}


async def test_first_runs_come_when_the_catalog_says(db: Database, project: Scope):
    found = await schedules.list_schedules(db, project)
    first_runs = {s.job_type: s.next_run_at for s in found}
    created = first_runs[catalog.SYNC.name]
    assert {name: at - created for name, at in first_runs.items()} == {j.name: j.first_run_after for j in catalog.ALL}


@pytest.mark.parametrize("job", catalog.ALL, ids=lambda job: job.name)
def test_runbook_of_the_job_exists(job: JobType):
    assert registry.get_runbook(job.runbook).slug == job.runbook
    if job not in (catalog.MAINTENANCE, catalog.WATCH, catalog.DIGEST):
        assert registry.runbook_for_error(job.failure_code) == job.runbook


def test_names_are_unique_and_found():
    assert [catalog.find(job.name) for job in catalog.ALL] == list(catalog.ALL)
    assert catalog.find("other") is None
    assert catalog.get_label("other_job") == "Other job"
