"""SQL for the attempts and policies of many outbound messages at once. Nothing here changes a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from proofdesk.database.rows import Conn, fetch_all
from proofdesk.outbound.gates import Policy
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class OutboundAttempt:
    """One attempt to deliver a message. Without an outcome it is running, or its worker was lost."""

    outbound_id: UUID
    number: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    error: str | None
    duration_ms: int | None


@dataclass(frozen=True)
class RecipientPolicy(Policy):
    """A policy and the recipient that it applies to."""

    recipient: str


async def list_attempts(conn: Conn, scope: Scope, outbound_ids: Sequence[UUID]) -> list[OutboundAttempt]:
    """Return every attempt of these messages, oldest first."""
    return await fetch_all(
        conn,
        OutboundAttempt,
        """
        SELECT outbound_id, number, started_at, finished_at, outcome, error, duration_ms FROM outbound_attempts
        WHERE project_id = %(project)s AND outbound_id = ANY (%(ids)s) ORDER BY outbound_id, number""",
        project=scope.project_id,
        ids=list(outbound_ids),
    )


async def list_recipient_policies(
    conn: Conn, scope: Scope, channels: Sequence[str], recipients: Sequence[str]
) -> list[RecipientPolicy]:
    """Return the policies that apply to these recipients. `channels[i]` belongs to `recipients[i]`."""
    return await fetch_all(
        conn,
        RecipientPolicy,
        """
        SELECT DISTINCT a.recipient, p.id, p.project_id, p.account_scope_id, p.contact_global_id, p.channel,
               p.opted_out, p.stop_on_reply, p.frequency_window_hours, p.frequency_cap, p.sent_in_window,
               p.window_started_at, p.last_outbound_at, p.last_inbound_at, p.updated_at
        FROM unnest(%(channels)s::text[], %(recipients)s::text[]) AS a (channel, recipient)
        CROSS JOIN LATERAL names_of(a.recipient) n
        JOIN contact_channel_names k ON k.project_id = %(project)s AND k.name = n.name AND k.channel = a.channel
        JOIN contact_channel_policies p ON p.project_id = %(project)s AND p.id = k.policy_id""",
        project=scope.project_id,
        channels=list(channels),
        recipients=list(recipients),
    )
