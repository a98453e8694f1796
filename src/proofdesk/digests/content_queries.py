"""SQL of what a digest says: for each section the first rows, each with the total number."""

from dataclasses import dataclass
from datetime import datetime

from proofdesk.database.rows import Conn, fetch_all
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class DigestRow:
    """A row of a section, and how many rows the section has. `key` identifies what the row is about."""

    total: int
    key: str
    label: str
    detail: str
    at: datetime


async def list_unanswered(conn: Conn, scope: Scope, limit: int) -> list[DigestRow]:
    """Return open conversations whose last message is the contact's, and since when they wait. The longest is first."""
    return await fetch_all(
        conn,
        DigestRow,
        """
        SELECT count(*) OVER () AS total,
               format('cw:%%s:%%s:%%s', c.project_id, c.account_id, c.conversation_id) AS key,
               coalesce(nullif(k.name, ''), 'Contact ' || c.contact_id) AS label, '' AS detail, waiting.since AS at
        FROM cw_conversations c
        LEFT JOIN cw_contacts k ON k.project_id = %(project)s AND k.account_id = c.account_id
                               AND k.contact_id = c.contact_id
        CROSS JOIN LATERAL (
            SELECT max(m.created_at) AS at FROM cw_messages m
            WHERE m.project_id = %(project)s AND m.account_id = c.account_id AND m.conversation_id = c.conversation_id
              AND m.message_type = 'outgoing' AND NOT m.private AND NOT m.deleted) answered
        CROSS JOIN LATERAL (
            SELECT min(m.created_at) AS since FROM cw_messages m
            WHERE m.project_id = %(project)s AND m.account_id = c.account_id AND m.conversation_id = c.conversation_id
              AND m.message_type = 'incoming' AND NOT m.private AND NOT m.deleted
              AND m.created_at > coalesce(answered.at, '-infinity')) waiting
        WHERE c.project_id = %(project)s AND c.status = 'open' AND waiting.since IS NOT NULL
        ORDER BY waiting.since, c.account_id, c.conversation_id LIMIT %(limit)s""",
        project=scope.project_id,
        limit=limit,
    )


async def list_sent(conn: Conn, scope: Scope, since: datetime, until: datetime, limit: int) -> list[DigestRow]:
    """Return the messages that were sent in a time, the newest first."""
    return await fetch_all(
        conn,
        DigestRow,
        """
        SELECT count(*) OVER () AS total, id::text AS key, recipient_ref AS label, channel AS detail, sent_at AS at
        FROM outbound_messages
        WHERE project_id = %(project)s AND status = 'sent' AND sent_at > %(since)s AND sent_at <= %(until)s
        ORDER BY sent_at DESC, id LIMIT %(limit)s""",
        project=scope.project_id,
        since=since,
        until=until,
        limit=limit,
    )


async def list_unsent(conn: Conn, scope: Scope, since: datetime, until: datetime, limit: int) -> list[DigestRow]:
    """Return the messages that were blocked or failed for good in a time, the newest first."""
    return await fetch_all(
        conn,
        DigestRow,
        """
        SELECT count(*) OVER () AS total, id::text AS key, recipient_ref AS label,
               coalesce(last_error, status) AS detail, updated_at AS at
        FROM outbound_messages
        WHERE project_id = %(project)s AND updated_at > %(since)s AND updated_at <= %(until)s
          AND (status = 'blocked_opt_out' OR (status = 'failed' AND next_attempt_at IS NULL))
        ORDER BY updated_at DESC, id LIMIT %(limit)s""",
        project=scope.project_id,
        since=since,
        until=until,
        limit=limit,
    )


async def list_bounced(conn: Conn, scope: Scope, since: datetime, until: datetime, limit: int) -> list[DigestRow]:
    """Return the recipients whom a channel refused in a time, the newest first. `key` is the message, if any."""
    return await fetch_all(
        conn,
        DigestRow,
        """
        SELECT count(*) OVER () AS total, coalesce(outbound_id::text, '') AS key, name AS label, reason AS detail,
               created_at AS at
        FROM suppressions
        WHERE project_id = %(project)s AND reason <> 'manual' AND created_at > %(since)s AND created_at <= %(until)s
        ORDER BY created_at DESC, id LIMIT %(limit)s""",
        project=scope.project_id,
        since=since,
        until=until,
        limit=limit,
    )


async def list_incidents(conn: Conn, scope: Scope, since: datetime, until: datetime, limit: int) -> list[DigestRow]:
    """Return the incidents that are open, or were opened in a time: the open ones first."""
    return await fetch_all(
        conn,
        DigestRow,
        """
        SELECT count(*) OVER () AS total, id::text AS key, cause AS label, state AS detail, opened_at AS at
        FROM incidents
        WHERE (project_id = %(project)s OR project_id IS NULL)
          AND (state = 'open' OR (state = 'closed' AND opened_at > %(since)s AND opened_at <= %(until)s))
        ORDER BY state = 'closed', opened_at DESC, id LIMIT %(limit)s""",
        project=scope.project_id,
        since=since,
        until=until,
        limit=limit,
    )
