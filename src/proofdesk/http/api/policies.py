"""JSON: policies, which say what recipients allow."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from proofdesk.http.dependencies import Db, ProjectEditor, ProjectReader
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.parameters import REFERENCES, Offset, ShortLimit, json_schema
from proofdesk.http.responses import JsonEnvelope, success
from proofdesk.http.schemas import row_schema, schema
from proofdesk.outbound import policies
from proofdesk.outbound.channels import registry
from proofdesk.outbound.gates import Policy
from proofdesk.outbound.policies import MAX_CONTACT_LENGTH, MAX_FREQUENCY_CAP, MAX_FREQUENCY_WINDOW_HOURS
from proofdesk.outbound.policy_queries import PolicyFilter, PolicyUpdate

router = APIRouter(prefix="/v1/outbound", tags=["outbound"], route_class=JsonRoute)


class PolicyChange(JsonBody):
    """Changes of a policy. Absent fields stay as they are."""

    contact_global_id: Any = Field(
        None,
        description="A contact or an address.",
        json_schema_extra=json_schema(type="string", minLength=1, maxLength=MAX_CONTACT_LENGTH),
    )
    channel: Any = Field(None, json_schema_extra=json_schema(type="string", enum=list(registry.CHANNELS)))
    opted_out: Any = Field(None, json_schema_extra=json_schema(type="boolean"))
    stop_on_reply: Any = Field(None, json_schema_extra=json_schema(type="boolean"))
    frequency_window_hours: Any = Field(
        None, json_schema_extra=json_schema(type="integer", minimum=1, maximum=MAX_FREQUENCY_WINDOW_HOURS)
    )
    frequency_cap: Any = Field(
        None, json_schema_extra=json_schema(type="integer", minimum=1, maximum=MAX_FREQUENCY_CAP)
    )
    mark_replied: Any = Field(
        None, description="The contact wrote just now.", json_schema_extra=json_schema(type="boolean")
    )
    reason: Any = Field(None, json_schema_extra=json_schema(type="string"))
    evidence_refs: Any = Field(None, json_schema_extra=json_schema(**REFERENCES))


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
) -> JsonEnvelope:
    """The last changed first."""
    policy_filter = PolicyFilter((contact_global_id or "").strip() or None, channel or None, opted_out)
    page, total = await policies.list_policies(db, scope, policy_filter, limit, offset)
    return success(policies=page, total=total)


@router.post("/opt-out", summary="Change a policy", response_model=schema("PolicyChanged", policy=PolicySchema))
async def change_policy(db: Db, scope: ProjectEditor, body: PolicyChange) -> JsonEnvelope:
    """Opts a recipient out, or in again with a reason. Absent fields stay as they are."""
    update = PolicyUpdate(
        body.opted_out,
        body.stop_on_reply,
        body.frequency_window_hours,
        body.frequency_cap,
        False if body.mark_replied is None else body.mark_replied,
    )
    policy = await policies.change_policy(
        db,
        scope,
        body.contact_global_id,
        body.channel,
        update,
        reason=body.reason,
        evidence_refs=body.evidence_refs,
    )
    return success(policy=policy)
