"""What a runbook is made of, and what running it finds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from proofdesk.runbooks.context import Case

Status = Literal["ok", "warn", "fail", "skip"]


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
class Seen:
    """What a look at one thing gave. `because` and `fixes` go before those of the check when they are given."""

    status: Status
    observed: str
    because: str | None = None
    fixes: tuple[Fix, ...] = ()


@dataclass(frozen=True)
class Check:
    """One thing to look at. `expected` is how it is when all is well, `cause` what it means when it is not."""

    id: str
    title: str
    expected: str
    cause: str
    look: Callable[[Case], Awaitable[Seen]]
    fixes: tuple[Fix, ...]


@dataclass(frozen=True)
class Exhibit:
    """Something that belongs into the evidence."""

    title: str
    gather: Callable[[Case], Awaitable[Any]]


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
    exhibits: tuple[Exhibit, ...]
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
class Diagnosis:
    """What a run of a runbook found. `fixes` are those of all that is not well, those of the cause first."""

    slug: str
    title: str
    verdict: Literal["ok", "problem"]
    cause: Cause | None
    checks: tuple[Finding, ...]
    fixes: tuple[Fix, ...]


def ok(observed: str) -> Seen:
    """It is as it should be."""
    return Seen("ok", observed)


def warn(observed: str, because: str | None = None, *fixes: Fix) -> Seen:
    """It works, but somebody should know."""
    return Seen("warn", observed, because, fixes)


def fail(observed: str, because: str | None = None, *fixes: Fix) -> Seen:
    """It is not as it should be, and that is enough to cause the incident."""
    return Seen("fail", observed, because, fixes)


def skip(why: str) -> Seen:
    """It could not be looked at, or there is nothing to look at."""
    return Seen("skip", why)
