"""SQL of the register as the job writes it: rows of the extractor, and what later messages show."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from functools import partial
from uuid import UUID

from psycopg.types.json import Jsonb

from proofdesk.commitments.message_queries import ConversationKey
from proofdesk.database.rows import Conn, execute, fetch_all
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class NewCommitment:
    """A commitment that the extractor found in a message."""

    account_id: int
    conversation_id: int
    message_id: int
    said_at: datetime
    quote: str
    promised_by: str
    what: str
    due: date | None
    due_text: str | None
    conditional: bool
    language: str
    confidence: float
    state: str


@dataclass(frozen=True)
class RegisteredCommitment:
    """A commitment of the register, as far as its state depends on later messages."""

    id: UUID
    account_id: int
    conversation_id: int
    message_id: int
    said_at: datetime
    quote: str
    promised_by: str
    due: date | None
    language: str
    state: str
    edited: list[str]
    resolved_by: int | None
    superseded_by: UUID | None
    suggested_state: str | None
    suggested_by: int | None
    ignored_message: int | None


@dataclass(frozen=True)
class Resolution:
    """What a later message shows. An uncertain one is a suggestion for a person."""

    commitment_id: UUID
    state: str
    message_id: int
    superseded_by: UUID | None
    is_certain: bool


async def upsert_commitments(conn: Conn, scope: Scope, rows: Sequence[NewCommitment]) -> int:
    """Store commitments. What a person has set stays; an unchanged row stays untouched. Return how many changed."""
    return await execute(
        conn,
        """
        INSERT INTO commitments AS c (project_id, account_scope_id, account_id, conversation_id, message_id, said_at,
                                      quote, promised_by, what, due, due_text, conditional, language, confidence,
                                      source, state)
        SELECT %(project)s, %(account_scope)s, n.account_id, n.conversation_id, n.message_id, n.said_at, n.quote,
               n.promised_by, n.what, n.due, n.due_text, n.conditional, n.language, n.confidence, 'rules', n.state
        FROM jsonb_to_recordset(%(rows)s) AS n (
            account_id bigint, conversation_id bigint, message_id bigint, said_at timestamptz, quote text,
            promised_by text, what text, due date, due_text text, conditional boolean, language text, confidence real,
            state text)
        ON CONFLICT (project_id, account_id, message_id, md5(quote)) DO UPDATE
        SET what = CASE WHEN 'what' = ANY (c.edited) THEN c.what ELSE excluded.what END,
            due = CASE WHEN 'due' = ANY (c.edited) THEN c.due ELSE excluded.due END,
            due_text = excluded.due_text, conditional = excluded.conditional, language = excluded.language,
            confidence = excluded.confidence, promised_by = excluded.promised_by, updated_at = now()
        WHERE (c.due_text, c.conditional, c.language, c.confidence, c.promised_by)
              IS DISTINCT FROM (excluded.due_text, excluded.conditional, excluded.language, excluded.confidence,
                                excluded.promised_by)
           OR ('due' <> ALL (c.edited) AND c.due IS DISTINCT FROM excluded.due)
           OR ('what' <> ALL (c.edited) AND c.what <> excluded.what)""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        rows=Jsonb([asdict(row) for row in rows], dumps=partial(json.dumps, default=str)),
    )


async def delete_missing(
    conn: Conn, scope: Scope, messages: Sequence[tuple[int, int]], found_quotes: Sequence[tuple[int, int, str]]
) -> int:
    """Delete commitments that messages no longer make: all but the `found_quotes` and those a person edited.

    Of a message without text, which was deleted or became a note, no words may stay, so edited ones go as well.
    """
    return await execute(
        conn,
        """
        DELETE FROM commitments c
        USING unnest(%(accounts)s::bigint[], %(messages)s::bigint[]) m (account_id, message_id),
              cw_messages w
        WHERE c.project_id = %(project)s AND c.account_id = m.account_id AND c.message_id = m.message_id
          AND w.project_id = c.project_id AND w.account_id = c.account_id AND w.message_id = c.message_id
          AND (w.deleted OR w.private OR (c.edited = '{}' AND NOT EXISTS (
              SELECT FROM unnest(%(found_accounts)s::bigint[], %(found_messages)s::bigint[], %(found_quotes)s::text[])
                  f (account_id, message_id, quote)
              WHERE f.account_id = c.account_id AND f.message_id = c.message_id AND f.quote = c.quote)))""",
        project=scope.project_id,
        accounts=[account for account, _ in messages],
        messages=[message for _, message in messages],
        found_accounts=[account for account, _, _ in found_quotes],
        found_messages=[message for _, message, _ in found_quotes],
        found_quotes=[quote for _, _, quote in found_quotes],
    )


async def lock_commitments(
    conn: Conn, scope: Scope, conversation_keys: Sequence[ConversationKey], limit: int
) -> list[RegisteredCommitment]:
    """Lock the last commitments of conversations, at most `limit` of each, and return them, oldest first."""
    return await fetch_all(
        conn,
        RegisteredCommitment,
        """
        SELECT c.id, c.account_id, c.conversation_id, c.message_id, c.said_at, c.quote, c.promised_by, c.due,
               c.language, c.state, c.edited, c.resolved_by, c.superseded_by, c.suggested_state, c.suggested_by,
               c.ignored_message
        FROM commitments c WHERE c.project_id = %(project)s AND c.id IN (
            SELECT l.id FROM unnest(%(accounts)s::bigint[], %(conversations)s::bigint[]) v (account_id, conversation_id)
            CROSS JOIN LATERAL (
                SELECT id FROM commitments
                WHERE project_id = %(project)s AND account_id = v.account_id AND conversation_id = v.conversation_id
                ORDER BY said_at DESC, message_id DESC LIMIT %(limit)s) l)
        ORDER BY c.said_at, c.message_id, c.id FOR UPDATE OF c""",
        project=scope.project_id,
        accounts=[account for account, _ in conversation_keys],
        conversations=[conversation for _, conversation in conversation_keys],
        limit=limit,
    )


async def apply_resolutions(conn: Conn, scope: Scope, resolutions: Sequence[Resolution]) -> int:
    """Store what later messages show. An uncertain resolution leaves the commitment open. Return how many changed."""
    return await execute(
        conn,
        """
        UPDATE commitments c
        SET state = n.state, resolved_by = n.resolved_by, superseded_by = n.superseded_by,
            suggested_state = n.suggested_state, suggested_by = n.suggested_by, updated_at = now()
        FROM unnest(%(ids)s::uuid[], %(states)s::text[], %(messages)s::bigint[], %(replacements)s::uuid[],
                    %(certain)s::boolean[]) r (id, state, message_id, superseded_by, is_certain)
        JOIN commitments o ON o.project_id = %(project)s AND o.id = r.id
        CROSS JOIN LATERAL (SELECT
            CASE WHEN r.is_certain THEN r.state WHEN o.resolved_by IS NULL THEN o.state ELSE 'open' END AS state,
            CASE WHEN r.is_certain THEN r.message_id END AS resolved_by,
            CASE WHEN r.is_certain THEN r.superseded_by END AS superseded_by,
            CASE WHEN NOT r.is_certain THEN r.state END AS suggested_state,
            CASE WHEN NOT r.is_certain THEN r.message_id END AS suggested_by) n
        WHERE c.project_id = %(project)s AND c.id = o.id AND 'state' <> ALL (c.edited)
          AND (c.state, c.resolved_by, c.superseded_by, c.suggested_state, c.suggested_by)
              IS DISTINCT FROM (n.state, n.resolved_by, n.superseded_by, n.suggested_state, n.suggested_by)""",
        project=scope.project_id,
        ids=[r.commitment_id for r in resolutions],
        states=[r.state for r in resolutions],
        messages=[r.message_id for r in resolutions],
        replacements=[r.superseded_by for r in resolutions],
        certain=[r.is_certain for r in resolutions],
    )


async def reopen(conn: Conn, scope: Scope, commitment_ids: Sequence[UUID]) -> int:
    """Open commitments again whose resolving or suggesting message no longer shows it. Return how many changed."""
    return await execute(
        conn,
        """
        UPDATE commitments
        SET state = CASE WHEN resolved_by IS NULL THEN state ELSE 'open' END, resolved_by = NULL,
            superseded_by = NULL, suggested_state = NULL, suggested_by = NULL, updated_at = now()
        WHERE project_id = %(project)s AND id = ANY (%(ids)s) AND 'state' <> ALL (edited)""",
        project=scope.project_id,
        ids=list(commitment_ids),
    )
