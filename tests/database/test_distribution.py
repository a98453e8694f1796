"""The schema can be distributed by project (docs/scaling.md)."""

import inspect
import re

import psycopg

from tests.support import query_arguments as arguments

SCOPED = """
    SELECT c.oid, c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attname = 'project_id'
"""
# Tables with a project_id that are not distributed, and why.
IN_ONE_PLACE = {
    "audit_events": "an installation has events without a project: they are distributed once those have a table",
    "audit_heads": "as audit_events",
    "incidents": "as audit_events: those of the installation have no project",
    "incident_notifications": "as incidents",
    "project_members": "who may enter which project is asked before one is entered; small, like projects itself",
}
# Indexes that do not begin with the project, and who reads them.
ACROSS_PROJECTS = {
    "project_members_user": "which projects somebody may enter",
    "scheduled_jobs_due": "the scheduler: what is due anywhere",
    "scheduled_jobs_waiting": "the scheduler: which schedules may go on",
}
REFERENCES = {"projects", "app_users", "account_scopes"}
# Functions with the rights of their owner, which row-level security does not bind, and what restricts them instead.
DEFINERS = {
    "chunks_by_status": "ACROSS PROJECTS: numbers only, for monitoring",
    "contacts_behind": "the project that the transaction has set",
    "count_chunks": "a trigger: the projects of the rows that were changed",
    "count_ended_run": "a trigger: a register of the installation, numbers only",
    "count_outbound": "a trigger: the projects of the rows that were changed",
    "count_rows": "a trigger: the projects of the rows that were changed",
    "count_terms": "a trigger: the projects of the rows that were changed",
    "find_evidence": "the project that the transaction has set",
    "gather_counts": "the project that the transaction has set",
    "member_role": "the role of one user in one project",
    "memberships": "the ids of a user's projects, from which `scope` decides what they may enter",
    "names_of": "the project that the transaction has set",
    "newest_inbound": "the project that the transaction has set",
    "note_inbound": "a trigger: the projects of the messages that arrived",
    "note_moved_conversation": "a trigger: the project of the conversation that changed its contact",
    "note_removed_contacts": "a trigger: the projects of the contacts that were removed",
    "outbound_by_status": "ACROSS PROJECTS: numbers only, for monitoring",
    "refresh_mirror_statistics": "no rows: ANALYZE",
    "refresh_search_statistics": "no rows: ANALYZE",
    "runs_under_way": "ACROSS PROJECTS: numbers only, for monitoring",
    "sent_to": "the project that the transaction has set",
    "seal_event": "a trigger: the chain of the event",
    "similar_terms": "the project that the transaction has set",
    "sync_lag": "ACROSS PROJECTS: a number, for monitoring",
    "unnote_inbound": "a trigger: the project of the message that changed",
}


# Queries of the scheduler, which sees schedules and runs of all projects (docs/decisions/application-role.md).
SCHEDULER = {
    "jobs.run_queries.active_runs_of",
    "jobs.run_state_queries.insert_scheduled_runs",
    "jobs.queue_queries.list_abandoned_jobs",
    "jobs.queue_queries.list_unqueued_runs",
    "jobs.schedule_queries.insert_missing_schedules",
    "jobs.schedule_queries.resume_unblocked",
    "jobs.schedule_queries.take_due_jobs",
}


def test_keys_of_project_tables_begin_with_the_project(owner_conn: psycopg.Connection):
    keys = owner_conn.execute(
        f"WITH scoped AS ({SCOPED}) SELECT s.relname, i.indexrelid::regclass::text, i.indkey[0], a.attnum"
        " FROM scoped s JOIN pg_index i ON i.indrelid = s.oid AND i.indisunique"
        " JOIN pg_attribute a ON a.attrelid = s.oid AND a.attname = 'project_id'"
    ).fetchall()
    assert len(keys) > 20
    assert [(t, k) for t, k, first, project in keys if first != project and t not in IN_ONE_PLACE] == []


def test_indexes_of_project_tables_begin_with_the_project(owner_conn: psycopg.Connection):
    together = owner_conn.execute(
        f"WITH scoped AS ({SCOPED}) SELECT i.indexrelid::regclass::text"
        " FROM scoped s JOIN pg_index i ON i.indrelid = s.oid"
        " JOIN pg_attribute a ON a.attrelid = s.oid AND a.attname = 'project_id'"
        " WHERE NOT a.attnum = ANY (i.indkey)"
    ).fetchall()
    assert {name for (name,) in together} == ACROSS_PROJECTS.keys()


def test_every_project_table_has_a_primary_key(owner_conn: psycopg.Connection):
    without = owner_conn.execute(
        f"WITH scoped AS ({SCOPED}) SELECT relname FROM scoped s"
        " WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = s.oid AND i.indisprimary)"
    ).fetchall()
    assert {name for (name,) in without} <= set(IN_ONE_PLACE)


def test_foreign_keys_stay_in_the_project_or_reference_tables(owner_conn: psycopg.Connection):
    keys = owner_conn.execute(
        f"WITH scoped AS ({SCOPED}) SELECT s.relname, c.confrelid::regclass::text,"
        " ARRAY(SELECT attname::text FROM unnest(c.conkey) k"
        "       JOIN pg_attribute ON attrelid = c.conrelid AND attnum = k),"
        " ARRAY(SELECT attname::text FROM unnest(c.confkey) k"
        "       JOIN pg_attribute ON attrelid = c.confrelid AND attnum = k)"
        " FROM scoped s JOIN pg_constraint c ON c.conrelid = s.oid AND c.contype = 'f'"
    ).fetchall()
    assert len(keys) > 10
    for table, target, ours, theirs in keys:
        colocated = "project_id" in ours and ours.index("project_id") == (
            theirs.index("project_id") if "project_id" in theirs else -1
        )
        assert target in REFERENCES or colocated, (table, target, ours, theirs)


def test_reference_tables_do_not_refer_to_project_tables(owner_conn: psycopg.Connection):
    rows = owner_conn.execute(
        "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f'"
        " AND conrelid::regclass::text = ANY(%s)",
        [list(REFERENCES)],
    ).fetchall()
    assert {target for _, target in rows} <= REFERENCES


def test_queries_without_scope_read_no_project_tables(owner_conn: psycopg.Connection):
    tables = {name for _, name in owner_conn.execute(SCOPED).fetchall()} - set(IN_ONE_PLACE)
    named = re.compile(rf"\b(?:FROM|JOIN|INTO|UPDATE)\s+({'|'.join(sorted(tables))})\b", re.I)
    found = {
        name: sorted(set(named.findall(inspect.getsource(query))))
        for name, query in arguments.queries(scoped=False)
        if named.search(inspect.getsource(query))
    }
    assert found.keys() == SCHEDULER


def test_security_definer_functions_are_listed(owner_conn: psycopg.Connection):
    """A function with the rights of its owner is not bound by row-level security, so each one is listed here."""
    rows = owner_conn.execute(
        "SELECT proname::text FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace"
        " AND proname !~ '^procrastinate_' ORDER BY 1"
    ).fetchall()
    assert {name for (name,) in rows} == set(DEFINERS)
