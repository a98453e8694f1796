"""SQL of the register as people read and change it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, get_args
from uuid import UUID

from psycopg import sql

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_one, fetch_optional, fetch_value
from proofdesk.projects.scope import Scope

State = Literal["proposed", "open", "kept", "broken", "withdrawn", "superseded"]
Owner = Literal["us", "contact"]
STATES: tuple[State, ...] = get_args(State)
ACTIVE: tuple[State, ...] = ("proposed", "open")


@dataclass(frozen=True)
class Commitment:
    """A commitment of the register. `by` is the side that is bound, `by_name` who wrote the message.

    `suggested_state` is what a later message suggests, until a person decides.
    """

    id: UUID
    conversation_global_id: str
    message_global_id: str
    contact_global_id: str | None
    contact_name: str | None
    quote: str
    by: Owner
    by_name: str | None
    said_at: datetime
    what: str
    due: date | None
    due_text: str | None
    overdue: bool
    conditional: bool
    language: str
    state: State
    reason: str | None
    confidence: float
    source: Literal["rules", "model", "person"]
    resolved_by_message_global_id: str | None
    superseded_by: UUID | None
    suggested_state: State | None
    suggested_by_message_global_id: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class CommitmentFilter:
    """Which commitments to list. `account_id` belongs to `contact_id` and `conversation_id`."""

    states: Sequence[str] | None = None
    owner: str | None = None
    account_id: int | None = None
    contact_id: int | None = None
    conversation_id: int | None = None
    due_before: date | None = None
    is_overdue: bool | None = None
    language: str | None = None
    by_name: str | None = None
    is_due_soon: bool = False


@dataclass(frozen=True)
class CommitmentCounts:
    """Active commitments of a project: those whose day has passed, those due within a week, all, and all that wait
    for a person to confirm them."""

    overdue: int
    due_soon: int
    active: int
    proposed: int


_SELECT = sql.SQL("""
    SELECT c.id, format('cw:%%s:%%s:%%s', c.project_id, c.account_id, c.conversation_id) AS conversation_global_id,
           format('cwmsg:%%s:%%s:%%s', c.project_id, c.account_id, c.message_id) AS message_global_id,
           CASE WHEN v.contact_id IS NOT NULL
                THEN format('cwc:%%s:%%s:%%s', c.project_id, c.account_id, v.contact_id) END AS contact_global_id,
           p.name AS contact_name, c.quote, c.promised_by AS by, m.sender_name AS by_name, c.said_at, c.what, c.due,
           c.due_text, coalesce(c.due < %(today)s AND c.state IN ('proposed', 'open'), false) AS overdue,
           c.conditional, c.language, c.state, c.reason, c.confidence::float8 AS confidence, c.source,
           CASE WHEN c.resolved_by IS NOT NULL
                THEN format('cwmsg:%%s:%%s:%%s', c.project_id, c.account_id, c.resolved_by)
           END AS resolved_by_message_global_id,
           c.superseded_by, c.suggested_state,
           CASE WHEN c.suggested_by IS NOT NULL
                THEN format('cwmsg:%%s:%%s:%%s', c.project_id, c.account_id, c.suggested_by)
           END AS suggested_by_message_global_id,
           c.created_at, c.updated_at
    FROM commitments c
    JOIN cw_messages m ON m.project_id = c.project_id AND m.account_id = c.account_id AND m.message_id = c.message_id
    JOIN cw_conversations v ON v.project_id = c.project_id AND v.account_id = c.account_id
                           AND v.conversation_id = c.conversation_id
    LEFT JOIN cw_contacts p ON p.project_id = v.project_id AND p.account_id = v.account_id
                           AND p.contact_id = v.contact_id
    WHERE c.project_id = %(project)s""")
_FILTER = sql.SQL("""
      AND (%(states)s::text[] IS NULL OR c.state = ANY (%(states)s))
      AND (%(owner)s::text IS NULL OR c.promised_by = %(owner)s)
      AND (%(account)s::bigint IS NULL OR c.account_id = %(account)s)
      AND (%(contact)s::bigint IS NULL OR v.contact_id = %(contact)s)
      AND (%(conversation)s::bigint IS NULL OR c.conversation_id = %(conversation)s)
      AND (%(due_before)s::date IS NULL OR c.due < %(due_before)s)
      AND (%(overdue)s::boolean IS NULL
           OR coalesce(c.due < %(today)s AND c.state IN ('proposed', 'open'), false) = %(overdue)s)
      AND (NOT %(due_soon)s OR (c.due >= %(today)s AND c.due < %(today)s + 7))
      AND (%(language)s::text IS NULL OR c.language = %(language)s)
      AND (%(by_name)s::text IS NULL OR m.sender_name = %(by_name)s)""")


def _parameters(scope: Scope, wanted: CommitmentFilter, today: date) -> dict[str, object]:
    return {
        "project": scope.project_id,
        "today": today,
        "states": None if wanted.states is None else list(wanted.states),
        "owner": wanted.owner,
        "account": wanted.account_id,
        "contact": wanted.contact_id,
        "conversation": wanted.conversation_id,
        "due_before": wanted.due_before,
        "overdue": wanted.is_overdue,
        "due_soon": wanted.is_due_soon,
        "language": wanted.language,
        "by_name": wanted.by_name,
    }


async def list_commitments(
    conn: Conn, scope: Scope, wanted: CommitmentFilter, today: date, limit: int, offset: int
) -> list[Commitment]:
    """Return a page of commitments: active ones first, the earliest due first, then those without a date."""
    statement = sql.SQL("""{select}{filter}
        ORDER BY (c.state IN ('proposed', 'open')) DESC, c.due NULLS LAST, c.said_at DESC, c.id
        LIMIT %(limit)s OFFSET %(offset)s""").format(select=_SELECT, filter=_FILTER)
    return await fetch_all(conn, Commitment, statement, limit=limit, offset=offset, **_parameters(scope, wanted, today))


async def count_commitments(conn: Conn, scope: Scope, wanted: CommitmentFilter, today: date) -> int:
    """Count the commitments that match a filter."""
    statement = sql.SQL("SELECT count(*) FROM ({select}{filter}) matching").format(select=_SELECT, filter=_FILTER)
    return await fetch_value(conn, statement, **_parameters(scope, wanted, today))


async def count_active(conn: Conn, scope: Scope, today: date) -> CommitmentCounts:
    """Return the numbers of active commitments."""
    return await fetch_one(
        conn,
        CommitmentCounts,
        """
        SELECT count(*) FILTER (WHERE due < %(today)s) AS overdue,
               count(*) FILTER (WHERE due >= %(today)s AND due < %(today)s + 7) AS due_soon,
               count(*) AS active, count(*) FILTER (WHERE state = 'proposed') AS proposed
        FROM commitments WHERE project_id = %(project)s AND state IN ('proposed', 'open')""",
        project=scope.project_id,
        today=today,
    )


async def get_commitment(conn: Conn, scope: Scope, commitment_id: UUID, today: date) -> Commitment | None:
    """Return a commitment, None when the project has none of that id."""
    statement = sql.SQL("{select} AND c.id = %(id)s").format(select=_SELECT)
    return await fetch_optional(conn, Commitment, statement, project=scope.project_id, id=commitment_id, today=today)


async def lock_commitment(conn: Conn, scope: Scope, commitment_id: UUID) -> None:
    """Lock a commitment until the transaction ends."""
    await execute(
        conn,
        "SELECT FROM commitments WHERE project_id = %(project)s AND id = %(id)s FOR UPDATE",
        project=scope.project_id,
        id=commitment_id,
    )


async def update_commitment(
    conn: Conn,
    scope: Scope,
    commitment_id: UUID,
    *,
    state: str,
    due: date | None,
    what: str,
    reason: str | None,
    edited: Sequence[str],
    ignores_suggestion: bool,
) -> None:
    """Store what a person decided, and mark the fields that no job may change any more."""
    await execute(
        conn,
        """
        UPDATE commitments
        SET resolved_by = CASE WHEN state = %(state)s THEN resolved_by END,
            superseded_by = CASE WHEN state = %(state)s THEN superseded_by END,
            ignored_message = CASE WHEN %(ignores)s AND suggested_by IS NOT NULL
                                   THEN suggested_by ELSE ignored_message END,
            suggested_state = CASE WHEN NOT %(ignores)s AND 'state' <> ALL (%(edited)s) THEN suggested_state END,
            suggested_by = CASE WHEN NOT %(ignores)s AND 'state' <> ALL (%(edited)s) THEN suggested_by END,
            state = %(state)s, due = %(due)s, what = %(what)s, reason = %(reason)s, source = 'person',
            edited = ARRAY(SELECT DISTINCT unnest(edited || %(edited)s) ORDER BY 1), updated_at = now()
        WHERE project_id = %(project)s AND id = %(id)s""",
        project=scope.project_id,
        id=commitment_id,
        state=state,
        due=due,
        what=what,
        reason=reason,
        edited=list(edited),
        ignores=ignores_suggestion,
    )


async def list_names(conn: Conn, scope: Scope, limit: int) -> list[str]:
    """Return the names of those who promised something that is active, those with the most first."""
    return await fetch_value(
        conn,
        """
        SELECT ARRAY(SELECT m.sender_name FROM commitments c
        JOIN cw_messages m ON m.project_id = c.project_id AND m.account_id = c.account_id
                          AND m.message_id = c.message_id
        WHERE c.project_id = %(project)s AND c.state IN ('proposed', 'open') AND m.sender_name IS NOT NULL
        GROUP BY m.sender_name ORDER BY count(*) DESC, m.sender_name LIMIT %(limit)s)""",
        project=scope.project_id,
        limit=limit,
    )
