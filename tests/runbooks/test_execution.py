"""A runbook claims nothing that it did not check."""

import asyncio
from typing import Any

import pytest

from proofdesk.errors import Unavailable
from proofdesk.runbooks import execution
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.findings import Check, Fix, Observation, Runbook, RunbookResult, fail, ok, warn
from tests.runbooks.installation import Installation

DELETE = Fix("Delete it.", command="rm", destructive=True)
REPAIR = Fix("Repair it.", command="fix")


async def passes(_: RunbookContext) -> Observation:
    return ok("Fine.")


async def warns(_: RunbookContext) -> Observation:
    return warn("Look at this.")


async def fails(_: RunbookContext) -> Observation:
    return fail("Broken.", None, DELETE)


async def hangs(_: RunbookContext) -> Observation:
    await asyncio.sleep(60)
    return fail("Never seen.")


async def crashes(_: RunbookContext) -> Observation:
    raise TypeError("a mistake of ours")


async def is_away(_: RunbookContext) -> Observation:
    raise Unavailable("The service is away.")


async def run(installation: Installation, *observers: Any) -> RunbookResult:
    """Run a runbook of these checks."""
    checks = tuple(Check(o.__name__, o.__name__.title(), "", "It is broken.", o, REPAIR) for o in observers)
    async with installation.context() as context:
        return await execution.run_checks(context, Runbook("x", "X", "", "", checks, ()))


async def test_what_passed_and_what_was_not_checked_is_listed(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(execution, "check_seconds", lambda _: 0.05)
    result = await run(installation, passes, warns, hangs, crashes, is_away)
    assert (result.verdict, result.cause, result.incomplete) == ("ok", None, True)
    assert [u.check for u in result.unchecked] == ["hangs", "crashes", "is_away"]
    assert result.summary == "No check failed: 1 of 5 passed. To note: Warns. Not checked: Hangs, Crashes, Is_Away."
    assert result.unchecked[2].reason == "The service is away."


async def test_nothing_checked_is_not_nothing_wrong(installation: Installation):
    result = await run(installation, is_away)
    assert result.summary == "Nothing could be checked. Not checked: Is_Away."


async def test_destructive_fixes_come_last(installation: Installation):
    result = await run(installation, fails, warns, passes)
    assert [fix.label for fix in result.fixes] == ["Repair it.", "Delete it."]
    assert result.summary == "It is broken."


async def test_checks_wait_as_long_as_the_product(installation: Installation):
    installation.set(openai_timeout_ms=90_000, chatwoot_timeout_seconds=10)
    async with installation.context() as context:
        assert execution.check_seconds(context.settings) > 90
    installation.set(chatwoot_timeout_seconds=60)
    async with installation.context() as context:
        assert execution.check_seconds(context.settings) > 180
