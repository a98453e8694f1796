"""JSON: search."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BeforeValidator, ConfigDict, Field

from proofdesk.core import ids
from proofdesk.http.dependencies import ProjectReader, Resources
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.parameters import ContactId, ConversationId, OptionalTime, json_schema
from proofdesk.http.responses import JsonEnvelope, success
from proofdesk.http.schemas import optional_field, row_schema, schema
from proofdesk.search import results
from proofdesk.search.query import (
    DEFAULT_HITS,
    MAX_HITS,
    MAX_QUERY_LENGTH,
    SearchFilters,
    SearchMode,
    SearchQuery,
    Sender,
    validate_query,
)
from proofdesk.search.results import Hit

router = APIRouter(prefix="/v1", tags=["search"], route_class=JsonRoute)


def _end_of_day(value: object) -> object:
    # A date includes its whole day.
    return f"{value}T23:59:59.999999Z" if isinstance(value, str) and len(value) == 10 else value


InboxId = Annotated[int, Field(ge=1, lt=2**63)]
QueryText = json_schema(type="string", minLength=1, maxLength=MAX_QUERY_LENGTH)


class FilterBody(JsonBody):
    """The filters of a search."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    from_: OptionalTime = Field(None, alias="from")
    to: Annotated[OptionalTime, BeforeValidator(_end_of_day)] = None
    inbox_ids: list[InboxId] | None = Field(None, max_length=200)
    conversation_global_id: ConversationId | None = None
    contact_global_id: ContactId | None = None
    sender: Sender | None = None
    labels: list[str] | None = Field(None, max_length=200)
    status: str | None = None


class SearchBody(JsonBody):
    """A query."""

    query: str | None = Field(None, json_schema_extra=QueryText)
    topK: int = Field(DEFAULT_HITS, ge=1, le=MAX_HITS)
    mode: SearchMode = "hybrid"
    filters: FilterBody | None = None


class HitSchema(row_schema(Hit)):
    """A hit: a chunk that matches."""

    snippet: str = Field(description="Plain text with `[[`…`]]` around matches.")
    distance: float | None = Field(description="Cosine distance; null for a hit that was found by its words only.")


SearchAnswer = schema(
    "SearchAnswer",
    query=str,
    topK=int,
    mode=str,
    project_id=UUID,
    account_scope_id=UUID,
    embedding_model=str | None,
    search_config=dict[str, Any],
    results=list[HitSchema],
    took_ms=dict[str, float],
    degraded=optional_field(str),
    hints=optional_field(list[str]),
    diagnosis=optional_field(dict[str, Any]),
)


@router.post("/search", summary="Search conversations", response_model=SearchAnswer)
async def search(resources: Resources, scope: ProjectReader, body: SearchBody) -> JsonEnvelope:
    """Hits by keyword and by embedding. `diagnosis` explains a result without strong hits."""
    query = _search_query(body)
    search_results = await results.search(resources.db, scope, resources.provider, resources.settings, query)
    optional = {
        "degraded": search_results.degraded,
        "diagnosis": search_results.diagnosis,
        "hints": search_results.hints or None,
    }
    return success(
        query=query.text,
        topK=query.top_k,
        mode=query.mode,
        project_id=scope.project_id,
        account_scope_id=scope.account_scope_id,
        embedding_model=search_results.embedding_model,
        search_config=search_results.search_config,
        results=search_results.results,
        took_ms=search_results.took_ms,
        **{name: value for name, value in optional.items() if value is not None},
    )


def _search_query(body: SearchBody) -> SearchQuery:
    """Return the query of a request. Raises `QueryRequired` or `Invalid`."""
    filters = search_filters(body.filters) if body.filters else SearchFilters()
    return SearchQuery(text=validate_query(body.query), top_k=body.topK, mode=body.mode, filters=filters)


def search_filters(body: FilterBody) -> SearchFilters:
    """Return the filters of a body. Raises `Invalid` for an id of another form."""
    conversation, contact = body.conversation_global_id, body.contact_global_id
    return SearchFilters(
        from_=body.from_,
        to=body.to,
        inbox_ids=body.inbox_ids or None,
        conversation=ids.parse(conversation, "conversation") if conversation else None,
        contact=ids.parse(contact, "contact") if contact else None,
        sender=body.sender,
        labels=body.labels or None,
        status=body.status or None,
    )
