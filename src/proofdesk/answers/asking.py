"""Answer a question: search, read, find the sentences that answer, and keep all of it in the register."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import uuid4

from proofdesk.answers import answer_queries, extractive, questions, ranking, register, sources
from proofdesk.answers.answer import Answer, AnswerDraft, Citation, Sentence, SupersededStatement, cite
from proofdesk.answers.extractive import Extract
from proofdesk.answers.sources import Sources
from proofdesk.answers.statements import Statement
from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.indexing.embeddings.provider import EmbeddingProvider
from proofdesk.projects.scope import Scope
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
    """What answering needs: the database, the embedding provider of search, and the settings."""

    db: Database
    provider: EmbeddingProvider | None
    settings: Settings


async def ask(tools: AnswerTools, scope: Scope, request: AnswerRequest, report: Report | None = None) -> Answer:
    """Answer a question from the messages of the project. Raises `QuestionRequired`."""
    started = time.perf_counter()
    report = report or _ignore
    question = questions.parse_question(questions.validate_question(request.question))
    await report("Searching the conversations")
    found = await sources.find_sources(
        tools.db, scope, tools.provider, tools.settings, question, request.filters, request.include_private
    )
    await report(f"Reading {len(found.messages)} messages")
    conversations = ranking.rank_conversations(question, found.messages)
    extract = extractive.extract_answer(ranking.rank_sentences(question, conversations))
    draft = _draft(scope, tools.settings.chatwoot_links, extract)
    return await _store(tools.db, scope, request, found, draft, (time.perf_counter() - started) * 1000)


def _draft(scope: Scope, base_url: str | None, extract: Extract) -> AnswerDraft:
    def citation(statement: Statement) -> Citation:
        return cite(scope, base_url, statement.message, statement.text)

    return AnswerDraft(
        sentences=[Sentence(_attributed(statement), [citation(statement)]) for statement in extract.answer],
        superseded=[
            SupersededStatement(old.text, citation(old).message_global_id, citation(new).message_global_id)
            for old, new in extract.superseded
        ],
        nearest=[] if extract.answer else [citation(statement) for statement in extract.nearest],
    )


def _attributed(statement: Statement) -> str:
    """Return the quote with who wrote it and when."""
    message = statement.message
    author = message.sender_name or message.sender_type
    return f"{author}, {message.created_at:%Y-%m-%d}: “{statement.text}”"


async def _store(
    db: Database, scope: Scope, request: AnswerRequest, found: Sources, draft: AnswerDraft, took_ms: float
) -> Answer:
    outcome = register.build_outcome(draft, None if draft.sentences else found.diagnosis, took_ms)
    async with db.scoped(scope) as conn:
        answer_id = uuid4()
        await answer_queries.insert_running(conn, scope, answer_id, request.question.strip(), None, 0)
        await answer_queries.settle(conn, scope, answer_id, outcome)
        answer = await register.load_answer(conn, scope, answer_id)
        await record(conn, scope, answer)
        return answer


async def record(conn: answer_queries.Conn, scope: Scope, answer: Answer) -> None:
    """Record that a question was asked. The event holds no text of the question, of messages or of the answer."""
    cited = dict.fromkeys(c.message_global_id for s in answer.sentences for c in s.citations)
    await events.record(
        conn,
        scope.actor,
        "answer.ask",
        "answer",
        answer.id,
        scope=scope,
        status="failed" if answer.status == "failed" else "ok",
        payload={"status": answer.status, "mode": answer.mode, "dropped": answer.dropped, "tokens": answer.tokens},
        evidence_refs=[events.EvidenceRef("cw_messages", ref) for ref in cited],
    )


async def _ignore(step: str) -> None:
    """Report to nobody."""
