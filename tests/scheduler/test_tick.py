"""The tick: every due job of every project gets one run."""

import asyncio
from collections import Counter

import psycopg

from proofdesk.db.pool import Database
from proofdesk.projects.scope import Scope
from proofdesk.scheduler import tick
from tests.conftest import new_project


async def test_due_jobs_of_all_projects_are_queued(db: Database, project: Scope):
    await new_project(db, "Other")
    started = await tick.tick(db, 25)
    assert Counter(s.job_type for s in started) == {"chatwoot_sync": 2, "embeddings_run": 2}
    assert len({s.project_id for s in started}) == 2


async def test_what_was_started_is_not_due_again(db: Database, project: Scope):
    await tick.tick(db, 25)
    assert await tick.tick(db, 25) == []


async def test_two_schedulers_start_each_job_once(db: Database, project: Scope):
    both = await asyncio.gather(tick.tick(db, 25), tick.tick(db, 25))
    assert len(both[0]) + len(both[1]) == 2


async def test_a_paused_job_is_left_alone(db: Database, project: Scope, owner_conn: psycopg.Connection):
    owner_conn.execute("UPDATE scheduled_jobs SET status = 'paused' WHERE job_type <> 'chatwoot_sync'")
    assert [s.job_type for s in await tick.tick(db, 25)] == ["chatwoot_sync"]


async def test_no_more_than_asked_for_are_started(db: Database, project: Scope):
    assert len(await tick.tick(db, 1)) == 1
