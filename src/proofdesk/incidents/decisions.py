"""What a watch does with an incident: suspect, open, remind, close.

suspected ──second failure──▶ open ──passes──▶ closed ──fails again soon──▶ open

An incident that reopens soon after it was closed needs twice as many passes each time until it is closed again, so that
a check that flaps causes fewer and fewer notifications.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from proofdesk.incidents.problems import ObservedRunbook, Problem
from proofdesk.incidents.queries import Incident

FAILURES_TO_OPEN = 2
MAX_PASSES_TO_CLOSE = 20
SOON = timedelta(hours=2)
"""How long after its end an incident reopens, and explains symptoms."""
REMINDERS = (timedelta(hours=1), timedelta(hours=4), timedelta(days=1))
"""From the opening to the first reminder, and between reminders; the last one repeats."""
_SAME_MOMENT = timedelta(seconds=10)
"""Observations of several projects or processes within this time count once."""
_EVERYTHING = "scheduler-worker-failing"
"""The runbook whose symptoms any other incident explains."""

Key = tuple[bool, str, str]
"""Whether it is shared, the runbook, and the check."""


@dataclass(frozen=True)
class Changes:
    """The incidents to store, those to notify about, and the suspicions that were not confirmed."""

    stored: list[Incident] = field(default_factory=list)
    opened: list[Incident] = field(default_factory=list)
    reminded: list[Incident] = field(default_factory=list)
    closed: list[Incident] = field(default_factory=list)
    unconfirmed: list[UUID] = field(default_factory=list)


def decide(
    current: Sequence[Incident], problems: Sequence[Problem], observed: Sequence[ObservedRunbook], now: datetime
) -> Changes:
    """Return what changes. `current` are the active incidents, and those that were closed less than `SOON` ago."""
    incidents = {_key(incident): incident for incident in reversed(current)}
    failing = {(p.shared, p.runbook, p.check): p for p in problems if not _is_explained(p, current)}
    statuses = {(e.runbook.slug, check.id): o.status for e in observed for check, o in e.checks}
    changes = Changes()
    for key, problem in failing.items():
        _fail(changes, incidents.get(key) or _new_incident(problem, now), problem, now)
    for key, incident in incidents.items():
        if key not in failing and statuses.get(key[1:], "ok") in ("ok", "warn"):
            _pass(changes, incident, now)
    _remind(changes, current, now)
    return changes


def _is_explained(problem: Problem, current: Iterable[Incident]) -> bool:
    """Return whether a symptom follows from an incident that is open or was closed a moment ago."""
    return problem.is_symptom and any(
        incident.opened_at is not None
        and incident.check != problem.check
        and (incident.runbook == problem.runbook or problem.runbook == _EVERYTHING)
        for incident in current
    )


def _fail(changes: Changes, incident: Incident, problem: Problem, now: datetime) -> None:
    is_new = incident.failures == 0 or now - incident.observed_at >= _SAME_MOMENT
    failures = incident.failures + 1 if is_new else incident.failures
    details = {"title": problem.title, "cause": problem.cause, "fix": _fix(problem), "evidence": _evidence(problem)}
    after = replace(incident, **details, failures=failures, passes=0, observed_at=now)
    if incident.state != "open" and failures >= FAILURES_TO_OPEN:
        after = replace(
            after,
            state="open",
            opened_at=incident.opened_at or now,
            closed_at=None,
            reopened=incident.reopened + (incident.state == "closed"),
            reminders=0,
            remind_at=now + REMINDERS[0],
            acknowledged_by=None,
            acknowledged_at=None,
        )
        changes.opened.append(after)
    changes.stored.append(after)


def _pass(changes: Changes, incident: Incident, now: datetime) -> None:
    if incident.state == "suspected":
        changes.unconfirmed.append(incident.id)
        return
    if incident.state == "closed" and incident.failures == 0:
        return
    is_new = incident.passes == 0 or now - incident.observed_at >= _SAME_MOMENT
    after = replace(incident, failures=0, passes=incident.passes + is_new, observed_at=now)
    if incident.state == "open" and after.passes >= min(2**incident.reopened, MAX_PASSES_TO_CLOSE):
        after = replace(after, state="closed", closed_at=now, remind_at=None)
        changes.closed.append(after)
    changes.stored.append(after)


def _remind(changes: Changes, current: Iterable[Incident], now: datetime) -> None:
    """Remind of open incidents that nobody has acknowledged."""
    stored: Mapping[UUID, Incident] = {incident.id: incident for incident in changes.stored}
    for before in current:
        incident = stored.get(before.id, before)
        if incident.state != "open" or incident.acknowledged_at or not incident.remind_at or incident.remind_at > now:
            continue
        number = incident.reminders + 1
        after = replace(incident, reminders=number, remind_at=now + REMINDERS[min(number, len(REMINDERS) - 1)])
        changes.stored[:] = [each for each in changes.stored if each.id != after.id] + [after]
        changes.reminded.append(after)


def _new_incident(problem: Problem, now: datetime) -> Incident:
    return Incident(
        id=uuid4(),
        shared=problem.shared,
        runbook=problem.runbook,
        check=problem.check,
        title=problem.title,
        cause=problem.cause,
        fix=_fix(problem),
        evidence=_evidence(problem),
        state="suspected",
        failures=0,
        passes=0,
        reopened=0,
        reminders=0,
        observed_at=now,
    )


def _key(incident: Incident) -> Key:
    return incident.shared, incident.runbook, incident.check


def _fix(problem: Problem) -> dict[str, str | None]:
    fix = problem.fix
    return {"label": fix.label, "command": fix.command, "method": fix.method, "path": fix.path}


def _evidence(problem: Problem) -> list[dict[str, str]]:
    return [dataclasses.asdict(finding) for finding in problem.findings]
