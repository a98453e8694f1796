"""JSON: who did what, whether the record is whole, and the evidence it cites."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from proofdesk.audit import chain
from proofdesk.audit.queries import AuditFilter
from proofdesk.core import ids
from proofdesk.evidence import references
from proofdesk.evidence.queries import EvidenceItem
from proofdesk.http.dependencies import Db, ProjectReader
from proofdesk.http.json_routes import JsonRoute
from proofdesk.http.parameters import Clamp, Limit, Offset
from proofdesk.http.responses import Envelope, success
from proofdesk.http.schemas import schema

router = APIRouter(prefix="/v1", tags=["audit"], route_class=JsonRoute)

Few = Annotated[int, Clamp(1, 200)]
Words = Annotated[str, Query(max_length=1000, description="All of them; empty: what was cited last.")]


class EventShape(BaseModel):
    """Something that was done. Without a project it concerns the installation."""

    id: int
    project_id: UUID | None
    actor_username: str
    action: str
    entity_type: str
    entity_id: str | None
    status: str
    request_id: str | None
    payload: dict[str, Any]
    evidence_refs: list[dict[str, Any]] = Field(description="`{source, ref, snippet?, meta?}`")
    created_at: datetime


class EvidenceShape(BaseModel):
    """Something that events cite."""

    id: int
    source_type: str = Field(description="`message`, `conversation`, `chunk` or `external`.")
    source_table: str | None
    source_pk: str = Field(description="The reference.")
    conversation_global_id: str | None
    message_global_id: str | None
    contact_global_id: str | None
    snippet: str | None = Field(description="Null when its message was deleted.")
    payload: dict[str, Any]
    created_at: datetime


class ProofShape(BaseModel):
    """A look at the chain."""

    events: int
    last_hash: str
    fault: str = Field(description="Empty when the chain is whole.")
    event_id: int | None = Field(description="The first event that is wrong.")


def asked(action: str | None = None, entity_type: str | None = None, entity_id: str | None = None) -> AuditFilter:
    """Which events are asked for; what is empty asks for all."""
    return AuditFilter(action or None, entity_type or None, entity_id or None)


@router.get("/audit", summary="Who did what", response_model=schema("Audit", events=list[EventShape], total=int))
async def list_events(
    db: Db,
    scope: ProjectReader,
    action: Annotated[str | None, Query(description="An action, or a family such as `auth.*`.")] = None,
    entity_type: str | None = None,
    entity_id: str | None = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Envelope:
    """Events of the active project, newest first. Logins and the like: the owner sees all, others their own."""
    which = asked(action, entity_type, entity_id)
    events = await chain.list_events(db, scope, scope.actor, which, limit, offset)
    events = await references.add_snippets(db, scope, events)
    return success(events=events, total=await chain.count_events(db, scope, scope.actor, which))


@router.get("/audit/verify", summary="Prove the record", response_model=schema("AuditProof", proof=ProofShape))
async def verify(db: Db, scope: ProjectReader) -> Envelope:
    """Works out every hash of the active project's chain anew."""
    return success(proof=_proof(await chain.verify(db, scope)))


@router.get(
    "/evidence/search",
    summary="Cited evidence",
    response_model=schema("Evidence", evidence=list[EvidenceShape]),
)
async def search_evidence(db: Db, scope: ProjectReader, q: Words = "", limit: Few = 20) -> Envelope:
    """What events of the active project cite, by the words of the snippets."""
    return success(evidence=[_item(i) for i in await references.search(db, scope, q, limit)])


def _proof(proof: chain.ChainProof) -> dict[str, Any]:
    return {
        "events": proof.events,
        "last_hash": proof.last_hash,
        "fault": proof.fault,
        "event_id": proof.event_id,
    }


def _item(item: EvidenceItem) -> dict[str, Any]:
    project, account = item.project_id, item.account_id or 0
    return {
        "id": item.id,
        "source_type": item.source_type,
        "source_table": item.source_table,
        "source_pk": item.source_pk,
        "conversation_global_id": item.conversation_id and ids.conversation(project, account, item.conversation_id),
        "message_global_id": item.message_id and ids.message(project, account, item.message_id),
        "contact_global_id": ids.contact(project, account, item.contact_id),
        "snippet": item.snippet,
        "payload": item.payload,
        "created_at": item.created_at,
    }
