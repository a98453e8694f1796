"""Runbooks, their checks and fixes, and the result of a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from proofdesk.runbooks.context import RunbookContext

Status = Literal["ok", "warn", "fail", "skip"]
Verdict = Literal["ok", "problem"]


@dataclass(frozen=True)
class Fix:
    """A step that fixes a problem: a request to Proofdesk (`path`) or a command.

    Without either, a person does it elsewhere: in the environment, in Chatwoot, at the provider.
    """

    label: str
    method: str | None = None
    path: str | None = None
    body: dict[str, Any] | None = None
    command: str | None = None


@dataclass(frozen=True)
class Observation:
    """What a check observed. `cause` and `fixes` replace those of the check if they are set."""

    status: Status
    observed: str
    cause: str | None = None
    fixes: tuple[Fix, ...] = ()


@dataclass(frozen=True)
class Check:
    """One check. `expected` describes the healthy state; `cause` says what a failure means."""

    id: str
    title: str
    expected: str
    cause: str
    observe: Callable[[RunbookContext], Awaitable[Observation]]
    fixes: tuple[Fix, ...]


@dataclass(frozen=True)
class EvidenceSection:
    """A section of the evidence bundle."""

    title: str
    collect: Callable[[RunbookContext], Awaitable[Any]]


@dataclass(frozen=True)
class Runbook:
    """An incident and its checks, in causal order: a failing check can make later checks fail.

    `variables` are the environment variables that matter.
    """

    slug: str
    title: str
    symptom: str
    impact: str
    checks: tuple[Check, ...]
    evidence: tuple[EvidenceSection, ...]
    variables: tuple[str, ...] = ()


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
class RunbookResult:
    """The result of a runbook. `fixes` are those of all failed checks, then those of all warnings."""

    slug: str
    title: str
    verdict: Verdict
    cause: Cause | None
    checks: tuple[Finding, ...]
    fixes: tuple[Fix, ...]


def ok(observed: str) -> Observation:
    """Return an observation of the healthy state."""
    return Observation("ok", observed)


def warn(observed: str, cause: str | None = None, *fixes: Fix) -> Observation:
    """Return an observation that people should know but that is not the cause."""
    return Observation("warn", observed, cause, fixes)


def fail(observed: str, cause: str | None = None, *fixes: Fix) -> Observation:
    """Return an observation that can cause the incident."""
    return Observation("fail", observed, cause, fixes)


def skip(reason: str) -> Observation:
    """Return that the check could not run or does not apply."""
    return Observation("skip", reason)
