"""Fixes that several runbooks share."""

from proofdesk.runbooks.findings import Fix

SYNC = Fix("Run the Sync job.", "POST", "/jobs/chatwoot/sync", {}, "proofdesk sync")
EMBED = Fix("Run the Embeddings job.", "POST", "/jobs/embeddings/run", {}, "proofdesk embed")
RETRY_FAILED = Fix("Retry the failed chunks.", "POST", "/jobs/embeddings/retry-failed", {})
TICK = Fix("Run a scheduler tick.", "POST", "/jobs/scheduler/tick", {}, "proofdesk tick")
SMALLER = Fix("Set EMBED_BATCH_SIZE=20, then restart.")
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


def set_variable(name: str, what: str) -> Fix:
    """Return the fix that sets an environment variable. It is read at start."""
    return Fix(f"Set {name} {what}, then restart.")


def see(slug: str) -> Fix:
    """Return the fix that runs another runbook."""
    return Fix(f"Run the runbook {slug}.", "POST", f"/runbooks/{slug}/run", {}, f"proofdesk doctor {slug}")
