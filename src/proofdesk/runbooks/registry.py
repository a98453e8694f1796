"""All runbooks, and running one. A run changes nothing."""

import asyncio
from collections.abc import Iterable

from proofdesk import logging
from proofdesk.errors import NotFound, ProofdeskError
from proofdesk.jobs import catalog
from proofdesk.runbooks.checks import auth, chatwoot, embeddings, outbound, scheduler, search, signup
from proofdesk.runbooks.context import CheckSkippedError, RunbookContext
from proofdesk.runbooks.findings import Cause, Check, Finding, Fix, Observation, Runbook, RunbookResult, fail, skip

log = logging.get_logger(__name__)

CHECK_TIMEOUT_SECONDS = 8.0
"""Time limit of one check."""

_MODULES = (search, chatwoot, auth, scheduler, embeddings, signup, outbound)
_RUNBOOKS: dict[str, Runbook] = {module.RUNBOOK.slug: module.RUNBOOK for module in _MODULES}

_ERROR_CODES = {
    "auth-loop": "unauthorized csrf_invalid login_rate_limited",
    "search-returns-no-results": "active_project_required",
    "chatwoot-sync-fails": "chatwoot_not_configured chatwoot_source_binding_error source_already_bound",
    "scheduler-worker-failing": "worker_lost worker_silent database_not_migrated",
    "embeddings-fail": "openai_not_configured embedding_unavailable",
    "signup-disabled": "telegram_not_configured telegram_owner_not_bound telegram_send_failed signup_rate_limited "
    "invalid_webhook_secret webhook_rate_limited",
    "outbound-blocked": "outbound_blocked_opt_out outbound_blocked_stop_on_reply frequency_cap_reached "
    "outbound_invalid_state four_eyes_required",
}
_BY_CODE = {code: slug for slug, codes in _ERROR_CODES.items() for code in codes.split()}
_BY_CODE |= {job.failure_code: job.runbook for job in (catalog.SYNC, catalog.EMBED, catalog.OUTBOUND)}


class RunbookNotFound(NotFound):
    """No runbook has this slug."""

    code = "runbook_not_found"


def list_runbooks() -> list[Runbook]:
    """Return every runbook, the most common incidents first."""
    return list(_RUNBOOKS.values())


def get_runbook(slug: str) -> Runbook:
    """Return a runbook. Raises `RunbookNotFound`."""
    if slug not in _RUNBOOKS:
        raise RunbookNotFound(f"No runbook `{slug}`. Choose one of: {', '.join(_RUNBOOKS)}.")
    return _RUNBOOKS[slug]


def runbook_for_error(code: str, cause: object = None) -> str | None:
    """Return the slug of the runbook for an error's cause, else for its code. None if there is none."""
    return _BY_CODE.get(str(cause)) or _BY_CODE.get(code)


async def run_checks(context: RunbookContext, runbook: Runbook) -> RunbookResult:
    """Run all checks concurrently. Each has `CHECK_TIMEOUT_SECONDS`; one that fails does not affect the others."""
    try:
        observations = await asyncio.gather(*(_observe(context, check) for check in runbook.checks))
    finally:
        await context.close()
    return _result(runbook, list(zip(runbook.checks, observations, strict=True)))


async def _observe(context: RunbookContext, check: Check) -> Observation:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            return await check.observe(context)
    except CheckSkippedError as reason:
        return skip(str(reason))
    except TimeoutError:
        return fail(f"No result within {CHECK_TIMEOUT_SECONDS:.0f} seconds.")
    except ProofdeskError as error:
        return fail(error.message)
    except Exception as error:
        log.exception("A check raised an error.", check=check.id)
        return fail(f"The check raised {type(error).__name__}. See the log of Proofdesk.")


def _result(runbook: Runbook, observed: list[tuple[Check, Observation]]) -> RunbookResult:
    failed = next(((check, observation) for check, observation in observed if observation.status == "fail"), None)
    return RunbookResult(
        slug=runbook.slug,
        title=runbook.title,
        verdict="problem" if failed else "ok",
        cause=Cause(failed[0].id, failed[1].cause or failed[0].cause) if failed else None,
        checks=tuple(_finding(check, observation) for check, observation in observed),
        fixes=tuple(_distinct(fix for status in ("fail", "warn") for fix in _fixes(observed, status))),
    )


def _finding(check: Check, observation: Observation) -> Finding:
    fixes = (observation.fixes or check.fixes) if observation.status in ("fail", "warn") else ()
    labels = " ".join(fix.label for fix in fixes)
    return Finding(check.id, check.title, observation.status, observation.observed, check.expected, labels)


def _fixes(observed: list[tuple[Check, Observation]], status: str) -> Iterable[Fix]:
    for check, observation in observed:
        if observation.status == status:
            yield from observation.fixes or check.fixes


def _distinct(fixes: Iterable[Fix]) -> list[Fix]:
    return list({fix.label: fix for fix in fixes}.values())
