"""JSON: the audit log, the proof of its chain, and the evidence that it cites."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from proofdesk.audit import chain
from proofdesk.audit.chain import ChainProof
from proofdesk.audit.queries import AuditEvent, AuditFilter
from proofdesk.core import ids
from proofdesk.evidence import references
from proofdesk.evidence.queries import EvidenceItem
from proofdesk.http.dependencies import Db, ProjectReader
from proofdesk.http.json_routes import JsonRoute
from proofdesk.http.parameters import Limit, Offset, ShortLimit
from proofdesk.http.responses import JsonEnvelope, success
from proofdesk.http.schemas import row_schema, schema, to_answer

router = APIRouter(prefix="/v1", tags=["audit"], route_class=JsonRoute)

EvidenceQuery = Annotated[
    str, Query(max_length=1000, description="Words of a snippet; all must match. Empty: the evidence cited last.")
]


class AuditEventSchema(row_schema(AuditEvent)):
    """An audit event. Without a project it concerns the installation."""

    evidence_refs: list[dict[str, Any]] = Field(description="`{source, ref, snippet?, meta?}`")


class EvidenceSchema(
    row_schema(EvidenceItem, omit=("project_id", "account_id", "conversation_id", "message_id", "contact_id"))
):
    """Evidence that audit events cite."""

    source_type: str = Field(description="`message`, `conversation`, `chunk` or `external`.")
    source_pk: str = Field(description="The reference.")
    conversation_global_id: str | None
    message_global_id: str | None
    contact_global_id: str | None
    snippet: str | None = Field(description="Null when its message was deleted.")


class ProofSchema(row_schema(ChainProof, omit=("chain", "project_id"))):
    """The result of checking a chain."""

    fault: str = Field(description="Empty when the chain is intact.")
    event_id: int | None = Field(description="The first event that is wrong.")


@router.get(
    "/audit", summary="List audit events", response_model=schema("Audit", events=list[AuditEventSchema], total=int)
)
async def list_events(
    db: Db,
    scope: ProjectReader,
    action: Annotated[str | None, Query(description="An action, or a family such as `auth.*`.")] = None,
    entity_type: str | None = None,
    entity_id: str | None = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> JsonEnvelope:
    """Events of the active project, newest first. The owner also sees all sign-ins, others only their own."""
    event_filter = AuditFilter(action or None, entity_type or None, entity_id or None)
    events = await chain.list_events(db, scope, scope.actor, event_filter, limit, offset)
    events = await references.add_snippets(db, scope, events)
    return success(events=events, total=await chain.count_events(db, scope, scope.actor, event_filter))


@router.get("/audit/verify", summary="Verify the audit chain", response_model=schema("AuditProof", proof=ProofSchema))
async def verify(db: Db, scope: ProjectReader) -> JsonEnvelope:
    """Computes every hash of the active project's chain again."""
    return success(proof=to_answer(ProofSchema, await chain.verify(db, scope)))


@router.get(
    "/evidence/search",
    summary="Search cited evidence",
    response_model=schema("Evidence", evidence=list[EvidenceSchema]),
)
async def search_evidence(db: Db, scope: ProjectReader, q: EvidenceQuery = "", limit: ShortLimit = 20) -> JsonEnvelope:
    """Evidence that events of the active project cite, by words of its snippet."""
    return success(evidence=[_evidence(item) for item in await references.search(db, scope, q, limit)])


def _evidence(item: EvidenceItem) -> dict[str, Any]:
    project, account = item.project_id, item.account_id or 0
    return to_answer(
        EvidenceSchema,
        item,
        conversation_global_id=item.conversation_id and ids.conversation(project, account, item.conversation_id),
        message_global_id=item.message_id and ids.message(project, account, item.message_id),
        contact_global_id=ids.contact(project, account, item.contact_id),
    )
