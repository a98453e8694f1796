"""SQL that reads imported contacts, conversations and messages of a project."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg import sql

from proofdesk.core.ids import GlobalId
from proofdesk.database.rows import Conn, fetch_all, fetch_optional
from proofdesk.projects.scope import Scope

MessageKind = Literal[
    "message", "auto_reply", "bounce", "reaction", "survey", "bot", "template", "activity", "note", "deleted"
]


@dataclass(frozen=True)
class ContactRow:
    """A contact."""

    account_id: int
    contact_id: int
    name: str
    email: str | None
    phone_number: str | None
    identifier: str | None
    updated_at: datetime


@dataclass(frozen=True)
class ConversationRow:
    """A conversation, with the names of its contact and inbox if they were imported."""

    account_id: int
    conversation_id: int
    contact_id: int | None
    contact_name: str | None
    inbox_id: int
    inbox_name: str | None
    status: str
    assignee_id: int | None
    assignee_name: str | None
    labels: list[str]
    last_activity_at: datetime
    updated_at: datetime
    created_at: datetime


@dataclass(frozen=True)
class MessageRow:
    """A message, with the contact of its conversation. Lists hold the beginning of its content only.

    `kind`: `message`, or what else it is (`message_kind` in the database).
    """

    account_id: int
    message_id: int
    conversation_id: int
    contact_id: int | None
    message_type: str
    content_type: str
    sender_type: str
    sender_name: str | None
    private: bool
    deleted: bool
    kind: MessageKind
    content: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class ConversationMessage(MessageRow):
    """A message with its attachments. `delivery_error` is the reason why a channel did not deliver it, if any."""

    attachments: list[Any]
    delivery_error: str | None


@dataclass(frozen=True)
class InboxRow:
    """An inbox."""

    account_id: int
    inbox_id: int
    name: str


# Left out without a conversation: one plan for both cases would read all messages to find those of a conversation.
_WITHIN = sql.SQL("AND m.account_id = %(account)s AND m.conversation_id = %(conversation)s")


@dataclass(frozen=True)
class _Label:
    label: str


async def list_contacts(conn: Conn, scope: Scope, pattern: str | None, limit: int, offset: int) -> list[ContactRow]:
    """Return contacts whose name, address, number or identifier matches the pattern, last changed first."""
    return await fetch_all(
        conn,
        ContactRow,
        """
        SELECT account_id, contact_id, name, email, phone_number, identifier, updated_at FROM cw_contacts
        WHERE project_id = %(project)s
          AND (%(pattern)s::text IS NULL OR name ILIKE %(pattern)s OR email ILIKE %(pattern)s
               OR phone_number ILIKE %(pattern)s OR identifier ILIKE %(pattern)s)
        ORDER BY updated_at DESC, account_id, contact_id LIMIT %(limit)s OFFSET %(offset)s""",
        project=scope.project_id,
        pattern=pattern,
        limit=limit,
        offset=offset,
    )


async def get_contact(conn: Conn, scope: Scope, key: GlobalId) -> ContactRow | None:
    """Return a contact."""
    return await fetch_optional(
        conn,
        ContactRow,
        """
        SELECT account_id, contact_id, name, email, phone_number, identifier, updated_at FROM cw_contacts
        WHERE project_id = %(project)s AND account_id = %(account)s AND contact_id = %(contact)s""",
        project=scope.project_id,
        account=key.account_id,
        contact=key.number,
    )


async def list_contact_conversations(
    conn: Conn, scope: Scope, contact_key: GlobalId, limit: int
) -> list[ConversationRow]:
    """Return conversations of a contact, last active first."""
    return await fetch_all(
        conn,
        ConversationRow,
        """
        SELECT c.account_id, c.conversation_id, c.contact_id, k.name AS contact_name, c.inbox_id, i.name AS inbox_name,
               c.status, c.assignee_id, c.assignee_name, c.labels, c.last_activity_at, c.updated_at, c.created_at
        FROM cw_conversations c
        LEFT JOIN cw_contacts k USING (project_id, account_id, contact_id)
        LEFT JOIN cw_inboxes i ON (i.project_id, i.account_id, i.inbox_id) = (c.project_id, c.account_id, c.inbox_id)
        WHERE c.project_id = %(project)s AND c.account_id = %(account)s AND c.contact_id = %(contact)s
        ORDER BY c.last_activity_at DESC, c.conversation_id LIMIT %(limit)s""",
        project=scope.project_id,
        account=contact_key.account_id,
        contact=contact_key.number,
        limit=limit,
    )


async def list_conversations(
    conn: Conn, scope: Scope, inbox_id: int | None, status: str | None, limit: int, offset: int
) -> list[ConversationRow]:
    """Return conversations, last active first."""
    return await fetch_all(
        conn,
        ConversationRow,
        """
        SELECT c.account_id, c.conversation_id, c.contact_id, k.name AS contact_name, c.inbox_id, i.name AS inbox_name,
               c.status, c.assignee_id, c.assignee_name, c.labels, c.last_activity_at, c.updated_at, c.created_at
        FROM (SELECT * FROM cw_conversations
              WHERE project_id = %(project)s
                AND (%(inbox)s::bigint IS NULL OR inbox_id = %(inbox)s)
                AND (%(status)s::text IS NULL OR status = %(status)s)
              ORDER BY last_activity_at DESC, account_id, conversation_id LIMIT %(limit)s OFFSET %(offset)s) c
        LEFT JOIN cw_contacts k USING (project_id, account_id, contact_id)
        LEFT JOIN cw_inboxes i ON (i.project_id, i.account_id, i.inbox_id) = (c.project_id, c.account_id, c.inbox_id)
        ORDER BY c.last_activity_at DESC, c.account_id, c.conversation_id""",
        project=scope.project_id,
        inbox=inbox_id,
        status=status,
        limit=limit,
        offset=offset,
    )


async def get_conversation(conn: Conn, scope: Scope, key: GlobalId) -> ConversationRow | None:
    """Return a conversation."""
    return await fetch_optional(
        conn,
        ConversationRow,
        """
        SELECT c.account_id, c.conversation_id, c.contact_id, k.name AS contact_name, c.inbox_id, i.name AS inbox_name,
               c.status, c.assignee_id, c.assignee_name, c.labels, c.last_activity_at, c.updated_at, c.created_at
        FROM cw_conversations c
        LEFT JOIN cw_contacts k USING (project_id, account_id, contact_id)
        LEFT JOIN cw_inboxes i ON (i.project_id, i.account_id, i.inbox_id) = (c.project_id, c.account_id, c.inbox_id)
        WHERE c.project_id = %(project)s AND c.account_id = %(account)s AND c.conversation_id = %(conversation)s""",
        project=scope.project_id,
        account=key.account_id,
        conversation=key.number,
    )


async def list_messages(
    conn: Conn,
    scope: Scope,
    conversation_key: GlobalId | None,
    before: datetime | None,
    before_id: int | None,
    limit: int,
) -> list[MessageRow]:
    """Return messages of one conversation or of all, newest first.

    They are older than the time `before`, or of that time and with an id below `before_id`.
    """
    return await fetch_all(
        conn,
        MessageRow,
        sql.SQL(
            """
        SELECT m.account_id, m.message_id, m.conversation_id, c.contact_id, m.message_type, m.content_type,
               m.sender_type, m.sender_name, m.private, m.deleted, left(m.content, 1000) AS content,
               message_kind(m.message_type, m.sender_type, m.private, m.deleted, m.content_type, m.content_attributes,
                   c.additional_attributes ->> 'auto_reply' = 'true'
                   AND began_automatically(m.project_id, m.account_id, m.conversation_id, m.message_id)) AS kind,
               m.created_at, m.updated_at
        FROM cw_messages m JOIN cw_conversations c USING (project_id, account_id, conversation_id)
        WHERE m.project_id = %(project)s {within} AND (m.created_at, m.message_id)
              < (coalesce(%(before)s::timestamptz, 'infinity'), coalesce(%(before_id)s::bigint, 0))
        ORDER BY m.created_at DESC, m.message_id DESC LIMIT {limit}"""
        ).format(
            within=_WITHIN if conversation_key else sql.SQL(""), limit=limit
        ),  # the limit is a literal, since a plan for any limit would read a tenth of the table
        project=scope.project_id,
        account=conversation_key and conversation_key.account_id,
        conversation=conversation_key and conversation_key.number,
        before=before,
        before_id=before_id,
    )


async def get_message(conn: Conn, scope: Scope, key: GlobalId) -> MessageRow | None:
    """Return a message."""
    return await fetch_optional(
        conn,
        MessageRow,
        """
        SELECT m.account_id, m.message_id, m.conversation_id, c.contact_id, m.message_type, m.content_type,
               m.sender_type, m.sender_name, m.private, m.deleted, m.content, m.created_at, m.updated_at,
               message_kind(m.message_type, m.sender_type, m.private, m.deleted, m.content_type, m.content_attributes,
                   c.additional_attributes ->> 'auto_reply' = 'true'
                   AND began_automatically(m.project_id, m.account_id, m.conversation_id, m.message_id)) AS kind
        FROM cw_messages m JOIN cw_conversations c USING (project_id, account_id, conversation_id)
        WHERE m.project_id = %(project)s AND m.account_id = %(account)s AND m.message_id = %(message)s""",
        project=scope.project_id,
        account=key.account_id,
        message=key.number,
    )


async def list_conversation_messages(conn: Conn, scope: Scope, conversation_key: GlobalId) -> list[ConversationMessage]:
    """Return all messages of a conversation, in order."""
    return await fetch_all(
        conn,
        ConversationMessage,
        """
        SELECT m.account_id, m.message_id, m.conversation_id, c.contact_id, m.message_type, m.content_type,
               m.sender_type, m.sender_name, m.private, m.deleted, m.content, m.attachments, m.created_at, m.updated_at,
               message_kind(m.message_type, m.sender_type, m.private, m.deleted, m.content_type, m.content_attributes,
                   c.additional_attributes ->> 'auto_reply' = 'true'
                   AND began_automatically(m.project_id, m.account_id, m.conversation_id, m.message_id)) AS kind,
               CASE WHEN m.message_type <> 'incoming' AND m.status = 'failed'
                    THEN coalesce(m.content_attributes ->> 'external_error', '') END AS delivery_error
        FROM cw_messages m JOIN cw_conversations c USING (project_id, account_id, conversation_id)
        WHERE m.project_id = %(project)s AND m.account_id = %(account)s AND m.conversation_id = %(conversation)s
        ORDER BY m.created_at, m.message_id""",
        project=scope.project_id,
        account=conversation_key.account_id,
        conversation=conversation_key.number,
    )


async def list_inboxes(conn: Conn, scope: Scope) -> list[InboxRow]:
    """Return the imported inboxes, by name."""
    return await fetch_all(
        conn,
        InboxRow,
        """
        SELECT account_id, inbox_id, name FROM cw_inboxes WHERE project_id = %(project)s
        ORDER BY name, account_id, inbox_id""",
        project=scope.project_id,
    )


async def list_labels(conn: Conn, scope: Scope) -> list[str]:
    """Return the labels in use, at most 200."""
    rows = await fetch_all(
        conn,
        _Label,
        """
        SELECT DISTINCT unnest(labels) AS label FROM cw_conversations
        WHERE project_id = %(project)s ORDER BY label LIMIT 200""",
        project=scope.project_id,
    )
    return [row.label for row in rows]
