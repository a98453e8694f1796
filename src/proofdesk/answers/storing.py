"""Store questions with their answers. Each is one transaction with its audit event.

A question for a model is stored with a reservation of tokens before the model is called, and settled afterwards.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec

from proofdesk.answers import answer_queries as queries
from proofdesk.answers import register
from proofdesk.answers.answer import Answer, AnswerDraft
from proofdesk.answers.answer_queries import AnswerOutcome
from proofdesk.answers.generative import TokenUsage
from proofdesk.audit import events
from proofdesk.core.concurrency import run_to_completion
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Denied, ProofdeskError
from proofdesk.projects.scope import Scope


class AnswerBudgetExceeded(Denied):
    """The answers of the project used the tokens of this day."""

    code = "answer_budget_exceeded"


@dataclass(frozen=True)
class OpenQuestion:
    """A question that a model answers, and what it used so far."""

    id: UUID
    question: str
    model: str
    usage: TokenUsage = field(default_factory=TokenUsage)


async def store(db: Database, scope: Scope, question: str, draft: AnswerDraft) -> Answer:
    """Store a question with its answer."""
    key = uuid4()
    async with db.scoped(scope) as conn:
        await queries.insert_running(conn, scope, key, question, None, 0)
        await queries.settle(conn, scope, key, _build_outcome(draft, TokenUsage()))
        return await _record(conn, scope, key)


async def reserve(db: Database, scope: Scope, question: OpenQuestion, tokens: int, daily_tokens: int) -> None:
    """Store a question and reserve the tokens that a model may use. Raises `AnswerBudgetExceeded`."""
    async with db.scoped(scope) as conn:
        await queries.lock_budget(conn, scope)
        used = await queries.count_tokens_today(conn, scope)
        if used + tokens > daily_tokens:
            raise AnswerBudgetExceeded(
                f"The answers of this project used {used:,} of {daily_tokens:,} tokens today. Ask again tomorrow (UTC),"
                " or raise ANSWER_DAILY_TOKENS.",
                status=429,
                retry_after=_seconds_until_midnight(),
            )
        await queries.insert_running(conn, scope, question.id, question.question, question.model, tokens)


@asynccontextmanager
async def settled_on_failure(db: Database, scope: Scope, question: OpenQuestion) -> AsyncIterator[None]:
    """Store why a model did not answer, when the block fails or is cancelled."""
    try:
        yield
    except BaseException as error:
        reason = error.message if isinstance(error, ProofdeskError) else "The question was cancelled."
        await run_to_completion(_fail(db, scope, question, reason))
        raise


async def settle(db: Database, scope: Scope, question: OpenQuestion, draft: AnswerDraft) -> Answer:
    """Store the answer of a model, without sentences whose messages were changed meanwhile."""
    async with db.scoped(scope) as conn:
        current = await register.load_current_texts(conn, scope, draft)
        kept = [s for s in draft.sentences if all(register.holds(citation, current) for citation in s.citations)]
        superseded = [s for s in draft.superseded if kept and register.holds(s, current)]
        dropped = draft.dropped + len(draft.sentences) - len(kept)
        checked = replace(draft, sentences=kept, superseded=superseded, dropped=dropped)
        await queries.settle(conn, scope, question.id, _build_outcome(checked, question.usage))
        return await _record(conn, scope, question.id)


async def _fail(db: Database, scope: Scope, question: OpenQuestion, reason: str) -> None:
    outcome = replace(_build_outcome(AnswerDraft([]), question.usage), status="failed", error=reason)
    async with db.scoped(scope) as conn:
        await queries.settle(conn, scope, question.id, outcome)
        await _record(conn, scope, question.id)


def _build_outcome(draft: AnswerDraft, usage: TokenUsage) -> AnswerOutcome:
    return AnswerOutcome(
        status="answered" if draft.sentences else "abstained",
        sentences=msgspec.to_builtins(draft.sentences),
        superseded=msgspec.to_builtins(draft.superseded),
        nearest=msgspec.to_builtins(draft.nearest),
        diagnosis=msgspec.to_builtins(draft.diagnosis),
        dropped=draft.dropped,
        tokens=usage.tokens,
        cost=usage.cost,
        error=None,
        took_ms=round(draft.took_ms, 1),
    )


async def _record(conn: Conn, scope: Scope, answer_id: UUID) -> Answer:
    """Return the stored answer, and record that it was asked for. The event holds no text."""
    answer = await register.load_answer(conn, scope, answer_id)
    refs = dict.fromkeys(c.message_global_id for s in answer.sentences for c in s.citations)
    await events.record(
        conn,
        scope.actor,
        "answer.ask",
        "answer",
        answer.id,
        scope=scope,
        status="failed" if answer.status == "failed" else "ok",
        payload={"status": answer.status, "mode": answer.mode, "dropped": answer.dropped, "tokens": answer.tokens},
        evidence_refs=[events.EvidenceRef("cw_messages", ref) for ref in refs],
    )
    return answer


def _seconds_until_midnight() -> int:
    now = datetime.now(UTC)
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    return max(1, round((midnight - now).total_seconds()))
