"""JSON: the suppression list of a project."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from proofdesk.http.dependencies import Db, ProjectEditor, ProjectReader
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.parameters import Offset, ShortLimit, json_schema, parse_time
from proofdesk.http.responses import JsonEnvelope, success
from proofdesk.http.schemas import row_schema, schema
from proofdesk.outbound import suppressions
from proofdesk.outbound.channels import registry
from proofdesk.outbound.policies import MAX_CONTACT_LENGTH
from proofdesk.outbound.suppression_queries import Suppression

router = APIRouter(prefix="/v1/suppressions", tags=["outbound"], route_class=JsonRoute)

_NAME = json_schema(type="string", minLength=1, maxLength=MAX_CONTACT_LENGTH)


class RecipientBody(JsonBody):
    """A recipient of a channel: an address, or a contact."""

    address: Any = Field(None, json_schema_extra=_NAME)
    contact_global_id: Any = Field(None, json_schema_extra=_NAME)
    channel: Any = Field(None, json_schema_extra=json_schema(type="string", enum=list(registry.CHANNELS)))


class SuppressionBody(RecipientBody):
    """A recipient to whom nothing is sent."""

    reason: Any = Field("manual", json_schema_extra=json_schema(type="string", enum=list(suppressions.REASONS)))
    detail: Any = Field(
        None,
        description="Why, for people.",
        json_schema_extra=json_schema(type="string", maxLength=suppressions.MAX_DETAIL_LENGTH),
    )
    expires_at: str | None = Field(None, description="Such as 2026-01-31T12:00Z. Null: until it is removed.")


class SuppressionSchema(row_schema(Suppression)):
    """A recipient to whom a channel sends nothing."""

    channel: Literal["chatwoot", "email", "telegram"]
    reason: Literal["bounce", "complaint", "invalid", "blocked", "manual"]
    detail: str | None = Field(description="What the provider answered, or why a person added it.")
    outbound_id: Any = Field(description="The message whose delivery failed.")
    expires_at: datetime | None = Field(description="Null: until a person removes it.")


SuppressionAnswer = schema("OneSuppression", suppression=SuppressionSchema)


@router.get(
    "",
    summary="List suppressions",
    response_model=schema("Suppressions", suppressions=list[SuppressionSchema], total=int),
)
async def list_suppressions(
    db: Db,
    scope: ProjectReader,
    channel: str | None = None,
    q: Annotated[str | None, Query(description="A part of the address.")] = None,
    limit: ShortLimit = 50,
    offset: Offset = 0,
) -> JsonEnvelope:
    """Those that hold now, the newest first."""
    page, total = await suppressions.list_suppressions(db, scope, channel or None, q, limit, offset)
    return success(suppressions=page, total=total)


@router.post("", summary="Suppress a recipient", status_code=201, response_model=SuppressionAnswer)
async def add(db: Db, scope: ProjectEditor, body: SuppressionBody) -> JsonEnvelope:
    """Nothing is sent to the recipient on this channel until the suppression expires or is removed."""
    suppression = await suppressions.add(
        db,
        scope,
        body.channel,
        body.contact_global_id or body.address,
        reason=body.reason,
        detail=body.detail,
        expires_at=parse_time("expires_at", body.expires_at) if body.expires_at else None,
    )
    return success(201, suppression=suppression)


@router.delete("", summary="Remove a suppression", response_model=SuppressionAnswer)
async def remove(
    db: Db,
    scope: ProjectEditor,
    body: RecipientBody,
    address: str | None = None,
    contact_global_id: str | None = None,
    channel: str | None = None,
) -> JsonEnvelope:
    """Name the recipient in the query or in the body."""
    name = contact_global_id or address or body.contact_global_id or body.address
    return success(suppression=await suppressions.remove(db, scope, channel or body.channel, name))
