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
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.projects.scope import Scope
from tests.support import query_arguments as arguments
from tests.support.near import keep, kept
from tests.support.query_arguments import Query
from tests.support.worlds import TABLES, World

REFUSED = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ForeignKeyViolation, AssertionError)

# These tables have no row-level security, since a project must be found before it is entered. They hold its name and
# the Chatwoot ids that it claims; `scope` and the conditions in SQL protect them.
NOT_SCOPED = {
    "projects.queries.hold": "projects",
    "projects.queries.rename": "projects",
    "projects.queries.archive": "projects",
    "projects.source_queries.claim": "source_claims",
    "projects.source_queries.was_ever_bound": "projects",
    "runbooks.queries.project_name": "projects",
}
# Query functions without a scope, and why they need none; those of `auth` are about people.
NO_SCOPE = {
    "audit.queries.see_own": "lets a transaction see a person's own events",
    "audit.queries.see_installation": "lets a transaction see events that have no project",
    "projects.queries.project_names": "the names of all projects, for commands of the owner",
    "audit.queries.head": "a project's by id, in a transaction that is inside it, or the installation's",
    "audit.queries.links": "as `head`",
    "chatwoot.queries.refresh_statistics": "tells the planner how big tables are",
    "indexing.chunk_queries.refresh_statistics": "as that",
    "outbound.attempt_queries.clock": "the time",
    "outbound.unsubscribe_queries.link_key": "a setting of the installation",
    "outbound.unsubscribe_queries.make_link_key": "a setting of the installation",
    **dict.fromkeys(
        (
            "dashboard.metrics_queries.run_totals",
            "dashboard.metrics_queries.active_runs",
            "dashboard.metrics_queries.queue_depth",
            "dashboard.metrics_queries.sync_lag",
            "dashboard.metrics_queries.chunks_by_status",
            "dashboard.metrics_queries.outbound_by_status",
        ),
        "numbers of the whole installation, and nothing else",
    ),
    "projects.queries.visible_projects": "which projects an actor may enter",
    "projects.queries.visible_project": "whether an actor may enter a project: this is what a scope is made from",
    "projects.queries.named_projects": "for the terminal, whose user is the owner",
    "projects.queries.ensure_account_scope": "before there is a project",
    "projects.queries.insert_project": "before there is a project",
    "projects.queries.go_into": "into the project that was just made",
    "projects.queries.keeps": "whether an actor looks after a project",
    "projects.queries.user": "an account by name",
    "projects.queries.add_member": "also to a project that was just made; row security demands to be inside it",
    "projects.source_queries.lock_account": "a lock",
    **dict.fromkeys(
        (
            "jobs.run_queries.active_runs_of",
            "jobs.run_queries.insert_scheduled_runs",
            "jobs.run_queries.running_runs",
            "jobs.run_queries.unqueued_runs",
            "jobs.schedule_queries.insert_missing_schedules",
            "jobs.schedule_queries.resume_unblocked",
            "jobs.schedule_queries.show_all_projects",
            "jobs.schedule_queries.take_due_jobs",
        ),
        "the scheduler: schedules and runs of all projects, after `show_all_projects`",
    ),
    "audit.queries.insert_events_of_projects": "the scheduler: events of runs that it queued, each with its project",
    "runbooks.queries.clock": "the time",
    "runbooks.queries.limits": "counters of the installation",
    "jobs.run_queries.listen": "ids of runs that change, of all projects",
    "jobs.run_queries.insert_worker": "workers serve all projects",
    "jobs.run_queries.beat_worker": "workers serve all projects",
    "jobs.run_queries.delete_worker": "workers serve all projects",
    "conversations.totals_queries.gather_counts": "of the transaction's project, by the function in the database",
    "dashboard.status_queries.worker_status": "workers serve all projects",
    "dashboard.status_queries.applied_migrations": "the schema",
    "search.queries.similar_terms": "of the transaction's project, by the function in the database",
}
ALL = list(arguments.queries())


async def test_every_project_table_has_rows_of_both_worlds(owner_conn: psycopg.Connection, ours: World, theirs: World):
    for (table,) in owner_conn.execute(TABLES).fetchall():
        for world in (ours, theirs):
            count = owner_conn.execute(
                sql.SQL("SELECT count(*) FROM {} WHERE project_id = %s").format(sql.Identifier(table)),
                [world.project_id],
            ).fetchone()
            assert count != (0,), f"{table} has no row of {world.keeper}: add one in tests/isolation/worlds.py"


def test_query_functions_without_scope_are_listed():
    found = {name for name, _ in arguments.queries(scoped=False) if not name.startswith("auth.")}
    assert found == set(NO_SCOPE)


async def test_row_security_alone_isolates_every_query(db: Database, ours: World, theirs: World):
    """With the scope of another project, in a transaction of the own: as if the other project did not exist."""
    nowhere = Scope(events.system_actor(), uuid4(), uuid4())
    guilty = []
    for name, query in ALL:
        given = arguments.filled(name, query, theirs)
        async with watched(db, theirs) as watch:
            there = await watch(ours.project_id, query, theirs.keeper, given)
            void = await watch(nowhere.project_id, query, nowhere, given)
        if there != void or watch.changed:
            guilty.append((name, there, void, watch.changed))
    assert sorted(name for name, *_ in guilty) == sorted(NOT_SCOPED), guilty


async def test_conditions_alone_isolate_every_query(db: Database, ours: World, theirs: World):
    """Without row-level security, with ids that both projects have or that only the other has."""
    guilty = []
    for name, query in ALL:
        for aim in (ours, theirs):
            given = arguments.filled(name, query, aim)
            async with watched(db, theirs) as watch:
                with_wall = await watch(ours.project_id, query, ours.keeper, given)
                without = await watch(ours.project_id, query, ours.keeper, given, wall=False)
            if with_wall != without or watch.changed:
                guilty.append((name, aim.word, with_wall, without, watch.changed))
            # A query that is refused in its own project would prove nothing.
            assert aim is theirs or with_wall != "refused", f"{name} was given what it cannot do"
    assert guilty == []


async def test_query_without_a_project_condition_is_detected(db: Database, ours: World, theirs: World):
    async def careless(conn: Conn, scope: Scope) -> list[Any]:
        return await (await conn.execute("SELECT content FROM cw_messages WHERE conversation_id = 101")).fetchall()

    async def destructive(conn: Conn, scope: Scope) -> None:
        await conn.execute("DELETE FROM cw_messages WHERE conversation_id = 101")

    async with watched(db, theirs) as watch:
        with_wall = await watch(ours.project_id, careless, ours.keeper, {})
        assert with_wall and with_wall != await watch(ours.project_id, careless, ours.keeper, {}, wall=False)
        await watch(ours.project_id, destructive, ours.keeper, {})
        assert not watch.changed
        await watch(ours.project_id, destructive, ours.keeper, {}, wall=False)
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
        self, project_id: UUID, query: Query, inside: Scope, given: dict[str, Any], *, wall: bool = True
    ) -> Any:
        """Return the result of the query in a transaction of that project."""
        async with self.conn.transaction(force_rollback=True):
            await self.conn.execute("SELECT set_config('proofdesk.project_id', %s, true)", [str(project_id)])
            try:
                async with self.conn.transaction():
                    if wall:
                        await self.conn.execute("SET LOCAL ROLE proofdesk_app")
                    await keep(self.conn, [(arguments.ACCOUNT, number, 0.1) for number in (101, 102, 999)])
                    found = await query(self.conn, inside, **given)
                    rows = await found.fetchall() if isinstance(found, AsyncCursor) else found
                    found = _plain((rows, await kept(self.conn)))
            except REFUSED:
                return "refused"
            await self.conn.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(self.conn.info.user)))
            self.changed |= self.before != await self.content()
        return found

    async def content(self) -> list[Any]:
        """Return all rows of the other project."""
        rows: list[sql.Composable] = [
            sql.SQL("SELECT md5(t::text) FROM {} t WHERE project_id = %(id)s").format(sql.Identifier(table))
            for table in self.tables
        ]
        rows.append(sql.SQL("SELECT md5(p::text) FROM projects p WHERE id = %(id)s"))
        rows.append(sql.SQL("SELECT md5(c::text) FROM source_claims c WHERE claimed_by = %(id)s"))
        found = await self.conn.execute(sql.SQL(" UNION ALL ").join(rows), {"id": self.other.project_id})
        return sorted(await found.fetchall())


@asynccontextmanager
async def watched(db: Database, other: World) -> AsyncIterator[Watch]:
    """A transaction of the owner of the tables, whom row-level security does not bind."""
    async with db.transaction() as conn:
        await conn.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(conn.info.user)))
        found = await conn.execute(TABLES)
        watch = Watch(conn, other, [name for (name,) in await found.fetchall()])
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
