"""Plain values of answers for templates."""

from dataclasses import dataclass
from uuid import UUID

from proofdesk.answers.answer import Answer, Citation
from proofdesk.http.web import view_models
from proofdesk.http.web.view_models import ROLES, DisplayTime

STATES = {"answered": "Answered", "abstained": "No answer", "failed": "Failed", "running": "Running"}


@dataclass(frozen=True)
class CitationView:
    """A quote with who wrote it, when, and where it stands."""

    quote: str
    author: str
    role: str
    written: DisplayTime
    thread_url: str
    source_url: str


@dataclass(frozen=True)
class SentenceView:
    """A sentence with its citations. `text` is empty when the quote itself is the sentence."""

    text: str
    citations: list[CitationView]


@dataclass(frozen=True)
class AnswerView:
    """An answer."""

    id: UUID
    url: str
    question: str
    asked_by: str
    asked: DisplayTime
    status: str
    state: str
    message: str
    sentences: list[SentenceView]
    superseded: list[str]
    nearest: list[CitationView]
    dropped: int
    model: str
    stale: bool
    error: str
    useful: bool | None
    explanation: str


def answer_view(answer: Answer) -> AnswerView:
    """Return an answer for a template."""
    is_quoted = answer.mode == "extractive" and not answer.stale
    return AnswerView(
        id=answer.id,
        url=f"/answers/{answer.id}",
        question=answer.question,
        asked_by=answer.asked_by,
        asked=view_models.display_time(answer.created_at),
        status=answer.status,
        state=STATES[answer.status],
        message=answer.message or "",
        sentences=[
            SentenceView("" if is_quoted else sentence.text, [_citation_view(c) for c in sentence.citations])
            for sentence in answer.sentences
        ],
        superseded=[statement.quote for statement in answer.superseded],
        nearest=[_citation_view(citation) for citation in answer.nearest],
        dropped=answer.dropped,
        model=answer.model or "",
        stale=answer.stale,
        error=answer.error or "",
        useful=answer.useful,
        explanation=str(answer.diagnosis["message"]) if answer.diagnosis else "",
    )


def _citation_view(citation: Citation) -> CitationView:
    role = ROLES.get(citation.sender_type, citation.sender_type.title())
    return CitationView(
        quote=citation.quote,
        author=citation.sender_name or role,
        role=role if citation.sender_name else "",
        written=view_models.display_time(citation.created_at),
        thread_url=view_models.thread_url(citation.conversation_global_id, citation.message_global_id),
        source_url=citation.source_url or "",
    )
