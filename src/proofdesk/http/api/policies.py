"""JSON: policies, which say what recipients allow."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from proofdesk.database.pool import Database
from proofdesk.http.dependencies import Db, ProjectEditor, ProjectReader
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.parameters import REFERENCES, Offset, ShortLimit, json_schema
from proofdesk.http.responses import Envelope, success
from proofdesk.http.schemas import row_schema, schema
from proofdesk.outbound import policies
from proofdesk.outbound.channels import registry
from proofdesk.outbound.gates import Policy
from proofdesk.outbound.policies import InvalidOptOut
from proofdesk.outbound.policy_queries import PolicyFilter, PolicyUpdate
from proofdesk.projects.scope import Scope

router = APIRouter(prefix="/v1/outbound", tags=["outbound"], route_class=JsonRoute)


class PolicyChange(JsonBody):
    """Changes of a policy. Absent fields stay as they are."""

    contact_global_id: Any = Field(
        None, description="A contact or an address.", json_schema_extra=json_schema(type="string", minLength=1)
    )
    channel: Any = Field(None, json_schema_extra=json_schema(type="string", enum=list(registry.CHANNELS)))
    opted_out: Any = Field(None, json_schema_extra=json_schema(type="boolean"))
    stop_on_reply: Any = Field(None, json_schema_extra=json_schema(type="boolean"))
    frequency_window_hours: Any = Field(None, json_schema_extra=json_schema(type="integer", minimum=1, maximum=720))
    frequency_cap: Any = Field(None, json_schema_extra=json_schema(type="integer", minimum=1, maximum=200))
    mark_replied: Any = Field(
        None, description="The contact wrote just now.", json_schema_extra=json_schema(type="boolean")
    )
    reason: Any = Field(None, json_schema_extra=json_schema(type="string"))
    evidence_refs: Any = Field(None, json_schema_extra=json_schema(**REFERENCES))


class _TypedChange(BaseModel):
    """The same with typed fields: other types get the error code of this route."""

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


class PolicySchema(row_schema(Policy)):
    """What a recipient allows on a channel, and how many messages they were sent."""

    contact_global_id: str = Field(description="A contact, or the address of a recipient who is not a contact.")


@router.get(
    "/policies", summary="List policies", response_model=schema("Policies", policies=list[PolicySchema], total=int)
)
async def list_policies(
    db: Db,
    scope: ProjectReader,
    contact_global_id: Annotated[str | None, Field(description="A contact or an address.")] = None,
    channel: str | None = None,
    opted_out: bool | None = None,
    limit: ShortLimit = 50,
    offset: Offset = 0,
) -> Envelope:
    """The last changed first."""
    policy_filter = PolicyFilter((contact_global_id or "").strip() or None, channel or None, opted_out)
    page, total = await policies.list_policies(db, scope, policy_filter, limit, offset)
    return success(policies=page, total=total)


@router.post("/opt-out", summary="Change a policy", response_model=schema("PolicyChanged", policy=PolicySchema))
async def change_policy(db: Db, scope: ProjectEditor, body: PolicyChange) -> Envelope:
    """Opts a recipient out, or in again with a reason. Absent fields stay as they are."""
    return success(policy=await change(db, scope, body))


async def change(db: Database, scope: Scope, body: PolicyChange) -> Policy:
    """Validate the changes and apply them. Raises as `policies.change_policy` does."""
    checked = _validate(body)
    update = PolicyUpdate(
        checked.opted_out,
        checked.stop_on_reply,
        checked.frequency_window_hours,
        checked.frequency_cap,
        bool(checked.mark_replied),
    )
    return await policies.change_policy(
        db,
        scope,
        checked.contact_global_id,
        checked.channel,
        update,
        reason=checked.reason,
        evidence_refs=checked.evidence_refs,
    )


def _validate(body: PolicyChange) -> _TypedChange:
    registry.check_channel(body.channel if isinstance(body.channel, str) else "")
    try:
        return _TypedChange.model_validate(body.model_dump())
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidOptOut(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
