"""An answer: sentences with citations, statements that no longer hold, or the nearest sentences when it abstains."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from proofdesk.answers.message_queries import CitableMessage
from proofdesk.core import ids
from proofdesk.projects.scope import Scope
from proofdesk.search.diagnosis import SearchDiagnosis

AnswerStatus = Literal["answered", "abstained"]
AnswerMode = Literal["extractive", "model"]
ABSTAINED = "The conversations do not say."


@dataclass(frozen=True)
class Citation:
    """An exact quote of a message. `created_at` is the time of the message."""

    message_global_id: str
    conversation_global_id: str
    quote: str
    sender_type: str
    sender_name: str | None
    created_at: datetime
    source_url: str | None


@dataclass(frozen=True)
class Sentence:
    """A sentence of an answer with the quotes that support it."""

    text: str
    citations: list[Citation]


@dataclass(frozen=True)
class SupersededStatement:
    """An earlier statement that the message `by` changed."""

    quote: str
    message_global_id: str
    by: str


@dataclass(frozen=True)
class AnswerDraft:
    """What is found before it is stored. Without sentences the answer abstains, and `diagnosis` is that of search."""

    sentences: list[Sentence]
    superseded: list[SupersededStatement] = field(default_factory=list)
    nearest: list[Citation] = field(default_factory=list)
    dropped: int = 0
    diagnosis: SearchDiagnosis | None = None
    took_ms: float = 0.0


@dataclass(frozen=True)
class Answer:
    """A stored answer. `stale` tells that a cited message was edited or deleted; `error` why the model failed."""

    id: UUID
    question: str
    asked_by: str
    status: str
    message: str | None
    sentences: list[Sentence]
    superseded: list[SupersededStatement]
    nearest: list[Citation]
    dropped: int
    mode: str
    model: str | None
    tokens: int
    cost: float | None
    error: str | None
    took_ms: float
    useful: bool | None
    comment: str | None
    stale: bool
    created_at: datetime
    diagnosis: dict[str, Any] | None


def cite(scope: Scope, base_url: str | None, message: CitableMessage, quote: str) -> Citation:
    """Return a citation of a message. `base_url` is the address of Chatwoot for the link."""
    project, account = scope.project_id, message.account_id
    path = f"accounts/{account}/conversations/{message.conversation_id}?messageId={message.message_id}"
    return Citation(
        message_global_id=ids.message(project, account, message.message_id),
        conversation_global_id=ids.conversation(project, account, message.conversation_id),
        quote=quote,
        sender_type=message.sender_type,
        sender_name=message.sender_name,
        created_at=message.created_at,
        source_url=f"{base_url.rstrip('/')}/app/{path}" if base_url else None,
    )
