"""The watch: runs the checks of the runbooks, opens and closes incidents, and notifies people."""

import asyncio
import dataclasses
from datetime import UTC, datetime
from typing import Any

from proofdesk import logging
from proofdesk.audit import events
from proofdesk.audit.events import BulkEvent
from proofdesk.dashboard import status
from proofdesk.database.rows import Conn
from proofdesk.errors import NotFound, ProofdeskError
from proofdesk.incidents import channels, decisions, notifications, problems, queries
from proofdesk.incidents.decisions import Changes
from proofdesk.incidents.problems import ObservedRunbook, Problem
from proofdesk.incidents.queries import Incident
from proofdesk.jobs.resources import Resources
from proofdesk.projects import projects
from proofdesk.projects import scope as scopes
from proofdesk.projects.scope import Scope
from proofdesk.runbooks import bundle, execution, registry
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.redaction import Redactor

log = logging.get_logger(__name__)

ENTITY_TYPE = "incident"
GUARD_SECONDS = 60.0


async def watch(resources: Resources, scope: Scope) -> dict[str, Any]:
    """Run the checks of a project once. Return what changed, as counts."""
    context = RunbookContext(resources, scope.actor, scope)
    runbooks = registry.list_watched()
    checks = await execution.observe_all(context, runbooks)
    observed = [ObservedRunbook(*each) for each in zip(runbooks, checks, strict=True)]
    found = problems.find_problems(observed)
    redactor = await bundle.load_redactor(context, {"problems": found})
    senders = await channels.configured_channels(resources)
    changes = await _apply(resources, scope, [_redacted(p, redactor) for p in found], observed, list(senders))
    sent = await notifications.deliver(resources, scope, senders)
    counts = {name: len(getattr(changes, name)) for name in ("opened", "closed")}
    return {"processed": sum(map(len, checks)), **counts, "notified": sent}


async def watch_without_worker(resources: Resources) -> None:
    """Watch all projects once if no worker is alive, whose task it is."""
    if (await status.read_workers(resources.db, resources.settings)).alive:
        return
    actor = events.system_actor()
    for project in await projects.list_visible(resources.db, actor):
        try:
            await watch(resources, await scopes.enter(resources.db, actor, project.id))
        except NotFound:  # archived a moment ago
            continue


async def guard(resources: Resources) -> None:
    """Watch for as long as the server runs whether a worker is alive: without one, nobody else would tell."""
    while True:
        await asyncio.sleep(GUARD_SECONDS)
        try:
            await watch_without_worker(resources)
        except ProofdeskError as error:
            log.warning("the watch failed; trying again", error=error.message)
        except Exception:
            log.exception("the watch crashed; trying again")


async def _apply(
    resources: Resources,
    scope: Scope,
    found: list[Problem],
    observed: list[ObservedRunbook],
    channel_names: list[str],
) -> Changes:
    """Store what changes with its notifications and its audit events, in one transaction."""
    now = datetime.now(UTC)
    async with resources.db.scoped(scope) as conn:
        await queries.lock_incidents(conn)
        current = await queries.list_current(conn, scope, now - decisions.SOON)
        changes = decisions.decide(current, found, observed, now)
        if changes.unconfirmed:
            await queries.delete_suspicions(conn, scope, changes.unconfirmed)
        if changes.stored:
            await queries.store_incidents(conn, scope, changes.stored)
        await notifications.plan(conn, scope, changes, channel_names)
        await _record(conn, scope, changes)
    return changes


async def _record(conn: Conn, scope: Scope, changes: Changes) -> None:
    """Record opened and closed incidents: in the chain of the project, or of the installation."""
    steps = [("incident.opened", i) for i in changes.opened] + [("incident.closed", i) for i in changes.closed]
    for_project, for_installation = (
        [_event(action, incident) for action, incident in steps if incident.shared is shared]
        for shared in (False, True)
    )
    await events.record_many(conn, scope, scope.actor, for_project)
    await events.record_many(conn, None, scope.actor, for_installation)


def _event(action: str, incident: Incident) -> BulkEvent:
    return BulkEvent(action, ENTITY_TYPE, incident.id, payload={"runbook": incident.runbook, "check": incident.check})


def _redacted(problem: Problem, redactor: Redactor) -> Problem:
    """Return the problem without secrets and personal data: it leaves the installation."""
    return dataclasses.replace(
        problem,
        cause=redactor.redact_text(problem.cause),
        findings=tuple(
            dataclasses.replace(finding, observed=redactor.redact_text(finding.observed))
            for finding in problem.findings
        ),
    )
