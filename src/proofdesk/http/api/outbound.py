"""JSON: messages from draft to delivery, and what their recipients allow."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from proofdesk.http.api.audit import EventShape
from proofdesk.http.api.policies import Few, PolicyShape
from proofdesk.http.dependencies import Config, Db, ProjectEditor, ProjectReader, Resources
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.parameters import REFERENCES, Clamp, Offset, UuidText, json_schema, parse_time
from proofdesk.http.responses import Envelope, success
from proofdesk.http.schemas import schema
from proofdesk.outbound import approval, drafts, messages, preflight
from proofdesk.outbound.channels import registry
from proofdesk.outbound.delivery import delivery
from proofdesk.outbound.delivery.attempt_queries import DeliveryAttempt
from proofdesk.outbound.delivery.delivery import DeliveryOptions
from proofdesk.outbound.drafts import DraftRequest
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.outbound.messages import OutboundNotFound
from proofdesk.projects import projects

router = APIRouter(prefix="/v1/outbound", tags=["outbound"], route_class=JsonRoute)

Status = Literal["draft", "approved", "sending", "sent", "failed", "blocked_opt_out", "cancelled"]
Refs = Annotated[list[Any] | None, Field(max_length=1000, json_schema_extra=json_schema(**REFERENCES))]
_PAYLOAD = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "subject": {"type": "string"}, "html": {"type": "string"}},
    "additionalProperties": {"type": "string"},
}
Key = Annotated[str | None, Field(min_length=1, max_length=drafts.MAX_KEY_LENGTH)]


class NewDraft(JsonBody):
    """A message to be drafted."""

    channel: Any = Field(None, json_schema_extra=json_schema(type="string", enum=list(registry.CHANNELS)))
    recipient_ref: Any = Field(None, json_schema_extra=json_schema(type="string", minLength=1))
    payload: Any = Field(None, description="As the channel takes it.", json_schema_extra=json_schema(**_PAYLOAD))
    idempotency_key: Any = Field(
        None, json_schema_extra=json_schema(type="string", minLength=1, maxLength=drafts.MAX_KEY_LENGTH)
    )
    dedupe_key: Key = None
    max_retries: Annotated[int, Field(ge=0, le=drafts.MAX_RETRIES)] = drafts.DEFAULT_RETRIES
    evidence_refs: Refs = None
    scheduled_at: Annotated[str | None, Field(description="Not sent before; a time such as 2026-01-31T12:00Z.")] = None


class Approval(JsonBody):
    """What an approval rests on."""

    evidence_refs: Refs = None


class Limited(JsonBody):
    """How many messages."""

    limit: Few = 20


class DeliveryShape(BaseModel):
    """What the channel behind Chatwoot reported after Chatwoot took a message."""

    status: Literal["sent", "delivered", "read", "failed"] = Field(description="`sent`: it has reported nothing yet.")
    error: str | None = Field(description="Why it failed, in the channel's words.")
    at: datetime | None = Field(description="When this was noticed.")
    channel: str


class OutboundShape(BaseModel):
    """A message."""

    id: UUID
    project_id: UUID
    account_scope_id: UUID
    channel: str
    recipient_ref: str
    payload: dict[str, Any]
    content_hash: str = Field(description="Of channel, recipient and payload; an approval is bound to it.")
    evidence_refs: list[dict[str, Any]]
    status: Status
    idempotency_key: str
    dedupe_key: str | None
    retry_count: int
    max_retries: int
    scheduled_at: datetime | None
    next_attempt_at: datetime | None = Field(description="Null: nothing happens until a person acts.")
    created_by: str
    approved_by: str | None
    approved_at: datetime | None
    cancelled_by: str | None
    cancelled_at: datetime | None
    sent_at: datetime | None
    last_error: str | None
    created_at: datetime
    updated_at: datetime
    delivery: DeliveryShape | None = Field(description="Null where nothing is reported after sending.")


class GateShape(BaseModel):
    """A gate that a message has to pass."""

    gate: Literal["opt_out", "stop_on_reply", "frequency_cap", "state", "provider"]
    passes: bool = Field(alias="pass")
    detail: str


class ResultShape(BaseModel):
    """What became of the messages that were looked at."""

    processed: int
    sent: int
    failed: int
    blocked: int
    skipped: int
    swept: int = Field(description="Attempts of workers that were lost, settled on the way.")


OneMessage = schema("OneOutbound", outbound=OutboundShape)


@router.get("", summary="Messages", response_model=schema("Outbounds", outbound=list[OutboundShape], total=int))
async def list_messages(
    db: Db,
    scope: ProjectReader,
    status: str | None = None,
    channel: str | None = None,
    q: str | None = None,
    delivery: Annotated[str | None, Query(description="As the channel reported it: `failed`, …")] = None,
    limit: Few = 50,
    offset: Offset = 0,
) -> Envelope:
    """The newest first; `q` looks into recipient, content and keys."""
    asked = messages.build_filter(status, channel, q, delivery)
    found, total = await messages.list_messages(db, scope, asked, limit, offset)
    return success(outbound=[message(m) for m in found], total=total)


@router.post(
    "/draft",
    summary="Draft a message",
    status_code=201,
    response_model=OneMessage,
    responses={200: {"description": "The same request made it before.", "model": OneMessage}},
)
async def draft(db: Db, scope: ProjectEditor, given: NewDraft) -> Envelope:
    """Nothing is sent before somebody approves it."""
    wish = DraftRequest(
        channel=given.channel,
        recipient_ref=given.recipient_ref,
        payload=given.payload,
        idempotency_key=given.idempotency_key,
        dedupe_key=given.dedupe_key,
        max_retries=given.max_retries,
        scheduled_at=parse_time("scheduled_at", given.scheduled_at) if given.scheduled_at else None,
        evidence_refs=given.evidence_refs or [],
    )
    drafted, is_new = await drafts.create(db, scope, wish)
    return success(201 if is_new else 200, outbound=message(drafted))


@router.post("/process", summary="Send what is due", response_model=schema("Processed", result=ResultShape))
async def process(
    held: Resources, scope: ProjectEditor, given: Limited, limit: Annotated[int | None, Clamp(1, 200)] = None
) -> Envelope:
    """Approved messages whose time has come, and retries."""
    most = limit if limit is not None else given.limit
    tally = await delivery.process_due(
        held.db, scope, held.outbound, DeliveryOptions.from_settings(held.settings), most
    )
    return success(result=tally.counts)


@router.get(
    "/{outbound_id}",
    summary="One message",
    response_model=schema(
        "OutboundDossier",
        outbound=OutboundShape,
        attempts=list[DeliveryAttempt],
        policy=PolicyShape | None,
        history=list[EventShape],
    ),
)
async def show(db: Db, scope: ProjectReader, outbound_id: UuidText) -> Envelope:
    """With its attempts, its recipient's policy, and who did what about it, the oldest first."""
    found = await messages.get_details(db, scope, _id(outbound_id))
    return success(
        outbound=message(found.outbound), attempts=found.attempts, policy=found.policy, history=found.history
    )


@router.get(
    "/{outbound_id}/preflight",
    summary="Could it be sent?",
    response_model=schema("Preflight", gates=list[GateShape], sendable_at=datetime | None),
)
async def check(held: Resources, scope: ProjectReader, outbound_id: UuidText) -> Envelope:
    """Every gate, and from when on it could be sent; changes nothing."""
    found = await preflight.check_gates(held.db, scope, held.outbound, _id(outbound_id))
    gates = [{"gate": g.gate, "pass": g.passes, "detail": g.detail} for g in found.gates]
    return success(gates=gates, sendable_at=found.sendable_at)


@router.post("/{outbound_id}/approve", summary="Approve a draft", response_model=OneMessage)
async def approve(db: Db, settings: Config, scope: ProjectEditor, outbound_id: UuidText, given: Approval) -> Envelope:
    """Holds for exactly what the message says now."""
    approved = await approval.approve(
        db, scope, _id(outbound_id), four_eyes=settings.outbound_four_eyes, evidence_refs=given.evidence_refs
    )
    return success(outbound=message(approved))


@router.post("/{outbound_id}/send", summary="Send a message now", response_model=OneMessage)
async def send(held: Resources, scope: ProjectEditor, outbound_id: UuidText) -> Envelope:
    """Through the same gates as all others."""
    sent = await delivery.send_now(
        held.db, scope, held.outbound, DeliveryOptions.from_settings(held.settings), _id(outbound_id)
    )
    return success(outbound=message(sent))


@router.post("/{outbound_id}/cancel", summary="Cancel a message", response_model=OneMessage)
async def cancel(db: Db, scope: ProjectEditor, outbound_id: UuidText) -> Envelope:
    """It never goes out, unless it is drafted again."""
    return success(outbound=message(await approval.cancel(db, scope, _id(outbound_id))))


@router.post("/{outbound_id}/retry", summary="Try a failed message again", response_model=OneMessage)
async def retry(db: Db, scope: ProjectEditor, outbound_id: UuidText) -> Envelope:
    """On the approval it has. If its delivery was not known, it may arrive twice."""
    return success(outbound=message(await approval.retry(db, scope, _id(outbound_id))))


@router.post("/{outbound_id}/redraft", summary="Make a draft again", response_model=OneMessage)
async def redraft(db: Db, scope: ProjectEditor, outbound_id: UuidText) -> Envelope:
    """Of what failed, was cancelled, or was blocked and is not any more; to be approved anew."""
    return success(outbound=message(await approval.redraft(db, scope, _id(outbound_id))))


def message(found: OutboundMessage) -> dict[str, Any]:
    """A message as the contract spells it."""
    return found.fields


def _id(text: str) -> UUID:
    wanted = projects.parse_id(text)
    if wanted is None:
        raise OutboundNotFound("This project has no such message.")
    return wanted
