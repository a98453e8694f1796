"""What a runbook is made of, and what running it finds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from proofdesk.runbooks.context import RunbookContext

Status = Literal["ok", "warn", "fail", "skip"]
Verdict = Literal["ok", "problem"]


@dataclass(frozen=True)
class Fix:
    """Something to do. With `path` it is a request to Proofdesk, and `command` the same thing at the terminal.

    With neither, a person does it elsewhere: in the environment, in Chatwoot, at the provider.
    """

    label: str
    method: str | None = None
    path: str | None = None
    body: dict[str, Any] | None = None
    command: str | None = None


@dataclass(frozen=True)
class Observation:
    """What a look at one thing gave. `because` and `fixes` go before those of the check when they are given."""

    status: Status
    observed: str
    cause: str | None = None
    fixes: tuple[Fix, ...] = ()


@dataclass(frozen=True)
class Check:
    """One thing to look at. `expected` is how it is when all is well, `cause` what it means when it is not."""

    id: str
    title: str
    expected: str
    cause: str
    observe: Callable[[RunbookContext], Awaitable[Observation]]
    fixes: tuple[Fix, ...]


@dataclass(frozen=True)
class EvidenceSection:
    """Something that belongs into the evidence."""

    title: str
    collect: Callable[[RunbookContext], Awaitable[Any]]


@dataclass(frozen=True)
class Runbook:
    """An incident. Its checks stand in the order of causes: what fails makes what comes after it fail.

    `variables` are those that play a part, by their names in the environment.
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
    """A check and what was seen. `fix` is empty when there is nothing to mend."""

    id: str
    title: str
    status: Status
    observed: str
    expected: str
    fix: str


@dataclass(frozen=True)
class Cause:
    """The first check that fails: what comes after it may fail because of it."""

    check: str
    message: str


@dataclass(frozen=True)
class RunbookResult:
    """What a run of a runbook found. `fixes` are those of all that is not well, those of the cause first."""

    slug: str
    title: str
    verdict: Verdict
    cause: Cause | None
    checks: tuple[Finding, ...]
    fixes: tuple[Fix, ...]


def ok(observed: str) -> Observation:
    """It is as it should be."""
    return Observation("ok", observed)


def warn(observed: str, cause: str | None = None, *fixes: Fix) -> Observation:
    """It works, but somebody should know."""
    return Observation("warn", observed, cause, fixes)


def fail(observed: str, cause: str | None = None, *fixes: Fix) -> Observation:
    """It is not as it should be, and that is enough to cause the incident."""
    return Observation("fail", observed, cause, fixes)


def skip(reason: str) -> Observation:
    """It could not be looked at, or there is nothing to look at."""
    return Observation("skip", reason)
