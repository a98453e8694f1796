"""Fixes that several runbooks share."""

from proofdesk.runbooks.findings import Fix

SYNC = Fix("Run the Sync job.", "POST", "/jobs/chatwoot/sync", {}, "proofdesk sync")
EMBED = Fix("Run the Embeddings job.", "POST", "/jobs/embeddings/run", {}, "proofdesk embed")
RETRY_FAILED = Fix("Retry the failed chunks.", "POST", "/jobs/embeddings/retry-failed", {}, "proofdesk chunk retry")
RECONCILE = Fix("Run the Reconcile job.", "POST", "/jobs/chatwoot/reconcile", {}, "proofdesk reconcile")
PROCESS = Fix("Send due messages.", "POST", "/outbound/process", {})
TICK = Fix("Run a scheduler tick.", "POST", "/jobs/scheduler/tick", {}, "proofdesk tick")
MIGRATE = Fix("Migrate the database.", command="proofdesk migrate")
WORKER = Fix("Start a worker, or run `proofdesk up`, which includes one.", command="proofdesk worker")
CREATE_PROJECT = Fix("Create a project.", "POST", "/projects", {"name": "…"}, "proofdesk project create NAME")
SELECT_PROJECT = Fix("Select a project.", "POST", "/projects/{id}/select", {})
BIND = Fix(
    "Bind a Chatwoot account or inbox to the project.",
    "POST",
    "/projects/{id}/sources",
    {"source_kind": "chatwoot_account", "external_id": "…"},
    "proofdesk source bind ACCOUNT[:INBOX]",
)


ENVIRONMENT_FILE = "/etc/proofdesk/env"
RESTART = "systemctl restart 'proofdesk-*'"


def set_variable(name: str, what: str) -> Fix:
    """Return the fix that sets an environment variable. It is read at start."""
    return Fix(f"Set {f'{name} {what}'.strip()}, then restart.", command=f"editor {ENVIRONMENT_FILE} && {RESTART}")


SMALLER = set_variable("EMBED_BATCH_SIZE=20", "")


def see(slug: str) -> Fix:
    """Return the fix that runs another runbook."""
    return Fix(f"Run the runbook {slug}.", "POST", f"/runbooks/{slug}/run", {}, f"proofdesk doctor {slug}")
