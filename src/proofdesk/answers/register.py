"""The register of answers: read them, tell whether they still hold, take feedback, and delete old ones."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import msgspec

from proofdesk.answers import answer_queries as queries
from proofdesk.answers.answer import ABSTAINED, Answer, AnswerDraft, Citation, Sentence, SupersededStatement
from proofdesk.answers.answer_queries import AnswerFilter, AnswerRow
from proofdesk.answers.quoting import contains_quote
from proofdesk.audit import events
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Invalid, NotFound
from proofdesk.projects.scope import Scope

MAX_COMMENT_LENGTH = 2000  # characters
DELETED = "The cited message was deleted."
MessageKey = tuple[int, int]


class AnswerNotFound(NotFound):
    """The project has no such answer."""

    code = "answer_not_found"


async def list_answers(
    db: Database, scope: Scope, answer_filter: AnswerFilter, limit: int, offset: int
) -> tuple[list[Answer], int]:
    """Return answers, the newest first, and their number. Those that abstained are the questions without an answer."""
    async with db.scoped(scope) as conn:
        rows = await queries.list_answers(conn, scope, answer_filter, limit, offset)
        return await _with_staleness(conn, scope, rows), await queries.count_answers(conn, scope, answer_filter)


async def get_answer(db: Database, scope: Scope, answer_id: str) -> Answer:
    """Return an answer. Raises `AnswerNotFound`."""
    async with db.scoped(scope) as conn:
        return await load_answer(conn, scope, _parse_id(answer_id))


async def load_answer(conn: Conn, scope: Scope, answer_id: UUID) -> Answer:
    """Return an answer, in an open transaction. Raises `AnswerNotFound`."""
    row = await queries.get_answer(conn, scope, answer_id)
    if row is None:
        raise AnswerNotFound("This project has no such answer.")
    [answer] = await _with_staleness(conn, scope, [row])
    return answer


async def give_feedback(db: Database, scope: Scope, answer_id: str, useful: object, comment: object) -> Answer:
    """Store whether an answer was useful. Raises `AnswerNotFound` or `Invalid`."""
    if not isinstance(useful, bool):
        raise Invalid("`useful` must be true or false.")
    if comment is not None and not (isinstance(comment, str) and len(comment) <= MAX_COMMENT_LENGTH):
        raise Invalid(f"`comment` must be a string of at most {MAX_COMMENT_LENGTH} characters.")
    key = _parse_id(answer_id)
    async with db.scoped(scope) as conn:
        if not await queries.set_feedback(conn, scope, key, useful, comment):
            raise AnswerNotFound("This project has no such answer.")
        answer = await load_answer(conn, scope, key)
        await events.record(
            conn, scope.actor, "answer.feedback", "answer", key, scope=scope, payload={"useful": useful}
        )
        return answer


async def delete_old(db: Database, scope: Scope, days: int) -> int:
    """Delete answers older than these days, and settle those whose process is gone. Return how many were deleted."""
    async with db.scoped(scope) as conn:
        await queries.fail_lost(conn, scope)
        return await queries.delete_old(conn, scope, days)


async def load_current_texts(conn: Conn, scope: Scope, *answers: Answer | AnswerDraft) -> Mapping[MessageKey, str]:
    """Return the current texts of the messages that answers cite, without deleted messages."""
    keys = sorted({_message_key(cited) for answer in answers for cited in _citations(answer)})
    texts = await queries.list_current_texts(conn, scope, [a for a, _ in keys], [m for _, m in keys]) if keys else []
    return {(text.account_id, text.message_id): text.content for text in texts}


def holds(cited: Citation | SupersededStatement, current: Mapping[MessageKey, str]) -> bool:
    """Return whether a message still contains what was cited."""
    return contains_quote(current.get(_message_key(cited), ""), cited.quote)


async def _with_staleness(conn: Conn, scope: Scope, rows: Sequence[AnswerRow]) -> list[Answer]:
    answers = [_to_answer(row) for row in rows]
    current = await load_current_texts(conn, scope, *answers)
    return [_compare(answer, current) for answer in answers]


def _compare(answer: Answer, current: Mapping[MessageKey, str]) -> Answer:
    """Return the answer with `stale`, and without the words of messages that were deleted."""
    cited = _citations(answer)
    stale = not all(holds(c, current) for c in cited)
    if all(_message_key(c) in current for c in cited):
        return replace(answer, stale=stale)
    sentences = [_without_deleted(sentence, current) for sentence in answer.sentences]
    kept = [s for s in answer.superseded if _message_key(s) in current]
    return replace(answer, stale=stale, sentences=sentences, superseded=kept)


def _without_deleted(sentence: Sentence, current: Mapping[MessageKey, str]) -> Sentence:
    if all(_message_key(citation) in current for citation in sentence.citations):
        return sentence
    citations = [c if _message_key(c) in current else replace(c, quote="") for c in sentence.citations]
    return Sentence(DELETED, citations)


def _citations(answer: Answer | AnswerDraft) -> list[Citation | SupersededStatement]:
    return [citation for sentence in answer.sentences for citation in sentence.citations] + list(answer.superseded)


def _message_key(cited: Citation | SupersededStatement) -> MessageKey:
    key = ids.parse(cited.message_global_id, "message")
    return key.account_id, key.number


def _to_answer(row: AnswerRow) -> Answer:
    return Answer(
        id=row.id,
        question=row.question,
        asked_by=row.asked_by,
        status=row.status,
        message=ABSTAINED if row.status == "abstained" else None,
        sentences=msgspec.convert(row.sentences, list[Sentence]),
        superseded=msgspec.convert(row.superseded, list[SupersededStatement]),
        nearest=msgspec.convert(row.nearest, list[Citation]),
        dropped=row.dropped,
        mode=row.mode,
        model=row.model,
        tokens=row.tokens,
        cost=row.cost,
        error=row.error,
        took_ms=row.took_ms,
        useful=row.useful,
        comment=row.comment,
        stale=False,
        created_at=row.created_at,
        diagnosis=row.diagnosis,
    )


def _parse_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise AnswerNotFound("This project has no such answer.") from None
