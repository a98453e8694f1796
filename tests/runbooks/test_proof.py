"""Every planted fault is named, none is reported as "nothing is wrong", and following the fixes repairs it."""

import pytest

from tests.runbooks import (
    faults_auth,
    faults_chatwoot,
    faults_embeddings,
    faults_outbound,
    faults_scheduler,
    faults_search,
    faults_signup,
    faults_workers,
)
from tests.runbooks.installation import Installation, add_message
from tests.runbooks.operator import Operator

TABLES = (
    faults_auth,
    faults_chatwoot,
    faults_scheduler,
    faults_workers,
    faults_embeddings,
    faults_signup,
    faults_search,
    faults_outbound,
)
CASES = [(module, fault) for module in TABLES for fault in module.FAULTS]
NOT_REPAIRED = {
    "no such message",  # a person copies the id
    "blocked",  # the contact has to agree
    "a cap that was noted",  # the window has to end
    "too many signups",  # the window has to end
    "another PIN secret",  # the signups that wait have to expire
    "nothing was ever sent",  # the next run of the schedule
    "a first sync that is not over",  # 45 seconds, after which a worker queues a run without a job again
}
"""Faults whose fix is a decision of a person, or says that time has to pass."""


@pytest.mark.parametrize(("module", "fault"), CASES, ids=lambda value: getattr(value, "SLUG", value))
async def test_a_fault_is_named_and_its_fixes_repair_it(installation: Installation, mail_server, module, fault: str):
    if module is faults_outbound:
        add_message(installation, mail_server[1])
    operator = Operator(installation, dict(installation.settings))
    cause, plant = module.FAULTS[fault]
    plant(installation)
    try:
        result = await installation.run(module.SLUG)
        assert result.cause is not None and result.cause.check == cause, result
        assert result.verdict == "problem" and result.fixes and "No check failed" not in result.summary
        if fault not in NOT_REPAIRED:
            repaired = await operator.repair(module.SLUG)
            assert repaired.cause is None, (operator.followed, repaired.cause)
    finally:
        operator.restore_migrations()


def test_at_least_100_faults_are_planted():
    assert len(CASES) >= 100
    assert len(NOT_REPAIRED) <= 0.1 * len(CASES)
