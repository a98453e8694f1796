"""SQL of the register of answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_optional, fetch_value
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class AnswerRow:
    """A stored answer."""

    id: UUID
    asked_by: str
    question: str
    status: str
    mode: str
    model: str | None
    sentences: list[Any]
    superseded: list[Any]
    nearest: list[Any]
    diagnosis: dict[str, Any] | None
    dropped: int
    tokens: int
    cost: float | None
    error: str | None
    took_ms: float
    useful: bool | None
    comment: str | None
    created_at: datetime


@dataclass(frozen=True)
class AnswerFilter:
    """Filters of the list of answers. None means that a filter is not set."""

    status: str | None = None
    useful: bool | None = None


@dataclass(frozen=True)
class AnswerOutcome:
    """What is stored when an answer is complete."""

    status: str
    sentences: list[Any]
    superseded: list[Any]
    nearest: list[Any]
    diagnosis: dict[str, Any] | None
    dropped: int
    tokens: int
    cost: float | None
    error: str | None
    took_ms: float


@dataclass(frozen=True)
class CurrentText:
    """The current text of a cited message."""

    account_id: int
    message_id: int
    content: str


async def insert_running(
    conn: Conn, scope: Scope, answer_id: UUID, question: str, model: str | None, reserved_tokens: int
) -> None:
    """Insert a question that is being answered, with the tokens that the model may use."""
    await execute(
        conn,
        """
        INSERT INTO answers (project_id, account_scope_id, id, asked_by, question, status, mode, model, tokens)
        VALUES (%(project)s, %(account_scope)s, %(id)s, %(asked_by)s, %(question)s, 'running',
                CASE WHEN %(model)s::text IS NULL THEN 'extractive' ELSE 'model' END, %(model)s, %(tokens)s)""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        id=answer_id,
        asked_by=scope.actor.username,
        question=question,
        model=model,
        tokens=reserved_tokens,
    )


async def settle(conn: Conn, scope: Scope, answer_id: UUID, answer_outcome: AnswerOutcome) -> None:
    """Store the outcome of a question."""
    await execute(
        conn,
        """
        UPDATE answers
        SET status = %(status)s, sentences = %(sentences)s, superseded = %(superseded)s, nearest = %(nearest)s,
            diagnosis = %(diagnosis)s, dropped = %(dropped)s, tokens = %(tokens)s, cost = %(cost)s, error = %(error)s,
            took_ms = %(took_ms)s
        WHERE project_id = %(project)s AND id = %(id)s""",
        project=scope.project_id,
        id=answer_id,
        **vars(answer_outcome)
        | {name: Jsonb(getattr(answer_outcome, name)) for name in ("sentences", "superseded", "nearest")}
        | {"diagnosis": None if answer_outcome.diagnosis is None else Jsonb(answer_outcome.diagnosis)},
    )


async def get_answer(conn: Conn, scope: Scope, answer_id: UUID) -> AnswerRow | None:
    """Return an answer."""
    return await fetch_optional(
        conn,
        AnswerRow,
        """
        SELECT id, asked_by, question, status, mode, model, sentences, superseded, nearest, diagnosis, dropped, tokens,
               cost, error, took_ms, useful, comment, created_at
        FROM answers WHERE project_id = %(project)s AND id = %(id)s""",
        project=scope.project_id,
        id=answer_id,
    )


async def list_answers(
    conn: Conn, scope: Scope, answer_filter: AnswerFilter, limit: int, offset: int
) -> list[AnswerRow]:
    """Return answers, the newest first."""
    return await fetch_all(
        conn,
        AnswerRow,
        """
        SELECT id, asked_by, question, status, mode, model, sentences, superseded, nearest, diagnosis, dropped, tokens,
               cost, error, took_ms, useful, comment, created_at
        FROM answers
        WHERE project_id = %(project)s AND (%(status)s::text IS NULL OR status = %(status)s)
          AND (%(useful)s::boolean IS NULL OR useful = %(useful)s)
        ORDER BY created_at DESC, id LIMIT %(limit)s OFFSET %(offset)s""",
        project=scope.project_id,
        status=answer_filter.status,
        useful=answer_filter.useful,
        limit=limit,
        offset=offset,
    )


async def count_answers(conn: Conn, scope: Scope, answer_filter: AnswerFilter) -> int:
    """Return how many answers `list_answers` returns without a limit."""
    return await fetch_value(
        conn,
        """
        SELECT count(*) FROM answers
        WHERE project_id = %(project)s AND (%(status)s::text IS NULL OR status = %(status)s)
          AND (%(useful)s::boolean IS NULL OR useful = %(useful)s)""",
        project=scope.project_id,
        status=answer_filter.status,
        useful=answer_filter.useful,
    )


async def list_current_texts(
    conn: Conn, scope: Scope, accounts: Sequence[int], message_ids: Sequence[int]
) -> list[CurrentText]:
    """Return the current texts of messages that were not deleted."""
    return await fetch_all(
        conn,
        CurrentText,
        """
        SELECT m.account_id, m.message_id, m.content
        FROM unnest(%(accounts)s::bigint[], %(messages)s::bigint[]) q (account_id, message_id)
        JOIN cw_messages m USING (account_id, message_id)
        WHERE m.project_id = %(project)s AND NOT m.deleted AND m.content IS NOT NULL""",
        project=scope.project_id,
        accounts=list(accounts),
        messages=list(message_ids),
    )


async def set_feedback(conn: Conn, scope: Scope, answer_id: UUID, useful: bool, comment: str | None) -> bool:
    """Store whether an answer was useful. Return False when there is no such answer."""
    changed = await execute(
        conn,
        """
        UPDATE answers SET useful = %(useful)s, comment = coalesce(%(comment)s, comment)
        WHERE project_id = %(project)s AND id = %(id)s""",
        project=scope.project_id,
        id=answer_id,
        useful=useful,
        comment=comment,
    )
    return changed > 0


async def lock_budget(conn: Conn, scope: Scope) -> None:
    """Let one transaction at a time compare the budget of the project and reserve tokens."""
    await execute(
        conn, "SELECT pg_advisory_xact_lock(hashtextextended('answers:' || %(project)s, 0))", project=scope.project_id
    )


async def count_tokens_today(conn: Conn, scope: Scope) -> int:
    """Return the tokens that answers of this project used or reserved since midnight UTC."""
    return await fetch_value(
        conn,
        """
        SELECT coalesce(sum(tokens), 0) FROM answers
        WHERE project_id = %(project)s AND mode = 'model'
          AND created_at >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'""",
        project=scope.project_id,
    )


async def delete_old(conn: Conn, scope: Scope, days: int) -> int:
    """Delete answers older than these days. Return their number."""
    return await execute(
        conn,
        """
        DELETE FROM answers
        WHERE project_id = %(project)s AND created_at < now() - make_interval(days => %(days)s)""",
        project=scope.project_id,
        days=days,
    )


async def fail_lost(conn: Conn, scope: Scope) -> None:
    """Mark answers as failed whose process is gone. No call to a model takes an hour."""
    await execute(
        conn,
        """
        UPDATE answers SET status = 'failed', error = 'The process that answered stopped.'
        WHERE project_id = %(project)s AND status = 'running' AND created_at < now() - interval '1 hour'""",
        project=scope.project_id,
    )
