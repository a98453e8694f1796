"""SQL that counts messages by state."""

from dataclasses import dataclass

from proofdesk.database.rows import Conn, fetch_all, fetch_value
from proofdesk.outbound.message_queries import OutboundFilter
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class StateCount:
    """The number of messages in a state."""

    status: str
    messages: int


async def count_by_state(conn: Conn, scope: Scope, channel: str | None) -> list[StateCount]:
    """Return the number of messages in each state, as triggers count them. An empty state is left out."""
    return await fetch_all(
        conn,
        StateCount,
        """
        SELECT split_part(kind, ' ', 3) AS status, sum(n)::bigint AS messages FROM project_counts
        WHERE project_id = %(project)s AND starts_with(kind, concat('outbound ', %(channel)s::text || ' '))
        GROUP BY 1 HAVING sum(n) > 0""",
        project=scope.project_id,
        channel=channel,
    )


async def count_matching_by_state(conn: Conn, scope: Scope, message_filter: OutboundFilter) -> list[StateCount]:
    """Return the number of messages that match the filter, without its state, in each state."""
    return await fetch_all(
        conn,
        StateCount,
        """
        SELECT o.status, count(*) AS messages
        FROM outbound_messages o
        LEFT JOIN outbound_deliveries d ON d.project_id = o.project_id AND d.outbound_id = o.id
        WHERE o.project_id = %(project)s
          AND (%(channel)s::text IS NULL OR o.channel = %(channel)s)
          AND (%(delivery)s::text IS NULL OR d.status = %(delivery)s)
          AND (%(assigned_to)s::text IS NULL OR o.assigned_to = %(assigned_to)s)
          AND (%(pattern)s::text IS NULL
               OR concat_ws(' ', o.id, recipient_ref, payload, idempotency_key, dedupe_key) ILIKE %(pattern)s)
        GROUP BY o.status""",
        project=scope.project_id,
        channel=message_filter.channel,
        pattern=message_filter.pattern,
        delivery=message_filter.delivery,
        assigned_to=message_filter.assigned_to,
    )


async def count_assigned(conn: Conn, scope: Scope) -> int:
    """Return the number of drafts that the actor is asked to approve."""
    return await fetch_value(
        conn,
        """
        SELECT count(*) FROM outbound_messages
        WHERE project_id = %(project)s AND status = 'draft' AND assigned_to = %(user)s""",
        project=scope.project_id,
        user=scope.actor.username,
    )


async def count_undelivered(conn: Conn, scope: Scope, channel: str | None) -> int:
    """Return the number of messages that Chatwoot accepted and its channel failed to deliver."""
    return await fetch_value(
        conn,
        """
        SELECT count(*) FROM outbound_deliveries
        WHERE project_id = %(project)s AND status = 'failed' AND coalesce(%(channel)s, 'chatwoot') = 'chatwoot'""",
        project=scope.project_id,
        channel=channel,
    )
