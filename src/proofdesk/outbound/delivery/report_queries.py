"""SQL of what Chatwoot reports of messages after it accepted them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from proofdesk.database.rows import Conn, execute, fetch_all
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class ReportWindow:
    """The messages of a conversation whose status may still change: from the first to the last, by id."""

    account_id: int
    conversation_id: int
    first_id: int
    last_id: int


@dataclass(frozen=True)
class StatusReport:
    """A new status, and the one before it."""

    outbound_id: UUID
    message_id: int
    before: str
    status: str
    error: str | None
    via: str | None


async def insert_deliveries(conn: Conn, scope: Scope, outbound_ids: Sequence[UUID]) -> None:
    """Expect reports of those messages that were sent through Chatwoot."""
    await execute(
        conn,
        """
        INSERT INTO outbound_deliveries (project_id, account_scope_id, outbound_id, account_id, message_id, sent_at)
        SELECT o.project_id, o.account_scope_id, o.id, split_part(o.recipient_ref, ':', 3)::bigint,
               a.provider_message_id::bigint, o.sent_at
        FROM outbound_messages o JOIN outbound_attempts a ON a.project_id = o.project_id AND a.outbound_id = o.id
        WHERE o.project_id = %(project)s AND o.id = ANY (%(ids)s) AND o.channel = 'chatwoot' AND o.status = 'sent'
          AND a.outcome = 'sent' AND a.provider_message_id ~ '^[1-9][0-9]{0,17}$'
        ON CONFLICT DO NOTHING""",
        project=scope.project_id,
        ids=list(outbound_ids),
    )


async def claim_due_windows(conn: Conn, scope: Scope, days: int, limit: int) -> list[ReportWindow]:
    """Return conversations with messages whose status may still change, and mark these messages as checked.

    The conversation that waited longest comes first. A message is checked again after an eighth of its age: often at
    first, and about fifty times in a week.
    """
    return await fetch_all(
        conn,
        ReportWindow,
        """
        WITH due AS MATERIALIZED (
            SELECT d.account_id, m.conversation_id, min(d.message_id) AS first_id, max(d.message_id) AS last_id,
                   min(coalesce(d.checked_at, d.sent_at)) AS waiting
            FROM outbound_deliveries d
            JOIN cw_messages m ON m.project_id = d.project_id AND m.account_id = d.account_id
                              AND m.message_id = d.message_id
            WHERE d.project_id = %(project)s AND d.status IN ('sent', 'delivered')
              AND d.sent_at > now() - make_interval(days => %(days)s)
              AND (d.checked_at IS NULL OR d.checked_at <= now() - (now() - d.sent_at) / 8)
            GROUP BY 1, 2 ORDER BY waiting, 1, 2 LIMIT %(limit)s),
        checked AS (
            UPDATE outbound_deliveries d SET checked_at = now()
            FROM due JOIN cw_messages m ON m.project_id = %(project)s AND m.account_id = due.account_id
                                       AND m.message_id BETWEEN due.first_id AND due.last_id
                                       AND m.conversation_id = due.conversation_id
            WHERE d.project_id = %(project)s AND d.account_id = m.account_id AND d.message_id = m.message_id)
        SELECT account_id, conversation_id, first_id, last_id FROM due ORDER BY waiting, 1, 2""",
        project=scope.project_id,
        days=days,
        limit=limit,
    )


async def update_statuses(conn: Conn, scope: Scope, days: int) -> list[StatusReport]:
    """Copy the synced statuses of messages that were sent in the last days; return those that changed.

    Where a contact opens a conversation of a website or API inbox, Chatwoot marks every message as read. `read` is
    ignored there.
    """
    return await fetch_all(
        conn,
        StatusReport,
        """
        WITH reported AS (
            SELECT d.outbound_id, d.message_id, d.status AS before, i.channel_type AS via,
                   CASE WHEN m.status IN ('failed', 'delivered') THEN m.status
                        WHEN m.status = 'read' AND i.channel_type IN ('Channel::WebWidget', 'Channel::Api')
                            THEN CASE WHEN d.status = 'delivered' THEN 'delivered' ELSE 'sent' END
                        WHEN m.status = 'read' THEN 'read' ELSE 'sent' END AS status,
                   CASE WHEN m.status = 'failed'
                        THEN left(coalesce(m.content_attributes ->> 'external_error', d.error), 500) END AS error
            FROM outbound_deliveries d
            JOIN cw_messages m ON m.project_id = d.project_id AND m.account_id = d.account_id
                              AND m.message_id = d.message_id
            LEFT JOIN cw_inboxes i ON i.project_id = m.project_id AND i.account_id = m.account_id
                                  AND i.inbox_id = m.inbox_id
            WHERE d.project_id = %(project)s AND d.sent_at > now() - make_interval(days => %(days)s))
        UPDATE outbound_deliveries d
        SET status = t.status, error = t.error, via = t.via,
            reported_at = CASE WHEN (d.status, d.error) IS DISTINCT FROM (t.status, t.error) THEN now()
                               ELSE d.reported_at END
        FROM reported t
        WHERE d.project_id = %(project)s AND d.outbound_id = t.outbound_id
          AND (d.status, d.error, d.via) IS DISTINCT FROM (t.status, t.error, t.via)
        RETURNING d.outbound_id, d.message_id, t.before, d.status, d.error, d.via""",
        project=scope.project_id,
        days=days,
    )
