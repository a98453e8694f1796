"""Faults that cause workers that hang or run with other settings, each with the check that names it."""

from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from tests.runbooks.installation import Installation

SLUG = "scheduler-worker-failing"
OLD = "UPDATE worker_runs SET finished_at = now() - interval '3 days' WHERE job_type = '{}'"
STUCK = (
    "INSERT INTO worker_runs (project_id, account_scope_id, job_type, trigger, status, runner, started_at,"
    " progressed_at, heartbeat_at) VALUES (%(project)s, %(account_scope)s, 'chatwoot_sync', 'schedule', 'running',"
    " 'desk:4711:1.00', now() - interval '2 hours', now() - interval '1 hour', now())"
)


def worker_with(**settings: Any) -> Callable[[Installation], None]:
    """Return a fault: the worker runs with other settings."""
    return lambda i: i.set_worker(**(i.settings | settings))


FAULTS: dict[str, tuple[str, Callable[[Installation], Any]]] = {
    "a worker with another token": ("worker-settings", worker_with(chatwoot_api_token=SecretStr("other"))),
    "a worker with another model": ("worker-settings", worker_with(embedding_model="text-embedding-3-large")),
    "a worker of another version": (
        "worker-settings",
        lambda i: i.sql("UPDATE worker_processes SET version = '0.0.1'"),
    ),
    "a run without progress": ("stuck-runs", lambda i: i.sql(STUCK)),
    "a next run in a year": (
        "next-runs",
        lambda i: i.sql("UPDATE scheduled_jobs SET next_run_at = now() + interval '1 year'"),
    ),
    "a sync of three days ago": ("age", lambda i: i.sql(OLD.format("chatwoot_sync"))),
    "embeddings of three days ago": ("age", lambda i: i.sql(OLD.format("embeddings_run"))),
    "nothing was ever sent": (
        "age",
        lambda i: i.sql("UPDATE projects SET created_at = now() - interval '1 day'"),
    ),
    "a schedule that is gone": ("age", lambda i: i.sql("DELETE FROM scheduled_jobs WHERE job_type = 'chatwoot_sync'")),
    "a pause that nobody made": (
        "paused",
        lambda i: i.sql("UPDATE scheduled_jobs SET status = 'paused' WHERE job_type = 'chatwoot_sync'"),
    ),
}
