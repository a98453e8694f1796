"""The book: all runbooks, and how one is run. Running changes nothing."""

import asyncio
from collections.abc import Iterable

from proofdesk import logging
from proofdesk.errors import NotFound, ProofdeskError
from proofdesk.jobs import catalog
from proofdesk.runbooks.checks import auth, chatwoot, embeddings, outbound, scheduler, search, signup
from proofdesk.runbooks.context import CheckSkippedError, RunbookContext
from proofdesk.runbooks.findings import Cause, Check, RunbookResult, Finding, Fix, Runbook, Observation, fail, skip

log = logging.get_logger(__name__)

CHECK_TIMEOUT_SECONDS = 8.0
"""Seconds for one check."""

_ROOMS = (search, chatwoot, auth, scheduler, embeddings, signup, outbound)
_RUNBOOKS: dict[str, Runbook] = {room.RUNBOOK.slug: room.RUNBOOK for room in _ROOMS}


_OF_ERROR = {
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
_BY_CODE = {code: slug for slug, codes in _OF_ERROR.items() for code in codes.split()}
_BY_CODE |= {job.failure_code: job.runbook for job in (catalog.SYNC, catalog.EMBED, catalog.OUTBOUND)}


class RunbookNotFound(NotFound):
    """There is no runbook of that name."""

    code = "runbook_not_found"


def list_runbooks() -> list[Runbook]:
    """Every runbook, in the order in which people meet the incidents."""
    return list(_RUNBOOKS.values())


def get_runbook(slug: str) -> Runbook:
    """One runbook. Raises `RunbookNotFound`."""
    if slug not in _RUNBOOKS:
        raise RunbookNotFound(f"There is no such runbook. There are: {', '.join(_RUNBOOKS)}.")
    return _RUNBOOKS[slug]


def runbook_for_error(code: str, cause: object = None) -> str | None:
    """The slug of the runbook for an error, or for its cause when that is known; None when there is none."""
    return _BY_CODE.get(str(cause)) or _BY_CODE.get(code)


async def run_checks(case: RunbookContext, runbook: Runbook) -> RunbookResult:
    """Run every check at the same time; each has `LIMIT` seconds and cannot break the others."""
    try:
        seen = await asyncio.gather(*(_seen(case, check) for check in runbook.checks))
    finally:
        await case.close()
    return _diagnosis(runbook, list(zip(runbook.checks, seen, strict=True)))


async def _seen(case: RunbookContext, check: Check) -> Observation:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            return await check.observe(case)
    except CheckSkippedError as reason:
        return skip(str(reason))
    except TimeoutError:
        return fail(f"No answer within {CHECK_TIMEOUT_SECONDS:.0f} seconds.")
    except ProofdeskError as error:
        return fail(error.message)
    except Exception as error:
        log.exception("check crashed", check=check.id)
        return fail(f"The check itself broke ({type(error).__name__}); the log of Proofdesk tells how.")


def _diagnosis(runbook: Runbook, seen: list[tuple[Check, Observation]]) -> RunbookResult:
    failed = next(((check, look) for check, look in seen if look.status == "fail"), None)
    return RunbookResult(
        slug=runbook.slug,
        title=runbook.title,
        verdict="problem" if failed else "ok",
        cause=Cause(failed[0].id, failed[1].cause or failed[0].cause) if failed else None,
        checks=tuple(_finding(check, look) for check, look in seen),
        fixes=tuple(_distinct(fix for status in ("fail", "warn") for fix in _fixes(seen, status))),
    )


def _finding(check: Check, look: Observation) -> Finding:
    fixes = (look.fixes or check.fixes) if look.status in ("fail", "warn") else ()
    told = " ".join(fix.label for fix in fixes)
    return Finding(check.id, check.title, look.status, look.observed, check.expected, told)


def _fixes(seen: list[tuple[Check, Observation]], status: str) -> Iterable[Fix]:
    for check, look in seen:
        if look.status == status:
            yield from look.fixes or check.fixes


def _distinct(fixes: Iterable[Fix]) -> list[Fix]:
    return list({fix.label: fix for fix in fixes}.values())
