"""JSON: the register of commitments."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import Field

from proofdesk.commitments import register
from proofdesk.commitments.commitment_queries import STATES, Commitment
from proofdesk.commitments.register import MAX_REASON_LENGTH, MAX_WHAT_LENGTH, CommitmentChange
from proofdesk.http.dependencies import Config, Db, ProjectEditor, ProjectReader
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.parameters import ContactId, ConversationId, Offset, ShortLimit, json_schema
from proofdesk.http.responses import JsonEnvelope, success
from proofdesk.http.schemas import row_schema, schema

router = APIRouter(prefix="/v1/commitments", tags=["commitments"], route_class=JsonRoute)

CommitmentId = Annotated[str, Path(description="Id of the commitment.", json_schema_extra={"format": "uuid"})]
Day = Annotated[str | None, Field(json_schema_extra=json_schema(type="string", format="date"))]


class ChangeBody(JsonBody):
    """What to change. Absent fields stay as they are; no job changes what is set here."""

    state: Any = Field(None, json_schema_extra=json_schema(type="string", enum=list(STATES[1:])))
    due: Any = Field(None, description="The last day; null: none.", json_schema_extra=json_schema(format="date"))
    what: Any = Field(None, json_schema_extra=json_schema(type="string", minLength=1, maxLength=MAX_WHAT_LENGTH))
    reason: Any = Field(None, json_schema_extra=json_schema(type="string", maxLength=MAX_REASON_LENGTH))


class CommitmentSchema(row_schema(Commitment)):
    """What a message promises: by whom, what, by when, and what became of it."""

    by: Literal["us", "contact"] = Field(description="The side that is bound.")
    by_name: str | None = Field(description="Who wrote the message.")
    said_at: Any = Field(description="When the message was written.", json_schema_extra={"format": "date-time"})
    quote: str = Field(description="The words of the message.")
    due_text: str | None = Field(description="The words that name the time.")


@router.get(
    "",
    summary="List commitments",
    response_model=schema("Commitments", commitments=list[CommitmentSchema], total=int),
)
async def list_commitments(
    db: Db,
    settings: Config,
    scope: ProjectReader,
    state: Annotated[str | None, Field(description=f"One or several of {', '.join(STATES)}.")] = None,
    owner: Annotated[str | None, Field(description="`us` or `contact`.")] = None,
    contact_global_id: ContactId | None = None,
    conversation_global_id: ConversationId | None = None,
    due_before: Day = None,
    overdue: bool | None = None,
    language: str | None = None,
    limit: ShortLimit = 50,
    offset: Offset = 0,
) -> JsonEnvelope:
    """Active commitments first, the earliest due first."""
    wanted = register.build_filter(
        state=state,
        owner=owner,
        contact_global_id=contact_global_id,
        conversation_global_id=conversation_global_id,
        due_before=due_before,
        overdue=overdue,
        language=language,
    )
    commitments, total = await register.list_commitments(db, scope, wanted, settings.project_timezone, limit, offset)
    return success(commitments=commitments, total=total)


@router.patch(
    "/{commitment_id}",
    summary="Change a commitment",
    response_model=schema("CommitmentChanged", commitment=CommitmentSchema),
)
async def change_commitment(
    db: Db, settings: Config, scope: ProjectEditor, commitment_id: CommitmentId, body: ChangeBody
) -> JsonEnvelope:
    """Confirms (`state` `open`), closes, corrects or dismisses (`withdrawn`) a commitment."""
    change = CommitmentChange(body.model_dump(exclude_unset=True))
    return success(commitment=await register.change(db, scope, commitment_id, change, settings.project_timezone))
