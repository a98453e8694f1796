"""Run the checks of a runbook. A run changes nothing, and claims nothing that it did not check."""

import asyncio
from collections.abc import Iterable, Sequence

from proofdesk import logging
from proofdesk.errors import ProofdeskError, Unavailable
from proofdesk.runbooks import database_probe
from proofdesk.runbooks.context import CheckSkippedError, RunbookContext
from proofdesk.runbooks.findings import (
    Cause,
    Check,
    Finding,
    Fix,
    Observation,
    Runbook,
    RunbookResult,
    Unchecked,
    fail,
    skip,
    unfinished,
)
from proofdesk.settings import Settings

log = logging.get_logger(__name__)

_MARGIN_SECONDS = 5.0
_REQUESTS = 3  # of one check, to Chatwoot
_DATABASE = "database"
_NO_DATABASE = "The database cannot be used."
Observed = tuple[Check, Observation]


def check_seconds(settings: Settings) -> float:
    """Return the time limit of a check: what the product itself would wait for the services that the check needs."""
    longest = max(_REQUESTS * settings.chatwoot_timeout_seconds, settings.openai_timeout_ms / 1000)
    return max(longest, database_probe.TIMEOUT_SECONDS) + _MARGIN_SECONDS


async def run_checks(context: RunbookContext, runbook: Runbook) -> RunbookResult:
    """Run all checks of a runbook concurrently."""
    [result] = await run_all(context, [runbook])
    return result


async def run_all(context: RunbookContext, runbooks: Sequence[Runbook]) -> list[RunbookResult]:
    """Run runbooks concurrently. A check that does not end, or whose service fails, is not checked."""
    observed = await observe_all(context, runbooks)
    return [_result(runbook, observations) for runbook, observations in zip(runbooks, observed, strict=True)]


async def observe_all(context: RunbookContext, runbooks: Sequence[Runbook]) -> list[list[Observed]]:
    """Return what the checks of each runbook observe, in their order."""
    try:
        state = await context.load_once(database_probe.probe_database)
        if state.closed is not None:
            context.close_database(state.closed)
        return await asyncio.gather(*(_observe_runbook(context, runbook) for runbook in runbooks))
    finally:
        await context.close()


async def _observe_runbook(context: RunbookContext, runbook: Runbook) -> list[Observed]:
    observations = await asyncio.gather(*(_observe(context, check) for check in runbook.checks))
    return list(zip(runbook.checks, observations, strict=True))


async def _observe(context: RunbookContext, check: Check) -> Observation:
    seconds = check_seconds(context.settings)
    try:
        async with asyncio.timeout(seconds):
            return await check.observe(context)
    except CheckSkippedError as reason:
        return skip(str(reason))
    except TimeoutError:
        return unfinished(f"No result within {seconds:.0f} seconds.")
    except Unavailable as error:
        return unfinished(_NO_DATABASE if error.code.startswith(_DATABASE) else error.message)
    except ProofdeskError as error:
        return fail(error.message)
    except Exception as error:
        log.exception("A check raised an error.", check=check.id)
        return unfinished(f"The check raised {type(error).__name__}. See the log of Proofdesk.")


def _result(runbook: Runbook, observed: list[Observed]) -> RunbookResult:
    failed = next(((check, observation) for check, observation in observed if observation.status == "fail"), None)
    cause = Cause(failed[0].id, failed[1].cause or failed[0].cause) if failed else None
    unchecked = tuple(Unchecked(c.id, c.title, o.observed) for c, o in observed if o.status == "skip")
    return RunbookResult(
        slug=runbook.slug,
        title=runbook.title,
        verdict="problem" if cause else "ok",
        summary=cause.message if cause else _summarize(observed, unchecked),
        cause=cause,
        checks=tuple(_finding(check, observation) for check, observation in observed),
        unchecked=unchecked,
        incomplete=any(observation.incomplete for _, observation in observed),
        fixes=tuple(_fixes(observed)),
    )


def _summarize(observed: list[Observed], unchecked: tuple[Unchecked, ...]) -> str:
    """Return what the checks prove when none of them failed."""
    warnings = [check.title for check, observation in observed if observation.status == "warn"]
    passed = len(observed) - len(warnings) - len(unchecked)
    text = f"No check failed: {passed} of {len(observed)} passed." if passed else "Nothing could be checked."
    text += f" To note: {', '.join(warnings)}." if warnings else ""
    return f"{text} Not checked: {', '.join(skipped.title for skipped in unchecked)}." if unchecked else text


def _finding(check: Check, observation: Observation) -> Finding:
    fix = (observation.fix or check.fix).label if observation.status in ("fail", "warn") else ""
    return Finding(check.id, check.title, observation.status, observation.observed, check.expected, fix)


def _fixes(observed: list[Observed]) -> Iterable[Fix]:
    """Return one fix of each failure and each warning, without duplicates; destructive ones last."""
    fixes = [o.fix or c.fix for status in ("fail", "warn") for c, o in observed if o.status == status]
    return sorted({fix.label: fix for fix in fixes}.values(), key=lambda fix: fix.destructive)
