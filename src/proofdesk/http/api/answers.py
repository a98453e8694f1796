"""JSON: questions, their answers with citations, and feedback."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import Field

from proofdesk.answers import asking, register
from proofdesk.answers.answer import Answer
from proofdesk.answers.answer_queries import AnswerFilter
from proofdesk.answers.asking import AnswerRequest
from proofdesk.answers.questions import MAX_QUESTION_LENGTH
from proofdesk.answers.register import MAX_COMMENT_LENGTH
from proofdesk.http.api.search import FilterBody, search_filters
from proofdesk.http.dependencies import Db, ProjectReader, Resources
from proofdesk.http.json_routes import JsonBody, JsonRoute
from proofdesk.http.parameters import Offset, ShortLimit, json_schema
from proofdesk.http.responses import JsonEnvelope, success
from proofdesk.http.schemas import optional_field, row_schema, schema
from proofdesk.search.query import SearchFilters

router = APIRouter(prefix="/v1/answers", tags=["answers"], route_class=JsonRoute)

AnswerId = Annotated[str, Path(description="Id of the answer.", json_schema_extra={"format": "uuid"})]


class QuestionBody(JsonBody):
    """A question about the conversations of the project."""

    question: Any = Field(
        None, json_schema_extra=json_schema(type="string", minLength=1, maxLength=MAX_QUESTION_LENGTH)
    )
    filters: FilterBody | None = None
    include_private: bool = Field(False, description="Notes of agents may be cited too.")


class FeedbackBody(JsonBody):
    """Whether an answer was useful."""

    useful: Any = Field(None, json_schema_extra=json_schema(type="boolean"))
    comment: Any = Field(None, json_schema_extra=json_schema(type="string", maxLength=MAX_COMMENT_LENGTH))


class AnswerSchema(row_schema(Answer)):
    """An answer. Without sentences it abstains: `message` says so, and `nearest` has the nearest sentences."""

    stale: bool = Field(description="A cited message was edited or deleted since.")
    dropped: int = Field(description="Sentences of the model that failed verification.")


AnswerEnvelope = schema("AnswerEnvelope", answer=AnswerSchema, diagnosis=optional_field(dict[str, Any]))


@router.post("", summary="Ask a question", response_model=AnswerEnvelope)
async def ask_question(resources: Resources, scope: ProjectReader, body: QuestionBody) -> JsonEnvelope:
    """Sentences that quote messages, or `abstained` when the conversations do not say."""
    filters = search_filters(body.filters) if body.filters else SearchFilters()
    question = body.question if isinstance(body.question, str) else ""
    request = AnswerRequest(question, filters, body.include_private)
    answer = await asking.ask(resources.answering, scope, request)
    return success(answer=answer, **({"diagnosis": answer.diagnosis} if answer.diagnosis else {}))


@router.get("", summary="List answers", response_model=schema("Answers", answers=list[AnswerSchema], total=int))
async def list_answers(
    db: Db,
    scope: ProjectReader,
    status: Literal["answered", "abstained", "failed", "running"] | None = None,
    useful: bool | None = None,
    limit: ShortLimit = 50,
    offset: Offset = 0,
) -> JsonEnvelope:
    """The newest first. `status=abstained` lists the questions without an answer."""
    answers, total = await register.list_answers(db, scope, AnswerFilter(status, useful), limit, offset)
    return success(answers=answers, total=total)


@router.get("/{answer_id}", summary="Get an answer", response_model=schema("OneAnswer", answer=AnswerSchema))
async def get_answer(db: Db, scope: ProjectReader, answer_id: AnswerId) -> JsonEnvelope:
    """An answer, with `stale` as of now."""
    return success(answer=await register.get_answer(db, scope, answer_id))


@router.post(
    "/{answer_id}/feedback", summary="Rate an answer", response_model=schema("AnswerRated", answer=AnswerSchema)
)
async def rate_answer(db: Db, scope: ProjectReader, answer_id: AnswerId, body: FeedbackBody) -> JsonEnvelope:
    """Stores whether the answer was useful."""
    return success(answer=await register.give_feedback(db, scope, answer_id, body.useful, body.comment))
