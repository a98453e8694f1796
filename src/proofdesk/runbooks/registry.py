"""All runbooks: by slug, and by the error that leads to them."""

from proofdesk.errors import NotFound
from proofdesk.jobs import catalog
from proofdesk.runbooks.checks import (
    auth,
    chatwoot,
    commitments,
    database,
    embeddings,
    outbound,
    scheduler,
    search,
    signup,
)
from proofdesk.runbooks.findings import Runbook

_MODULES = (search, chatwoot, auth, scheduler, embeddings, signup, outbound, commitments, database)
_RUNBOOKS: dict[str, Runbook] = {module.RUNBOOK.slug: module.RUNBOOK for module in _MODULES}

_ERROR_CODES = {
    "auth-loop": "unauthorized csrf_invalid login_rate_limited",
    "search-returns-no-results": "active_project_required",
    "chatwoot-sync-fails": "chatwoot_not_configured chatwoot_source_binding_error source_already_bound",
    "scheduler-worker-failing": "worker_lost worker_silent",
    "database-and-disk": "database_unavailable database_not_migrated",
    "embeddings-fail": "openai_not_configured embedding_unavailable",
    "signup-disabled": "telegram_not_configured telegram_owner_not_bound telegram_send_failed signup_rate_limited "
    "invalid_webhook_secret webhook_rate_limited",
    "outbound-blocked": "outbound_blocked_opt_out outbound_blocked_stop_on_reply frequency_cap_reached "
    "outbound_invalid_state four_eyes_required outbound_kill_switch_on outbound_reply_unconfirmed outbound_suppressed",
}
_BY_CODE = {code: slug for slug, codes in _ERROR_CODES.items() for code in codes.split()}
_BY_CODE |= {
    job.failure_code: job.runbook for job in (catalog.SYNC, catalog.EMBED, catalog.OUTBOUND, catalog.COMMITMENTS)
}


class RunbookNotFound(NotFound):
    """No runbook has this slug."""

    code = "runbook_not_found"


def list_runbooks() -> list[Runbook]:
    """Return every runbook, the most common incidents first."""
    return list(_RUNBOOKS.values())


def list_watched() -> list[Runbook]:
    """Return the runbooks whose failing checks open incidents. Those that others refer to are first."""
    return sorted((r for r in _RUNBOOKS.values() if r.watched), key=lambda r: r.per_project)


def get_runbook(slug: str) -> Runbook:
    """Return a runbook. Raises `RunbookNotFound`."""
    if slug not in _RUNBOOKS:
        raise RunbookNotFound(f"No runbook `{slug}`. Choose one of: {', '.join(_RUNBOOKS)}.")
    return _RUNBOOKS[slug]


def runbook_for_error(code: str, cause: object = None) -> str | None:
    """Return the slug of the runbook for an error's cause, else for its code. None if there is none."""
    return _BY_CODE.get(str(cause)) or _BY_CODE.get(code)
