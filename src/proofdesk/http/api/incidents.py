"""JSON: incidents of a project and of the installation."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from proofdesk.errors import Invalid
from proofdesk.http.dependencies import Db, ProjectEditor, ProjectReader
from proofdesk.http.json_routes import JsonRoute
from proofdesk.http.parameters import Offset, ShortLimit
from proofdesk.http.responses import JsonEnvelope, success
from proofdesk.http.schemas import row_schema, schema, to_answer
from proofdesk.incidents import incidents
from proofdesk.incidents.incidents import IncidentNotFound
from proofdesk.incidents.queries import Incident, IncidentWithNotifications

router = APIRouter(prefix="/v1/incidents", tags=["incidents"], route_class=JsonRoute)

IncidentId = Annotated[str, Path(description="Id of the incident.", json_schema_extra={"format": "uuid"})]
State = Annotated[str | None, Query(description="Default: both.", json_schema_extra={"enum": list(incidents.STATES)})]
_INTERNAL = {"failures", "passes", "observed_at", "remind_at"}


class IncidentFixSchema(BaseModel):
    """What fixes an incident: a command, or a request to this API."""

    label: str
    command: str | None
    method: str | None
    path: str | None


class IncidentSchema(row_schema(Incident, omit=_INTERNAL)):
    """A problem that a failing check of a runbook reports."""

    shared: bool = Field(description="Whether it concerns the whole installation.")
    runbook: str = Field(description="The slug of the runbook.")
    check: str = Field(description="The id of its check that fails.")
    fix: IncidentFixSchema
    state: Literal["open", "closed"]
    reopened: int = Field(description="How often it was opened again soon after it was closed.")
    reminders: int = Field(description="How many reminders were sent since it was opened.")


class NotificationSchema(BaseModel):
    """A notification about an incident."""

    channel: Literal["telegram", "email", "webhook"]
    kind: Literal["opened", "reminder", "closed"]
    status: Literal["pending", "sending", "sent", "failed", "cancelled"]
    error: str | None
    created_at: datetime
    sent_at: datetime | None


class ListedIncidentSchema(IncidentSchema):
    """An incident with its notifications."""

    notifications: list[NotificationSchema]


@router.get(
    "", summary="List incidents", response_model=schema("Incidents", incidents=list[ListedIncidentSchema], total=int)
)
async def list_incidents(
    db: Db, scope: ProjectReader, state: State = None, limit: ShortLimit = 50, offset: Offset = 0
) -> JsonEnvelope:
    """Those of the active project and of the installation: the open ones first, then the newest."""
    if state not in (None, "", *incidents.STATES):
        raise Invalid(f"`state` must be one of {', '.join(incidents.STATES)}.")
    page, total = await incidents.list_incidents(db, scope, state or None, limit, offset)
    return success(incidents=[_answer(ListedIncidentSchema, row) for row in page], total=total)


@router.post(
    "/{incident_id}/acknowledge",
    summary="Acknowledge an incident",
    response_model=schema("OneIncident", incident=IncidentSchema),
)
async def acknowledge(db: Db, scope: ProjectEditor, incident_id: IncidentId) -> JsonEnvelope:
    """Somebody takes care of it: no more reminders are sent. It closes itself when its check passes."""
    incident = await incidents.acknowledge(db, scope, _parse_id(incident_id))
    return success(incident=_answer(IncidentSchema, incident))


def _answer(model: type[BaseModel], row: Incident | IncidentWithNotifications) -> dict[str, object]:
    return to_answer(model, row)


def _parse_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise IncidentNotFound("There is no such incident.") from None
