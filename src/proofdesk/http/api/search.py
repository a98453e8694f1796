"""JSON: search."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from proofdesk.core import ids
from proofdesk.errors import Invalid
from proofdesk.http.dependencies import ProjectReader, Resources
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.parameters import ContactId, ConversationId, json_schema
from proofdesk.http.responses import Envelope, success
from proofdesk.http.schemas import optional_field, schema
from proofdesk.search import results
from proofdesk.search.results import SearchFilters, SearchQuery

router = APIRouter(prefix="/v1", tags=["search"], route_class=JsonRoute)

LONGEST = 4000


class QueryRequired(Invalid):
    """There is nothing to search for, or too much."""

    code = "query_required"


def _in_utc(time: datetime | None) -> datetime | None:
    return time if time is None or time.tzinfo else time.replace(tzinfo=UTC)


def _to_the_end(value: object) -> object:
    # Who names a day means all of it.
    return f"{value}T23:59:59.999999Z" if isinstance(value, str) and len(value) == 10 else value


Time = Annotated[datetime | None, AfterValidator(_in_utc)]
InboxId = Annotated[int, Field(ge=1, lt=2**63)]


class Narrowed(JsonBody):
    """What the search is narrowed to."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    from_: Time = Field(None, alias="from")
    to: Annotated[Time, BeforeValidator(_to_the_end)] = None
    inbox_ids: list[InboxId] | None = Field(None, max_length=200)
    conversation_global_id: ConversationId | None = None
    contact_global_id: ContactId | None = None
    sender: Literal["contact", "agent"] | None = None
    labels: list[str] | None = Field(None, max_length=200)
    status: str | None = None


class Asked(JsonBody):
    """A question."""

    query: str | None = Field(None, json_schema_extra=json_schema(type="string", minLength=1, maxLength=LONGEST))
    topK: int = Field(10, ge=1, le=50)
    mode: Literal["hybrid", "vector", "text"] = "hybrid"
    filters: Narrowed | None = None


class Result(BaseModel):
    """A chunk that was found."""

    model_config = ConfigDict(extra="allow")

    id: str
    conversation_global_id: str
    message_global_id: str
    chunk_index: int
    text: str
    snippet: str = Field(description="Plain text with `[[`…`]]` around matches.")
    created_at: datetime
    distance: float | None = Field(description="Cosine; null if found by text alone.")
    score: float
    ranks: dict[str, int | None]
    sender_type: str
    contact: dict[str, Any] | None
    inbox_id: int
    source_url: str | None
    evidence_ref: Any


Found = schema(
    "SearchAnswer",
    query=str,
    topK=int,
    mode=str,
    project_id=UUID,
    account_scope_id=UUID,
    embedding_model=str | None,
    search_config=dict[str, Any],
    results=list[Result],
    took_ms=dict[str, float],
    degraded=optional_field(str),
    diagnosis=optional_field(dict[str, Any]),
)


@router.post("/search", summary="Search the conversations", response_model=Found)
async def search(opened: Resources, scope: ProjectReader, asked: Asked) -> Envelope:
    """By meaning and by words; `diagnosis` says why when nothing is found."""
    question = asked_for(asked)
    answer = await results.search(opened.db, scope, opened.provider, opened.settings, question)
    optional = {"degraded": answer.degraded, "diagnosis": answer.diagnosis}
    return success(
        query=question.text,
        topK=question.top_k,
        mode=question.mode,
        project_id=scope.project_id,
        account_scope_id=scope.account_scope_id,
        embedding_model=answer.embedding_model,
        search_config=answer.search_config,
        results=answer.results,
        took_ms=answer.took_ms,
        **{name: value for name, value in optional.items() if value is not None},
    )


def asked_for(asked: Asked) -> SearchQuery:
    """The question of a request. Raises `QueryRequired` or `Invalid`."""
    text = (asked.query or "").strip()
    if not 1 <= len(text) <= LONGEST:
        raise QueryRequired(f"query has 1 to {LONGEST} characters.")
    filters = _filters(asked.filters) if asked.filters else SearchFilters()
    return SearchQuery(text=text, top_k=asked.topK, mode=asked.mode, filters=filters)


def _filters(given: Narrowed) -> SearchFilters:
    conversation, contact = given.conversation_global_id, given.contact_global_id
    return SearchFilters(
        from_=given.from_,
        to=given.to,
        inbox_ids=given.inbox_ids or None,
        conversation=ids.parse(conversation, "conversation") if conversation else None,
        contact=ids.parse(contact, "contact") if contact else None,
        sender=given.sender,
        labels=given.labels or None,
        status=given.status or None,
    )
