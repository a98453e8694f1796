"""The runbook of commitments names each cause."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.runbooks.installation import Installation

SLUG = "commitments-wrong"
FAULTS: dict[str, tuple[str, Callable[[Installation], Any]]] = {
    "no project": ("project", lambda i: setattr(i, "in_project", False)),
    "nothing imported": ("messages", lambda i: i.sql("DELETE FROM cw_conversations")),
    "a failed run": ("run", lambda i: i.failed_run("commitments_extract", "It broke.")),
    "messages that wait": (
        "reading",
        lambda i: i.sql("UPDATE cw_messages SET updated_at = now() - interval '1 day'"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_runbook_names_the_cause(installation: Installation, fault: str):
    cause, plant = FAULTS[fault]
    plant(installation)
    result = await installation.run(SLUG)
    assert result.cause is not None and result.cause.check == cause, result
    assert result.verdict == "problem" and result.fixes
