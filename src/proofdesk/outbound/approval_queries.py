"""SQL of the decisions that people take about messages."""

from uuid import UUID

from proofdesk.database.rows import Conn, execute
from proofdesk.projects.scope import Scope


async def approve_draft(conn: Conn, scope: Scope, outbound_id: UUID) -> bool:
    """Approve a draft with its present content; return False when the message is not a draft."""
    return bool(
        await execute(
            conn,
            """
            UPDATE outbound_messages
            SET status = 'approved', approved_by = %(by)s, approved_at = clock_timestamp(),
                approved_hash = content_hash, next_attempt_at = coalesce(scheduled_at, clock_timestamp())
            WHERE project_id = %(project)s AND id = %(id)s AND status = 'draft'""",
            project=scope.project_id,
            id=outbound_id,
            by=scope.actor.username,
        )
    )


async def assign_draft(conn: Conn, scope: Scope, outbound_id: UUID, username: str) -> bool:
    """Store who is asked to approve a draft; return False when the message is not a draft."""
    return bool(
        await execute(
            conn,
            """
            UPDATE outbound_messages SET assigned_to = %(username)s
            WHERE project_id = %(project)s AND id = %(id)s AND status = 'draft'""",
            project=scope.project_id,
            id=outbound_id,
            username=username,
        )
    )


async def cancel_message(conn: Conn, scope: Scope, outbound_id: UUID) -> bool:
    """Cancel a message that was not sent and is not being sent; return False otherwise."""
    return bool(
        await execute(
            conn,
            """
            UPDATE outbound_messages
            SET status = 'cancelled', cancelled_by = %(by)s, cancelled_at = now(), next_attempt_at = NULL
            WHERE project_id = %(project)s AND id = %(id)s AND status IN ('draft', 'approved', 'failed')""",
            project=scope.project_id,
            id=outbound_id,
            by=scope.actor.username,
        )
    )


async def retry_message(conn: Conn, scope: Scope, outbound_id: UUID) -> bool:
    """Approve a failed message again with its approval and all its retries; return False when it did not fail.

    A message that waits for its channel becomes due at once.
    """
    return bool(
        await execute(
            conn,
            """
            UPDATE outbound_messages
            SET status = 'approved', retry_count = 0, next_attempt_at = greatest(scheduled_at, now())
            WHERE project_id = %(project)s AND id = %(id)s
              AND (status = 'failed' OR (status = 'approved' AND last_error LIKE 'provider_error: %%'))""",
            project=scope.project_id,
            id=outbound_id,
        )
    )


async def redraft_message(conn: Conn, scope: Scope, outbound_id: UUID) -> bool:
    """Turn a message that failed, was blocked or was cancelled into a draft; return False for any other.

    Raises `UniqueViolation` when another message holds its dedupe key now.
    """
    return bool(
        await execute(
            conn,
            """
            UPDATE outbound_messages SET status = 'draft'
            WHERE project_id = %(project)s AND id = %(id)s AND status IN ('failed', 'blocked_opt_out', 'cancelled')""",
            project=scope.project_id,
            id=outbound_id,
        )
    )
