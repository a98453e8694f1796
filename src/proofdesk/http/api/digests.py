"""JSON: the digest of a project, and whether the user gets it."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from proofdesk.digests import content, subscriptions
from proofdesk.digests.content import DigestLine
from proofdesk.digests.queries import DigestSubscription
from proofdesk.errors import Invalid
from proofdesk.http.dependencies import Config, Db, ProjectReader
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.parameters import json_schema
from proofdesk.http.responses import JsonEnvelope, success
from proofdesk.http.schemas import row_schema, schema

router = APIRouter(prefix="/v1/digest", tags=["digest"], route_class=JsonRoute)

Cadence = Annotated[str, Query(description="daily or weekly.")]
_BOOLEAN = json_schema(type="boolean")


class DigestBody(JsonBody):
    """How the user wants to get the digest."""

    daily: Any = Field(False, json_schema_extra=_BOOLEAN)
    weekly: Any = Field(False, json_schema_extra=_BOOLEAN)
    email: Any = Field(None, json_schema_extra=json_schema(type=["string", "null"], maxLength=320))
    telegram: Any = Field(False, description="For the owner.", json_schema_extra=_BOOLEAN)


class SubscriptionSchema(row_schema(DigestSubscription)):
    """How the user gets the digest of the project."""


class DigestLineSchema(row_schema(DigestLine)):
    """A line, and the path of its evidence."""


class DigestSectionSchema(BaseModel):
    """A section with its first lines. `total` counts all of its items; `path` shows them."""

    title: str
    total: int
    lines: list[DigestLineSchema]
    path: str


class DigestSchema(BaseModel):
    """What the digest would say now."""

    cadence: Literal["daily", "weekly"]
    since: datetime
    until: datetime
    sections: list[DigestSectionSchema]


@router.get(
    "",
    summary="Preview the digest",
    response_model=schema("DigestPreview", subscription=SubscriptionSchema | None, digest=DigestSchema),
)
async def preview(db: Db, settings: Config, scope: ProjectReader, cadence: Cadence = "daily") -> JsonEnvelope:
    """What it would say if it were sent now, and how you get it. Sections without items are left out."""
    if cadence not in content.LENGTHS:
        raise Invalid(f"`cadence` must be one of {', '.join(content.LENGTHS)}.")
    digest = await content.compose(db, scope, cadence, datetime.now(UTC), settings.project_timezone)
    return success(subscription=await subscriptions.load(db, scope), digest=digest)


@router.put(
    "", summary="Subscribe to the digest", response_model=schema("OneSubscription", subscription=SubscriptionSchema)
)
async def subscribe(db: Db, scope: ProjectReader, body: DigestBody) -> JsonEnvelope:
    """You get it daily, on Mondays, or both, from the next one that is due. Without anything to say none is sent."""
    subscription = await subscriptions.subscribe(
        db, scope, daily=body.daily, weekly=body.weekly, email=body.email, telegram=body.telegram
    )
    return success(subscription=subscription)


@router.delete("", summary="Unsubscribe from the digest", response_model=schema("NoSubscription"))
async def unsubscribe(db: Db, scope: ProjectReader) -> JsonEnvelope:
    """You get no digest of the project any more."""
    await subscriptions.unsubscribe(db, scope)
    return success()
