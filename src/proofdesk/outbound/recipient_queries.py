"""SQL of recipients: their contacts, who can be reached, what they were sent and when they last wrote."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from proofdesk.database.rows import Conn, fetch_all, fetch_value
from proofdesk.projects.scope import Scope


@dataclass(frozen=True)
class RecipientContact:
    """The contact that a recipient belongs to."""

    recipient: str
    account_id: int
    contact_id: int
    name: str


@dataclass(frozen=True)
class ReachableContact:
    """A contact with their addresses, and the conversation to answer: the one asked for, else the latest."""

    account_id: int
    contact_id: int
    name: str
    email: str | None
    chat: str | None
    conversation_id: int | None
    status: str | None


@dataclass(frozen=True)
class _Id:
    id: UUID


async def fetch_recipient_contacts(conn: Conn, scope: Scope, recipients: Sequence[str]) -> list[RecipientContact]:
    """Return the contacts of recipients. A recipient without a contact is left out."""
    return await fetch_all(
        conn,
        RecipientContact,
        """
        SELECT DISTINCT ON (r.recipient) r.recipient, c.account_id, c.contact_id, c.name
        FROM unnest(%(recipients)s::text[]) AS r (recipient) CROSS JOIN LATERAL contacts_behind(r.recipient) b
        JOIN cw_contacts c ON c.account_id = b.account_id AND c.contact_id = b.contact_id
        WHERE c.project_id = %(project)s
        ORDER BY r.recipient, c.account_id, c.contact_id""",
        project=scope.project_id,
        recipients=sorted(set(recipients)),
    )


async def fetch_reachable_contacts(
    conn: Conn, scope: Scope, channel: str, pattern: str | None, number: int | None, limit: int
) -> list[ReachableContact]:
    """Return the contacts that a channel reaches, the last changed first.

    They match `pattern` in a name or an address, or have the conversation `number`.
    """
    return await fetch_all(
        conn,
        ReachableContact,
        """
        SELECT c.account_id, c.contact_id, c.name, c.email, c.chat, v.conversation_id, v.status
        FROM (SELECT project_id, account_id, contact_id, name, email, updated_at,
                     additional_attributes ->> 'social_telegram_user_id' AS chat
              FROM cw_contacts
              WHERE project_id = %(project)s
                AND CASE %(channel)s::text WHEN 'email' THEN email <> ''
                    WHEN 'telegram' THEN additional_attributes ? 'social_telegram_user_id' ELSE true END
                AND (%(pattern)s::text IS NULL OR name ILIKE %(pattern)s OR email ILIKE %(pattern)s
                     OR phone_number ILIKE %(pattern)s OR identifier ILIKE %(pattern)s
                     OR (account_id, contact_id) IN (
                         SELECT account_id, contact_id FROM cw_conversations
                         WHERE project_id = %(project)s AND conversation_id = %(number)s::bigint))
              ORDER BY updated_at DESC, account_id, contact_id LIMIT %(limit)s) c
        LEFT JOIN LATERAL (
            SELECT conversation_id, status FROM cw_conversations o
            WHERE o.project_id = %(project)s AND o.account_id = c.account_id AND o.contact_id = c.contact_id
            ORDER BY o.conversation_id IS NOT DISTINCT FROM %(number)s::bigint DESC, o.last_activity_at DESC LIMIT 1
        ) v ON true
        ORDER BY c.updated_at DESC, c.account_id, c.contact_id""",
        project=scope.project_id,
        channel=channel,
        pattern=pattern,
        number=number,
        limit=limit,
    )


async def fetch_message_ids(conn: Conn, scope: Scope, recipient: str, limit: int) -> list[UUID]:
    """Return the ids of messages to a recipient, by any of their names or conversations, the newest first."""
    rows = await fetch_all(
        conn,
        _Id,
        """
        WITH called AS MATERIALIZED (
            SELECT name FROM names_of(%(recipient)s)
            UNION SELECT format('cw:%%s:%%s:%%s', v.project_id, v.account_id, v.conversation_id)
            FROM contacts_behind(%(recipient)s) b
            JOIN cw_conversations v ON v.account_id = b.account_id AND v.contact_id = b.contact_id
            WHERE v.project_id = %(project)s)
        SELECT id FROM outbound_messages
        WHERE project_id = %(project)s AND recipient_lower = ANY (ARRAY(SELECT name FROM called))
        ORDER BY created_at DESC, id LIMIT %(limit)s""",
        project=scope.project_id,
        recipient=recipient,
        limit=limit,
    )
    return [row.id for row in rows]


@dataclass(frozen=True)
class _LatestReply:
    recipient: str
    at: datetime | None


async def fetch_latest_replies(conn: Conn, scope: Scope, recipients: Sequence[str]) -> dict[str, datetime]:
    """Return when each recipient last wrote, as far as it was synced. A recipient who never wrote is left out."""
    rows = await fetch_all(
        conn,
        _LatestReply,
        """
        SELECT r.recipient, newest_inbound(r.recipient) AS at
        FROM unnest(%(recipients)s::text[]) AS r (recipient)
        WHERE current_project() = %(project)s""",
        project=scope.project_id,
        recipients=sorted(set(recipients)),
    )
    return {row.recipient: row.at for row in rows if row.at is not None}


async def fetch_synced_at(conn: Conn, scope: Scope) -> datetime | None:
    """Return up to when every source of the project was synced; None before the first sync of one, or without any."""
    return await fetch_value(
        conn,
        """
        SELECT CASE WHEN bool_and(w.cursor_ts IS NOT NULL) THEN min(w.cursor_ts) END
        FROM project_sources s
        LEFT JOIN sync_watermarks w ON w.project_id = s.project_id AND w.source = s.source_kind || ':' || s.external_id
        WHERE s.project_id = %(project)s""",
        project=scope.project_id,
    )


async def contact_exists(conn: Conn, scope: Scope, account_id: int, contact_id: int) -> bool:
    """Return whether the project has this contact, or had it until it was merged into another."""
    return await fetch_value(
        conn,
        """
        SELECT EXISTS (SELECT FROM cw_contacts
                       WHERE project_id = %(project)s AND account_id = %(account)s AND contact_id = %(contact)s)
            OR EXISTS (SELECT FROM contact_merges WHERE project_id = %(project)s AND account_id = %(account)s
                         AND merged_contact_id = %(contact)s)""",
        project=scope.project_id,
        account=account_id,
        contact=contact_id,
    )


async def conversation_exists(conn: Conn, scope: Scope, account_id: int, conversation_id: int) -> bool:
    """Return whether the project has this conversation."""
    return await fetch_value(
        conn,
        """
        SELECT EXISTS (SELECT FROM cw_conversations WHERE project_id = %(project)s AND account_id = %(account)s
                         AND conversation_id = %(conversation)s)""",
        project=scope.project_id,
        account=account_id,
        conversation=conversation_id,
    )
