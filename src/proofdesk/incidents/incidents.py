"""List and acknowledge incidents."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.errors import Conflict, NotFound
from proofdesk.incidents import queries
from proofdesk.incidents.queries import Incident, IncidentWithNotifications
from proofdesk.incidents.watching import ENTITY_TYPE
from proofdesk.projects.scope import Scope

STATES = ("open", "closed")


class IncidentNotFound(NotFound):
    """The project has no such incident."""

    code = "incident_not_found"


class IncidentClosed(Conflict):
    """The incident has ended, so it cannot be acknowledged."""

    code = "incident_closed"


async def list_incidents(
    db: Database, scope: Scope, state: str | None, limit: int, offset: int
) -> tuple[list[IncidentWithNotifications], int]:
    """Return incidents of the project and of the installation, the open ones first, and the total number."""
    async with db.scoped(scope) as conn:
        page = await queries.list_incidents(conn, scope, state, limit, offset)
        return page, await queries.count_incidents(conn, scope, state)


async def count_open(db: Database, scope: Scope) -> int:
    """Count the open incidents of the project and of the installation."""
    async with db.scoped(scope) as conn:
        return await queries.count_incidents(conn, scope, "open")


async def acknowledge(db: Database, scope: Scope, incident_id: UUID) -> Incident:
    """Say that somebody takes care of an open incident: no more reminders are sent. Return it.

    Raises `IncidentNotFound` or `IncidentClosed`.
    """
    async with db.scoped(scope) as conn:
        incident = await queries.fetch_incident(conn, scope, incident_id)
        if incident is None:
            raise IncidentNotFound("There is no such incident.")
        if incident.state == "closed":
            raise IncidentClosed("The incident is closed.")
        if incident.acknowledged_at is not None:
            return incident
        now = datetime.now(UTC)
        incident = replace(incident, acknowledged_by=scope.actor.username, acknowledged_at=now, remind_at=None)
        await queries.store_incidents(conn, scope, [incident])
        payload = {"runbook": incident.runbook, "check": incident.check}
        where = None if incident.shared else scope
        await events.record(
            conn, scope.actor, "incident.acknowledged", ENTITY_TYPE, incident.id, scope=where, payload=payload
        )
    return incident
