"""JSON: outbound messages from draft to delivery."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from proofdesk.core.paging import MAX_SHORT_LIMIT
from proofdesk.http.api.audit import AuditEventSchema
from proofdesk.http.api.policies import PolicySchema
from proofdesk.http.dependencies import Config, Db, ProjectEditor, ProjectReader, Resources
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.parameters import REFERENCES, Clamp, Offset, ShortLimit, UuidText, json_schema, parse_time
from proofdesk.http.responses import JsonEnvelope, success
from proofdesk.http.schemas import row_schema, schema
from proofdesk.outbound import approval, drafts, edits, messages, preflight
from proofdesk.outbound.channels import registry
from proofdesk.outbound.delivery import delivery
from proofdesk.outbound.delivery.attempt_queries import DeliveryAttempt
from proofdesk.outbound.delivery.delivery import DeliveryTotals
from proofdesk.outbound.delivery_report import DeliveryReport
from proofdesk.outbound.drafts import DraftRequest
from proofdesk.outbound.edits import MessageEdit
from proofdesk.outbound.message_queries import HIDDEN_FIELDS, OutboundMessage
from proofdesk.outbound.messages import OutboundNotFound
from proofdesk.outbound.preflight import GateCheck
from proofdesk.outbound.version_queries import MessageVersion
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


class DraftBody(JsonBody):
    """A new draft."""

    channel: Any = Field(None, json_schema_extra=json_schema(type="string", enum=list(registry.CHANNELS)))
    recipient_ref: Any = Field(None, json_schema_extra=json_schema(type="string", minLength=1))
    payload: Any = Field(None, description="The content for the channel.", json_schema_extra=json_schema(**_PAYLOAD))
    idempotency_key: Any = Field(
        None, json_schema_extra=json_schema(type="string", minLength=1, maxLength=drafts.MAX_KEY_LENGTH)
    )
    dedupe_key: Key = None
    max_retries: Annotated[int, Field(ge=0, le=drafts.MAX_RETRIES)] = drafts.DEFAULT_RETRIES
    evidence_refs: Refs = None
    scheduled_at: str | None = Field(None, description="Not sent before this time, such as 2026-01-31T12:00Z.")


class EditBody(JsonBody):
    """What to change in a message. What is absent stays as it is."""

    payload: Any = Field(None, description="The whole new content.", json_schema_extra=json_schema(**_PAYLOAD))
    recipient_ref: Any = Field(None, json_schema_extra=json_schema(type="string", minLength=1))
    evidence_refs: Refs = None
    scheduled_at: str | None = Field(None, description="Null: as soon as it is approved.")
    content_hash: str | None = Field(
        None, description="The hash of the content that was read: refuses to change other content."
    )


class ApprovalBody(JsonBody):
    """The evidence that supports an approval."""

    evidence_refs: Refs = None


class ProcessBody(JsonBody):
    """How many messages to process."""

    limit: ShortLimit = 20


class DeliverySchema(row_schema(DeliveryReport, omit=("via",))):
    """The delivery status that Chatwoot's channel reported."""

    status: Literal["sent", "delivered", "read", "failed"] = Field(description="`sent`: no report yet.")
    error: str | None = Field(description="Why it failed, in the channel's words.")
    at: datetime | None = Field(description="When Proofdesk read the report.")
    channel: str


class OutboundSchema(row_schema(OutboundMessage, omit=HIDDEN_FIELDS)):
    """An outbound message."""

    content_hash: str = Field(description="Hash of channel, recipient and payload. An approval is bound to it.")
    status: Status
    next_attempt_at: datetime | None = Field(description="Null: nothing happens until a person acts.")
    delivery: DeliverySchema | None = Field(description="Null when the channel reports nothing after sending.")


class GateSchema(row_schema(GateCheck, omit=("passes",))):
    """The result of one gate."""

    gate: Literal[
        "kill_switch", "opt_out", "suppression", "stop_on_reply", "freshness", "frequency_cap", "state", "provider"
    ]
    passes: bool = Field(alias="pass")


class DeliveryTotalsSchema(row_schema(DeliveryTotals, omit=("stopped_early",))):
    """The numbers of messages that were processed."""

    swept: int = Field(description="Attempts of lost workers that were settled.")


class AssignmentBody(JsonBody):
    """Who is asked to approve."""

    username: str = Field("", description="Username of an approver or manager, or of the owner.")


OutboundAnswer = schema("OneOutbound", outbound=OutboundSchema)


@router.get("", summary="List messages", response_model=schema("Outbounds", outbound=list[OutboundSchema], total=int))
async def list_messages(
    db: Db,
    scope: ProjectReader,
    status: str | None = None,
    channel: str | None = None,
    q: str | None = None,
    delivery: Annotated[str | None, Query(description="Status that the channel reported, such as `failed`.")] = None,
    assigned_to: Annotated[str | None, Query(description="Username of who is asked to approve.")] = None,
    limit: ShortLimit = 50,
    offset: Offset = 0,
) -> JsonEnvelope:
    """The newest first. `q` searches recipient, content and keys."""
    message_filter = messages.build_filter(status, channel, q, delivery, assigned_to)
    page, total = await messages.list_messages(db, scope, message_filter, limit, offset)
    return success(outbound=[message(row) for row in page], total=total)


@router.post(
    "/draft",
    summary="Draft a message",
    status_code=201,
    response_model=OutboundAnswer,
    responses={200: {"description": "An earlier request with the same key created it.", "model": OutboundAnswer}},
)
async def draft(db: Db, scope: ProjectEditor, body: DraftBody) -> JsonEnvelope:
    """A draft is not sent before a person approves it."""
    request = DraftRequest(
        channel=body.channel,
        recipient_ref=body.recipient_ref,
        payload=body.payload,
        idempotency_key=body.idempotency_key,
        dedupe_key=body.dedupe_key,
        max_retries=body.max_retries,
        scheduled_at=parse_time("scheduled_at", body.scheduled_at) if body.scheduled_at else None,
        evidence_refs=body.evidence_refs or [],
    )
    created, is_new = await drafts.create(db, scope, request)
    return success(201 if is_new else 200, outbound=message(created))


@router.post("/process", summary="Send due messages", response_model=schema("Processed", result=DeliveryTotalsSchema))
async def process(
    resources: Resources,
    scope: ProjectEditor,
    body: ProcessBody,
    limit: Annotated[int | None, Clamp(1, MAX_SHORT_LIMIT)] = None,
) -> JsonEnvelope:
    """Sends approved messages that are due, and retries."""
    totals = await delivery.process_due(
        resources.db,
        scope,
        resources.outbound,
        resources.delivery_options,
        limit or body.limit,
    )
    return success(result=totals.counts)


@router.get(
    "/{outbound_id}",
    summary="Get a message",
    response_model=schema(
        "OutboundDetails",
        outbound=OutboundSchema,
        attempts=list[DeliveryAttempt],
        policy=PolicySchema | None,
        history=list[AuditEventSchema],
        versions=list[MessageVersion],
    ),
)
async def show(db: Db, scope: ProjectReader, outbound_id: UuidText) -> JsonEnvelope:
    """A message with its attempts, its recipient's policy, its audit events, and the versions that edits replaced."""
    details = await messages.get_details(db, scope, _parse_id(outbound_id))
    return success(
        outbound=message(details.outbound),
        attempts=details.attempts,
        policy=details.policy,
        history=details.history,
        versions=details.versions,
    )


@router.get(
    "/{outbound_id}/preflight",
    summary="Check the gates of a message",
    response_model=schema("Preflight", gates=list[GateSchema], sendable_at=datetime | None),
)
async def check(resources: Resources, scope: ProjectReader, outbound_id: UuidText) -> JsonEnvelope:
    """Every gate, and the time from which the message can be sent. Changes nothing."""
    report = await preflight.check_gates(resources.db, scope, resources.outbound, _parse_id(outbound_id))
    gates = [{"gate": g.gate, "pass": g.passes, "detail": g.detail} for g in report.gates]
    return success(gates=gates, sendable_at=report.sendable_at)


@router.patch("/{outbound_id}", summary="Edit a message", response_model=OutboundAnswer)
async def edit(db: Db, scope: ProjectEditor, outbound_id: UuidText, body: EditBody) -> JsonEnvelope:
    """Changes what is named, until the message is sent. An approved message becomes a draft again."""
    changes = MessageEdit(**{name: getattr(body, name) for name in edits.FIELDS if name in body.model_fields_set})
    if "evidence_refs" in changes:
        changes["evidence_refs"] = body.evidence_refs or []
    if body.scheduled_at:
        changes["scheduled_at"] = parse_time("scheduled_at", body.scheduled_at)
    edited = await edits.edit(db, scope, _parse_id(outbound_id), changes, read_hash=body.content_hash)
    return success(outbound=message(edited))


@router.post("/{outbound_id}/approve", summary="Approve a draft", response_model=OutboundAnswer)
async def approve(
    db: Db, settings: Config, scope: ProjectEditor, outbound_id: UuidText, body: ApprovalBody
) -> JsonEnvelope:
    """An approval holds for the current content only."""
    approved = await approval.approve(
        db,
        scope,
        _parse_id(outbound_id),
        four_eyes=settings.outbound_four_eyes,
        evidence_refs=body.evidence_refs,
    )
    return success(outbound=message(approved))


@router.post("/{outbound_id}/send", summary="Send a message", response_model=OutboundAnswer)
async def send(resources: Resources, scope: ProjectEditor, outbound_id: UuidText) -> JsonEnvelope:
    """Sends now, through the same gates as every other message."""
    sent = await delivery.send_now(
        resources.db,
        scope,
        resources.outbound,
        resources.delivery_options,
        _parse_id(outbound_id),
    )
    return success(outbound=message(sent))


@router.post("/{outbound_id}/assign", summary="Ask for an approval", response_model=OutboundAnswer)
async def assign(db: Db, scope: ProjectEditor, outbound_id: UuidText, body: AssignmentBody) -> JsonEnvelope:
    """Assigns a draft to a person who may approve it. Others who may approve still may."""
    return success(outbound=message(await approval.assign(db, scope, _parse_id(outbound_id), body.username)))


@router.post("/{outbound_id}/cancel", summary="Cancel a message", response_model=OutboundAnswer)
async def cancel(db: Db, scope: ProjectEditor, outbound_id: UuidText) -> JsonEnvelope:
    """A cancelled message is not sent, unless it is redrafted."""
    return success(outbound=message(await approval.cancel(db, scope, _parse_id(outbound_id))))


@router.post("/{outbound_id}/retry", summary="Retry a message", response_model=OutboundAnswer)
async def retry(db: Db, scope: ProjectEditor, outbound_id: UuidText) -> JsonEnvelope:
    """The approval stays. If the outcome of its delivery is unknown, it may arrive twice."""
    return success(outbound=message(await approval.retry(db, scope, _parse_id(outbound_id))))


@router.post("/{outbound_id}/redraft", summary="Redraft a message", response_model=OutboundAnswer)
async def redraft(db: Db, scope: ProjectEditor, outbound_id: UuidText) -> JsonEnvelope:
    """Makes a failed or cancelled message a draft again, or a blocked one that is not blocked any more."""
    return success(outbound=message(await approval.redraft(db, scope, _parse_id(outbound_id))))


def message(row: OutboundMessage) -> dict[str, Any]:
    """Return a message as JSON shows it."""
    return row.fields


def _parse_id(text: str) -> UUID:
    outbound_id = projects.parse_id(text)
    if outbound_id is None:
        raise OutboundNotFound("This project has no such message.")
    return outbound_id
