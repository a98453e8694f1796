"""Answer a question: search, read, find the sentences that answer, and keep all of it in the register."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

from proofdesk.answers import drafts, extractive, generative, prompt, questions, ranking, sources, storing
from proofdesk.answers.answer import Answer, AnswerDraft
from proofdesk.answers.chat_model import ChatModel
from proofdesk.answers.extractive import Extract
from proofdesk.answers.message_queries import CitableMessage
from proofdesk.answers.storing import OpenQuestion
from proofdesk.database.pool import Database
from proofdesk.indexing.embeddings.provider import EmbeddingProvider
from proofdesk.projects.scope import Scope
from proofdesk.search.diagnosis import SearchDiagnosis
from proofdesk.search.query import SearchFilters
from proofdesk.settings import Settings

Report = Callable[[str], Awaitable[None]]
"""Takes the step that begins, for people who wait."""


@dataclass(frozen=True)
class AnswerRequest:
    """A question with the filters of search. With `include_private`, notes of agents may be cited."""

    question: str
    filters: SearchFilters = field(default_factory=SearchFilters)
    include_private: bool = False


@dataclass(frozen=True)
class AnswerTools:
    """What answering needs. Without a `model`, answers quote sentences of messages."""

    db: Database
    provider: EmbeddingProvider | None
    settings: Settings
    model: ChatModel | None = None


@dataclass(frozen=True)
class Findings:
    """What was found for a question: the messages of the best conversations, and the answer without a model."""

    question: str
    messages: Sequence[CitableMessage]
    extract: Extract
    diagnosis: SearchDiagnosis
    started: float

    def complete(self, draft: AnswerDraft) -> AnswerDraft:
        """Return the draft with the time that it took, and the diagnosis of search when it abstains."""
        took_ms = (time.perf_counter() - self.started) * 1000
        return replace(draft, took_ms=took_ms, diagnosis=None if draft.sentences else self.diagnosis)


async def ask(tools: AnswerTools, scope: Scope, request: AnswerRequest, report: Report | None = None) -> Answer:
    """Answer a question from the messages of the project.

    Raises `QuestionRequired`, and with a model `AnswerBudgetExceeded` and `AnswerModelFailed`. No connection is held
    during a call of the embedding provider or the model.
    """
    report = report or _ignore
    findings = await _find(tools, scope, request, report)
    if tools.model is not None and findings.messages:
        return await _ask_model(tools, tools.model, scope, findings, report)
    draft = drafts.from_extract(scope, tools.settings.chatwoot_links, findings.extract)
    return await storing.store(tools.db, scope, findings.question, findings.complete(draft))


async def _find(tools: AnswerTools, scope: Scope, request: AnswerRequest, report: Report) -> Findings:
    started = time.perf_counter()
    question = questions.parse_question(questions.validate_question(request.question))
    await report("Searching the conversations")
    found = await sources.find_sources(
        tools.db, scope, tools.provider, tools.settings, question, request.filters, request.include_private
    )
    await report(f"Reading {len(found.messages)} messages")
    conversations = ranking.rank_conversations(question, found.messages, found.frequencies)
    extract = extractive.extract_answer(ranking.rank_sentences(question, conversations))
    messages = [message for conversation in conversations for message in conversation.messages]
    return Findings(question.text, messages, extract, found.diagnosis, started)


async def _ask_model(tools: AnswerTools, model: ChatModel, scope: Scope, findings: Findings, report: Report) -> Answer:
    passages = prompt.select_passages(findings.messages)
    reserved = prompt.estimate_tokens(prompt.build_messages(findings.question, passages))
    open_question = OpenQuestion(uuid4(), findings.question, model.name)
    await storing.reserve(tools.db, scope, open_question, reserved, tools.settings.answer_daily_tokens)
    async with storing.settled_on_failure(tools.db, scope, open_question):
        await report(f"Asking {model.name}")
        generated = await generative.generate_answer(model, findings.question, passages, open_question.usage)
        await report("Verifying quotes")
        draft = drafts.from_model(scope, tools.settings.chatwoot_links, generated, findings.extract)
        return await storing.settle(tools.db, scope, open_question, findings.complete(draft))


async def _ignore(step: str) -> None:
    """Report to nobody."""
