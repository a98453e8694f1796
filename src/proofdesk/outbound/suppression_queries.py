"""SQL of suppressions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, fetch_all, fetch_optional, fetch_value, to_plain
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class Suppression:
    """A recipient to whom a channel sends nothing: an address, or a contact. `expires_at` None: until it is removed."""

    id: UUID
    channel: str
    address: str | None
    contact_global_id: str | None
    reason: str
    detail: str | None
    outbound_id: UUID | None
    created_by: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True)
class NewSuppression:
    """A suppression to store. `name` is an address in lower case or the global id of a contact."""

    channel: str
    name: str
    reason: str
    detail: str | None = None
    outbound_id: UUID | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class SuppressedRecipient:
    """A recipient of a message who is suppressed on its channel."""

    channel: str
    recipient: str
    reason: str
    expires_at: datetime | None


async def upsert_suppressions(conn: Conn, scope: Scope, suppressions: Sequence[NewSuppression]) -> list[Suppression]:
    """Store suppressions, at most one for each channel and name; return those that are new or changed."""
    return await fetch_all(
        conn,
        Suppression,
        """
        INSERT INTO suppressions AS s (project_id, account_scope_id, channel, name, reason, detail, outbound_id,
                                       created_by, expires_at)
        SELECT %(project)s, %(account_scope)s, r.channel, r.name, r.reason, r.detail, r.outbound_id, %(by)s,
               r.expires_at
        FROM jsonb_to_recordset(%(rows)s) AS r (channel text, name text, reason text, detail text, outbound_id uuid,
                                                expires_at timestamptz)
        ON CONFLICT (project_id, channel, name) DO UPDATE
        SET reason = excluded.reason, detail = excluded.detail, outbound_id = excluded.outbound_id,
            created_by = excluded.created_by, created_at = clock_timestamp(), expires_at = excluded.expires_at
        WHERE (s.reason, s.detail, s.expires_at) IS DISTINCT FROM
              (excluded.reason, excluded.detail, excluded.expires_at)
        RETURNING s.id, s.channel, s.address, s.contact_global_id, s.reason, s.detail, s.outbound_id, s.created_by,
                  s.created_at, s.expires_at""",
        project=scope.project_id,
        account_scope=scope.account_scope_id,
        by=scope.actor.username,
        rows=Jsonb([to_plain(row) for row in suppressions]),
    )


async def fetch_suppression(conn: Conn, scope: Scope, channel: str, name: str) -> Suppression | None:
    """Return the suppression of a channel and name."""
    return await fetch_optional(
        conn,
        Suppression,
        """
        SELECT id, channel, address, contact_global_id, reason, detail, outbound_id, created_by, created_at, expires_at
        FROM suppressions WHERE project_id = %(project)s AND channel = %(channel)s AND name = %(name)s""",
        project=scope.project_id,
        channel=channel,
        name=name,
    )


async def delete_suppression(conn: Conn, scope: Scope, channel: str, name: str) -> Suppression | None:
    """Delete the suppression of a channel and name, and return it; None when there is none."""
    return await fetch_optional(
        conn,
        Suppression,
        """
        DELETE FROM suppressions WHERE project_id = %(project)s AND channel = %(channel)s AND name = %(name)s
        RETURNING id, channel, address, contact_global_id, reason, detail, outbound_id, created_by, created_at,
                  expires_at""",
        project=scope.project_id,
        channel=channel,
        name=name,
    )


async def delete_suppressions_of_message(conn: Conn, scope: Scope, outbound_id: UUID) -> list[Suppression]:
    """Delete the suppressions that the delivery of a message caused, and return them."""
    return await fetch_all(
        conn,
        Suppression,
        """
        DELETE FROM suppressions WHERE project_id = %(project)s AND outbound_id = %(outbound)s
        RETURNING id, channel, address, contact_global_id, reason, detail, outbound_id, created_by, created_at,
                  expires_at""",
        project=scope.project_id,
        outbound=outbound_id,
    )


async def list_suppressions(
    conn: Conn, scope: Scope, channel: str | None, pattern: str | None, limit: int, offset: int
) -> list[Suppression]:
    """Return suppressions whose name matches a pattern, the newest first; those that have expired are left out."""
    return await fetch_all(
        conn,
        Suppression,
        """
        SELECT id, channel, address, contact_global_id, reason, detail, outbound_id, created_by, created_at, expires_at
        FROM suppressions
        WHERE project_id = %(project)s AND (expires_at IS NULL OR expires_at > clock_timestamp())
          AND (%(channel)s::text IS NULL OR channel = %(channel)s)
          AND (%(pattern)s::text IS NULL OR name ILIKE %(pattern)s)
        ORDER BY created_at DESC, id LIMIT %(limit)s OFFSET %(offset)s""",
        project=scope.project_id,
        channel=channel,
        pattern=pattern,
        limit=limit,
        offset=offset,
    )


async def count_suppressions(conn: Conn, scope: Scope, channel: str | None, pattern: str | None) -> int:
    """Count the suppressions that hold and whose name matches a pattern."""
    return await fetch_value(
        conn,
        """
        SELECT count(*) FROM suppressions
        WHERE project_id = %(project)s AND (expires_at IS NULL OR expires_at > clock_timestamp())
          AND (%(channel)s::text IS NULL OR channel = %(channel)s)
          AND (%(pattern)s::text IS NULL OR name ILIKE %(pattern)s)""",
        project=scope.project_id,
        channel=channel,
        pattern=pattern,
    )


async def fetch_suppressed(
    conn: Conn, scope: Scope, channels: Sequence[str], recipients: Sequence[str]
) -> list[SuppressedRecipient]:
    """Return those of the recipients, given with their channels, who are suppressed: by address or as a contact."""
    return await fetch_all(
        conn,
        SuppressedRecipient,
        """
        SELECT DISTINCT ON (r.channel, r.recipient) r.channel, r.recipient, s.reason, s.expires_at
        FROM unnest(%(channels)s::text[], %(recipients)s::text[]) AS r (channel, recipient)
        CROSS JOIN LATERAL (
            SELECT lower(r.recipient) AS name
            UNION SELECT format('cwc:%%s:%%s:%%s', %(project)s::uuid, b.account_id, b.contact_id)
            FROM contacts_behind(r.recipient) b) n
        JOIN suppressions s ON s.channel = r.channel AND s.name = n.name
        WHERE s.project_id = %(project)s AND (s.expires_at IS NULL OR s.expires_at > clock_timestamp())
        ORDER BY r.channel, r.recipient, s.expires_at DESC NULLS FIRST""",
        project=scope.project_id,
        channels=list(channels),
        recipients=list(recipients),
    )
