"""Each protection alone isolates projects: row-level security with the scope of another project, and the conditions in
SQL without row-level security.
"""

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import AsyncCursor, sql

from proofdesk.audit import events
from proofdesk.audit import queries as audit_queries
from proofdesk.chatwoot import queries as chatwoot_queries
from proofdesk.commitments import message_queries
from proofdesk.conversations import totals_queries
from proofdesk.dashboard import metrics_queries, status_queries
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.incidents import queries as incident_queries
from proofdesk.indexing import chunk_queries
from proofdesk.jobs import queue_queries, run_queries, run_state_queries, schedule_queries, worker_process_queries
from proofdesk.outbound import kill_switch_queries
from proofdesk.outbound.delivery import attempt_queries
from proofdesk.outbound.opt_outs import unsubscribe_queries
from proofdesk.projects import queries as project_queries
from proofdesk.projects import source_queries
from proofdesk.projects.scope import Scope
from proofdesk.runbooks import database_queries
from proofdesk.runbooks import queries as runbook_queries
from proofdesk.search import queries as search_queries
from tests.support import query_arguments
from tests.support.near import fetch_nearest, store_nearest
from tests.support.query_arguments import Query
from tests.support.worlds import TABLES, World

REFUSED = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ForeignKeyViolation, AssertionError)

# These tables have no row-level security, since a project must be found before it is entered. They hold its name and
# the Chatwoot ids that it claims; `scope` and the conditions in SQL protect them.
NOT_SCOPED: dict[Query, str] = {
    project_queries.lock_unarchived: "projects",
    project_queries.rename: "projects",
    project_queries.archive: "projects",
    project_queries.set_timezone: "projects",
    source_queries.claim: "source_claims",
    source_queries.was_ever_bound: "projects",
    source_queries.takes_default_account: "projects",
    runbook_queries.fetch_project_name: "projects",
}
_INSTALLATION = "numbers of the whole installation, and nothing else"
_SCHEDULER = "the scheduler: schedules and runs of all projects, after `show_all_projects`"
# Query functions without a scope, and why they need none. Those of `accounts` read accounts, not projects.
NO_SCOPE: dict[Query, str] = {
    audit_queries.show_own_events: "lets a transaction see the user's own events",
    audit_queries.show_installation_events: "lets a transaction see events that have no project",
    audit_queries.get_head: "of a project by its id, in a transaction of that project, or of the installation",
    audit_queries.list_links: "as `get_head`",
    audit_queries.insert_events_of_projects: "the scheduler: events of runs that it queued, each with its project",
    chatwoot_queries.refresh_statistics: "refreshes the statistics of the planner",
    chunk_queries.refresh_statistics: "refreshes the statistics of the planner",
    attempt_queries.fetch_current_time: "the time",
    message_queries.fetch_current_time: "the time",
    unsubscribe_queries.fetch_link_key: "a setting of the installation",
    unsubscribe_queries.ensure_link_key: "a setting of the installation",
    metrics_queries.run_totals: _INSTALLATION,
    metrics_queries.active_runs: _INSTALLATION,
    metrics_queries.queue_depth: _INSTALLATION,
    metrics_queries.sync_lag: _INSTALLATION,
    metrics_queries.chunks_by_status: _INSTALLATION,
    metrics_queries.outbound_by_status: _INSTALLATION,
    project_queries.list_visible_projects: "the projects that an actor may enter",
    project_queries.get_visible_project: "whether an actor may enter a project: a scope is created from this",
    project_queries.list_projects_named: "for commands, whose user is the owner",
    project_queries.list_project_names: "for commands, whose user is the owner",
    project_queries.ensure_account_scope: "before there is a project",
    project_queries.insert_project: "before there is a project",
    project_queries.set_current_project: "sets the project that was just created",
    project_queries.find_entry: "whether an actor may enter a project, and their role",
    project_queries.get_user: "an account by name",
    source_queries.may_bind: "whether the owner allows an actor to bind sources",
    source_queries.lock_account: "a lock",
    run_queries.active_runs_of: _SCHEDULER,
    run_state_queries.insert_scheduled_runs: _SCHEDULER,
    schedule_queries.insert_missing_schedules: _SCHEDULER,
    schedule_queries.resume_unblocked: _SCHEDULER,
    schedule_queries.show_all_projects: _SCHEDULER,
    schedule_queries.take_due_jobs: _SCHEDULER,
    queue_queries.list_unqueued_runs: _SCHEDULER,
    queue_queries.list_abandoned_jobs: "jobs of the queue without a worker, of all projects",
    queue_queries.lock_waiting_jobs: "jobs of the queue by their lock, which names project and job type",
    queue_queries.get_running_job_id: "a job of the queue by its lock",
    queue_queries.move_waiting_job: "a job of the queue by its lock",
    runbook_queries.fetch_database_time: "the time",
    worker_process_queries.report_process: "worker processes serve all projects",
    worker_process_queries.delete_process: "worker processes serve all projects",
    worker_process_queries.list_processes: "worker processes serve all projects",
    database_queries.fetch_facts: "the server",
    database_queries.fetch_backup_age: "backups of the whole installation",
    incident_queries.lock_incidents: "a lock",
    database_queries.list_blockers: "sessions of the server",
    database_queries.try_to_write: "a temporary table",
    database_queries.fetch_transaction_id: "a transaction id",
    runbook_queries.count_pins_of_another_key: "signups of the installation",
    runbook_queries.list_rate_limits: "counters of the installation",
    run_queries.listen: "ids of runs that change, of all projects",
    totals_queries.gather_counts: "of the project of the transaction, by a function of the database",
    status_queries.worker_status: "workers serve all projects",
    status_queries.applied_migrations: "the schema",
    kill_switch_queries.insert_for_all_projects: "the kill switch of all projects, for the owner",
    kill_switch_queries.delete_for_all_projects: "the kill switch of all projects, for the owner",
    search_queries.list_similar_terms: "of the project of the transaction, by a function of the database",
}
ALL = list(query_arguments.queries())


async def test_every_project_table_has_rows_of_both_worlds(owner_conn: psycopg.Connection, ours: World, theirs: World):
    for (table,) in owner_conn.execute(TABLES).fetchall():
        for world in (ours, theirs):
            count = owner_conn.execute(
                sql.SQL("SELECT count(*) FROM {} WHERE project_id = %s").format(sql.Identifier(table)),
                [world.project_id],
            ).fetchone()
            assert count != (0,), f"{table} has no row of {world.owner}: add one in tests/support/worlds.py"


def test_query_functions_without_scope_are_listed():
    without_scope = dict(query_arguments.queries(scoped=False))
    listed = set(NO_SCOPE)
    assert [n for n, query in without_scope.items() if query not in listed and not n.startswith("accounts.")] == []
    assert [query for query in NO_SCOPE if query not in without_scope.values()] == []


async def test_row_security_alone_isolates_every_query(db: Database, ours: World, theirs: World):
    """With the scope of another project, in a transaction of the own: as if the other project did not exist."""
    nowhere = Scope(events.system_actor(), uuid4(), uuid4(), "manager")
    leaks = {}
    for name, query in ALL:
        arguments = query_arguments.arguments_for(name, query, theirs)
        async with watched(db, theirs) as watch:
            with_theirs = await watch(ours.project_id, query, theirs.owner, arguments)
            with_none = await watch(nowhere.project_id, query, nowhere, arguments)
        if with_theirs != with_none or watch.changed:
            leaks[query] = (name, with_theirs, with_none, watch.changed)
    assert leaks.keys() == NOT_SCOPED.keys(), leaks


async def test_conditions_alone_isolate_every_query(db: Database, ours: World, theirs: World):
    """Without row-level security, with ids that both projects have or that only the other has."""
    leaks = []
    for name, query in ALL:
        for target in (ours, theirs):
            arguments = query_arguments.arguments_for(name, query, target)
            async with watched(db, theirs) as watch:
                protected = await watch(ours.project_id, query, ours.owner, arguments)
                unprotected = await watch(ours.project_id, query, ours.owner, arguments, row_security=False)
            if protected != unprotected or watch.changed:
                leaks.append((name, target.word, protected, unprotected, watch.changed))
            # A query that is refused in its own project would prove nothing.
            assert target is theirs or protected != "refused", f"{name} has arguments that it refuses"
    assert leaks == []


async def test_query_without_a_project_condition_is_detected(db: Database, ours: World, theirs: World):
    async def careless(conn: Conn, scope: Scope) -> list[Any]:
        return await (await conn.execute("SELECT content FROM cw_messages WHERE conversation_id = 101")).fetchall()

    async def destructive(conn: Conn, scope: Scope) -> None:
        await conn.execute("DELETE FROM cw_messages WHERE conversation_id = 101")

    async with watched(db, theirs) as watch:
        protected = await watch(ours.project_id, careless, ours.owner, {})
        assert protected and protected != await watch(ours.project_id, careless, ours.owner, {}, row_security=False)
        await watch(ours.project_id, destructive, ours.owner, {})
        assert not watch.changed
        await watch(ours.project_id, destructive, ours.owner, {}, row_security=False)
        assert watch.changed


class Watch:
    """Execute queries, roll them back, and record whether the other project changed."""

    def __init__(self, conn: Conn, other: World, tables: list[str]):
        self.conn = conn
        self.other = other
        self.tables = tables
        self.changed = False
        self.before: list[Any] = []

    async def __call__(
        self, project_id: UUID, query: Query, scope: Scope, arguments: dict[str, Any], *, row_security: bool = True
    ) -> Any:
        """Return the result of the query in a transaction of that project."""
        async with self.conn.transaction(force_rollback=True):
            await self.conn.execute("SELECT set_config('proofdesk.project_id', %s, true)", [str(project_id)])
            try:
                async with self.conn.transaction():
                    if row_security:
                        await self.conn.execute("SET LOCAL ROLE proofdesk_app")
                    nearest = [(query_arguments.ACCOUNT, number, 0.1) for number in (101, 102, 999)]
                    await store_nearest(self.conn, nearest)
                    result = await query(self.conn, scope, **arguments)
                    rows = await result.fetchall() if isinstance(result, AsyncCursor) else result
                    result = _plain((rows, await fetch_nearest(self.conn)))
            except REFUSED:
                return "refused"
            await self.conn.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(self.conn.info.user)))
            self.changed |= self.before != await self.content()
        return result

    async def content(self) -> list[Any]:
        """Return all rows of the other project."""
        rows: list[sql.Composable] = [
            sql.SQL("SELECT md5(t::text) FROM {} t WHERE project_id = %(id)s").format(sql.Identifier(table))
            for table in self.tables
        ]
        rows.append(sql.SQL("SELECT md5(p::text) FROM projects p WHERE id = %(id)s"))
        rows.append(sql.SQL("SELECT md5(c::text) FROM source_claims c WHERE claimed_by = %(id)s"))
        cursor = await self.conn.execute(sql.SQL(" UNION ALL ").join(rows), {"id": self.other.project_id})
        return sorted(await cursor.fetchall())


@asynccontextmanager
async def watched(db: Database, other: World) -> AsyncIterator[Watch]:
    """A transaction of the owner of the tables, whom row-level security does not bind."""
    async with db.transaction() as conn:
        await conn.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(conn.info.user)))
        cursor = await conn.execute(TABLES)
        watch = Watch(conn, other, [name for (name,) in await cursor.fetchall()])
        watch.before = await watch.content()
        yield watch


def _plain(value: Any) -> Any:
    """Return the value without order, and without what differs between transactions."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {k: _plain(v) for k, v in vars(value).items() if k not in ("id", "database_bytes")}
    if isinstance(value, list | tuple):
        return sorted((_plain(v) for v in value), key=repr)
    if isinstance(value, dict):
        return {repr(k): _plain(v) for k, v in value.items()}
    return "a time" if isinstance(value, datetime) else value
