"""Runs of jobs, inserted as a worker would leave them."""

from uuid import UUID

import psycopg

from tests.support.server import Cast


def project_of(cast: Cast) -> UUID:
    assert cast.member.project_id is not None
    return cast.member.project_id


def insert_run(conn: psycopg.Connection, project: UUID, status: str, **more: str) -> UUID:
    row = conn.execute(
        "INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger, status, started_at, heartbeat_at,"
        " finished_at, error, error_details, progress)"
        " SELECT id, account_scope_id, 'chatwoot_sync', 'manual', %(status)s, now(), now(),"
        " CASE WHEN %(status)s = 'running' THEN NULL ELSE now() END,"
        " %(error)s, %(error_details)s, %(progress)s FROM projects WHERE id = %(project)s RETURNING id",
        {"error": None, "error_details": None, "progress": None} | more | {"project": project, "status": status},
    ).fetchone()
    assert row is not None
    return row[0]
