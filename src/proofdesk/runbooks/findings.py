"""Runbooks, their checks and fixes, and the result of a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from proofdesk.runbooks.context import RunbookContext

Status = Literal["ok", "warn", "fail", "skip"]
Verdict = Literal["ok", "problem"]
Alerts = Literal["always", "symptom", "never"]
"""Whether a failing check opens an incident. A `symptom` does so only when nothing else explains it. What people
decide, or what is normal, `never` does."""


@dataclass(frozen=True)
class Fix:
    """What fixes a problem: a request to Proofdesk (`path`) or a command.

    Without either, a person does it elsewhere: in Chatwoot, at the provider, in a proxy. A `destructive` fix may lose
    something, so it comes last.
    """

    label: str
    method: str | None = None
    path: str | None = None
    body: dict[str, Any] | None = None
    command: str | None = None
    destructive: bool = False


@dataclass(frozen=True)
class Observation:
    """What a check observed. `cause` and `fix` replace those of the check if they are set.

    `incomplete` belongs to `skip`: the check applies, but did not end.
    """

    status: Status
    observed: str
    cause: str | None = None
    fix: Fix | None = None
    incomplete: bool = False


Observe = Callable[[RunbookContext], Awaitable[Observation]]


@dataclass(frozen=True)
class Check:
    """One check. `expected` describes the healthy state; `cause` says what a failure means, `fix` what to do then.

    `alerts` says when a failure opens an incident. `shared`: it is the same for every project.
    """

    id: str
    title: str
    expected: str
    cause: str
    observe: Observe
    fix: Fix
    alerts: Alerts = "always"
    shared: bool = False


@dataclass(frozen=True)
class EvidenceSection:
    """A section of the evidence bundle."""

    title: str
    collect: Callable[[RunbookContext], Awaitable[Any]]


@dataclass(frozen=True)
class Runbook:
    """An incident and its checks, in causal order: a failing check can make later checks fail.

    `variables` are the environment variables that matter. `per_project` is False if it is about the installation.
    `watched` is False if its checks depend on a person's request, or repeat those of other runbooks.
    """

    slug: str
    title: str
    symptom: str
    impact: str
    checks: tuple[Check, ...]
    evidence: tuple[EvidenceSection, ...]
    variables: tuple[str, ...] = ()
    per_project: bool = True
    watched: bool = True


@dataclass(frozen=True)
class Finding:
    """The result of one check. `fix` is empty if there is nothing to fix."""

    id: str
    title: str
    status: Status
    observed: str
    expected: str
    fix: str


@dataclass(frozen=True)
class Cause:
    """The first check that failed. Later checks may fail because of it."""

    check: str
    message: str


@dataclass(frozen=True)
class Unchecked:
    """A check that had no result, and why."""

    check: str
    title: str
    reason: str


@dataclass(frozen=True)
class RunbookResult:
    """The result of a runbook.

    `fixes` has one fix of each failed check, the cause first, then one of each warning; those that may lose something
    are last. `summary` says in one line what is wrong, or how many checks passed and what was not checked. `incomplete`
    is True when a check did not end: it took too long, or a service that it needs failed.
    """

    slug: str
    title: str
    verdict: Verdict
    summary: str
    cause: Cause | None
    checks: tuple[Finding, ...]
    unchecked: tuple[Unchecked, ...]
    incomplete: bool
    fixes: tuple[Fix, ...]


def ok(observed: str) -> Observation:
    """Return an observation of the healthy state."""
    return Observation("ok", observed)


def warn(observed: str, cause: str | None = None, fix: Fix | None = None) -> Observation:
    """Return an observation that people should know but that is not the cause."""
    return Observation("warn", observed, cause, fix)


def fail(observed: str, cause: str | None = None, fix: Fix | None = None) -> Observation:
    """Return an observation that can cause the incident."""
    return Observation("fail", observed, cause, fix)


def skip(reason: str) -> Observation:
    """Return that nothing was checked. What does not apply is `ok`."""
    return Observation("skip", reason)


def unfinished(reason: str) -> Observation:
    """Return that the check applies but did not end, so that nobody knows."""
    return Observation("skip", reason, incomplete=True)
