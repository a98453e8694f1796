"""JSON: what recipients allow."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from proofdesk.database.pool import Database
from proofdesk.http.dependencies import Db, ProjectEditor, ProjectReader
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.parameters import REFERENCES, Clamp, Offset, json_schema
from proofdesk.http.responses import Envelope, success
from proofdesk.http.schemas import schema
from proofdesk.outbound import policies
from proofdesk.outbound.channels import registry
from proofdesk.outbound.gates import Policy
from proofdesk.outbound.policies import InvalidOptOut
from proofdesk.outbound.policy_queries import PolicyFilter, PolicyUpdate
from proofdesk.projects.scope import Scope

router = APIRouter(prefix="/v1/outbound", tags=["outbound"], route_class=JsonRoute)

Few = Annotated[int, Clamp(1, 200)]


class PolicyChange(JsonBody):
    """What is to be different about what somebody allows; what is left out stays as it is."""

    contact_global_id: Any = Field(
        None, description="A contact, or an address.", json_schema_extra=json_schema(type="string", minLength=1)
    )
    channel: Any = Field(None, json_schema_extra=json_schema(type="string", enum=list(registry.CHANNELS)))
    opted_out: Any = Field(None, json_schema_extra=json_schema(type="boolean"))
    stop_on_reply: Any = Field(None, json_schema_extra=json_schema(type="boolean"))
    frequency_window_hours: Any = Field(None, json_schema_extra=json_schema(type="integer", minimum=1, maximum=720))
    frequency_cap: Any = Field(None, json_schema_extra=json_schema(type="integer", minimum=1, maximum=200))
    mark_replied: Any = Field(
        None, description="Somebody heard of him just now.", json_schema_extra=json_schema(type="boolean")
    )
    reason: Any = Field(None, json_schema_extra=json_schema(type="string"))
    evidence_refs: Any = Field(None, json_schema_extra=json_schema(**REFERENCES))


class _Checked(BaseModel):
    """The same, each field of its type: others are refused with the code of this route."""

    model_config = ConfigDict(strict=True)

    contact_global_id: Annotated[str, Field(min_length=1, max_length=500)]
    channel: str
    opted_out: bool | None
    stop_on_reply: bool | None
    frequency_window_hours: Annotated[int | None, Field(ge=1, le=720)]
    frequency_cap: Annotated[int | None, Field(ge=1, le=200)]
    mark_replied: bool | None
    reason: str | None
    evidence_refs: list[Any] | None


class PolicyShape(BaseModel):
    """What somebody allows on a channel, and how often he was written to."""

    id: UUID
    project_id: UUID
    account_scope_id: UUID
    contact_global_id: str = Field(description="Or the address of somebody who is no contact.")
    channel: str
    opted_out: bool
    stop_on_reply: bool
    frequency_window_hours: int
    frequency_cap: int
    sent_in_window: int
    window_started_at: datetime | None
    last_outbound_at: datetime | None
    last_inbound_at: datetime | None
    updated_at: datetime


@router.get("/policies", summary="Policies", response_model=schema("Policies", policies=list[PolicyShape], total=int))
async def list_policies(
    db: Db,
    scope: ProjectReader,
    contact_global_id: Annotated[str | None, Field(description="A contact, or an address.")] = None,
    channel: str | None = None,
    opted_out: bool | None = None,
    limit: Few = 50,
    offset: Offset = 0,
) -> Envelope:
    """The last changed first."""
    wanted = PolicyFilter((contact_global_id or "").strip() or None, channel or None, opted_out)
    found, total = await policies.list_policies(db, scope, wanted, limit, offset)
    return success(policies=found, total=total)


@router.post("/opt-out", summary="Change a policy", response_model=schema("PolicyChanged", policy=PolicyShape))
async def change_policy(db: Db, scope: ProjectEditor, given: PolicyChange) -> Envelope:
    """Opt somebody out, or in again with a reason; what is left out stays as it is."""
    return success(policy=await change(db, scope, given))


async def change(db: Database, scope: Scope, given: PolicyChange) -> Policy:
    """Check what was given, and change the policy. Raises as `policies.change_policy` does."""
    asked = _checked(given)
    wanted = PolicyUpdate(
        asked.opted_out,
        asked.stop_on_reply,
        asked.frequency_window_hours,
        asked.frequency_cap,
        bool(asked.mark_replied),
    )
    told = {"reason": asked.reason, "evidence_refs": asked.evidence_refs}
    return await policies.change_policy(db, scope, asked.contact_global_id, asked.channel, wanted, **told)


def _checked(given: PolicyChange) -> _Checked:
    registry.check_channel(given.channel if isinstance(given.channel, str) else "")
    try:
        return _Checked.model_validate(given.model_dump())
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidOptOut(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
