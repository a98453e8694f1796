"""Problems: which failing checks of a watch are worth an incident. One fault fails many checks."""

from collections.abc import Sequence
from dataclasses import dataclass

from proofdesk.runbooks.checks import workers
from proofdesk.runbooks.execution import Observed
from proofdesk.runbooks.findings import Check, Finding, Fix, Observation, Runbook

_ROOT = workers.ALIVE
"""Without a worker everything else fails sooner or later, so nothing else is reported."""


@dataclass(frozen=True)
class ObservedRunbook:
    """A runbook, and what its checks observed, in their order."""

    runbook: Runbook
    checks: Sequence[Observed]


@dataclass(frozen=True)
class Problem:
    """The failing check that explains why a runbook fails. `shared`: it concerns the whole installation.

    `findings` are the checks of the runbook that failed or warn.
    """

    runbook: str
    check: str
    title: str
    cause: str
    fix: Fix
    shared: bool
    is_symptom: bool
    findings: tuple[Finding, ...]


def find_problems(observed: Sequence[ObservedRunbook]) -> list[Problem]:
    """Return the problems, without those that another one explains."""
    causes = [(each, cause) for each in observed if (cause := _cause(each)) is not None]
    if root := [(each, cause) for each, cause in causes if cause[0] is _ROOT]:
        return [_problem(*root[0])]
    failing = {each.runbook.slug for each, _ in causes}
    problems = dict[tuple[str, str], Problem]()
    for each, (check, observation) in causes:
        if _referred(observation.fix or check.fix) not in failing - {each.runbook.slug}:
            problem = _problem(_first_with(check, observed), (check, observation))
            problems.setdefault((problem.runbook, problem.check), problem)
    return list(problems.values())


def _first_with(check: Check, observed: Sequence[ObservedRunbook]) -> ObservedRunbook:
    """Return the first runbook with that check: several may have the same one."""
    return next(each for each in observed if any(c is check for c, _ in each.checks))


def _cause(observed: ObservedRunbook) -> Observed | None:
    """Return the first check that fails, one that is no mere symptom before others."""
    failed = [(check, o) for check, o in observed.checks if o.status == "fail" and check.alerts != "never"]
    return min(failed, key=lambda each: each[0].alerts == "symptom", default=None)


def _problem(observed: ObservedRunbook, cause: Observed) -> Problem:
    check, observation = cause
    return Problem(
        observed.runbook.slug,
        check.id,
        check.title,
        observation.cause or check.cause,
        observation.fix or check.fix,
        check.shared or not observed.runbook.per_project,
        check.alerts == "symptom",
        tuple(_finding(c, o) for c, o in observed.checks if o.status in ("fail", "warn")),
    )


def _finding(check: Check, observation: Observation) -> Finding:
    fix = observation.fix or check.fix
    return Finding(check.id, check.title, observation.status, observation.observed, check.expected, fix.label)


def _referred(fix: Fix) -> str:
    """Return the runbook that a fix refers to, or an empty string."""
    path = fix.path or ""
    return path.split("/")[2] if path.startswith("/runbooks/") else ""
