"""Faults that cause jobs that do not run, each with the check that names it."""

from collections.abc import Callable
from typing import Any

from tests.runbooks.installation import Installation

SLUG = "scheduler-worker-failing"
LOST = (
    "INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger, status, heartbeat_at, started_at)"
    " VALUES (%(project)s, %(account_scope)s, 'chatwoot_sync', 'schedule', 'running', now() - interval '1 hour', now())"
)
OPENAI = '{"upstream": {"service": "openai", "method": "POST", "endpoint": "/v1/embeddings", "status": 401}}'
FAULTS: dict[str, tuple[str, Callable[[Installation], Any]]] = {
    "an old schema": ("database", lambda i: i.sql("DELETE FROM schema_migrations WHERE name LIKE '0005%%'")),
    "no worker": ("worker", lambda i: i.sql("DELETE FROM procrastinate_workers")),
    "a silent worker": (
        "worker",
        lambda i: i.sql("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'"),
    ),
    "a lost run": ("lost-runs", lambda i: i.sql(LOST)),
    "no source": (
        "sources",
        lambda i: (
            i.set(chatwoot_account_id=None),
            i.sql("DELETE FROM project_sources"),
            i.sql("DELETE FROM source_claims"),
        ),
    ),
    "a paused schedule": (
        "paused",
        lambda i: i.sql(
            "UPDATE scheduled_jobs SET status = 'paused', paused_cause = 'workers_lost',"
            " last_error = 'Ten workers were lost.' WHERE job_type = 'chatwoot_sync'"
        ),
    ),
    "a failed run": ("runs", lambda i: i.failed_run("embeddings_run", "The key was refused.", OPENAI)),
    "a schedule with an error": (
        "last-errors",
        lambda i: i.sql("UPDATE scheduled_jobs SET last_error = 'It broke.' WHERE job_type = 'chatwoot_sync'"),
    ),
    "an overdue schedule": (
        "overdue",
        lambda i: i.sql("UPDATE scheduled_jobs SET next_run_at = now() - interval '1 hour'"),
    ),
}
