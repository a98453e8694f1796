"""Two sample conversations, inserted into a project as a sync would."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from proofdesk.audit.events import system_actor
from proofdesk.database.pool import Database
from proofdesk.indexing.chunking.chunker import ChunkLimits
from proofdesk.indexing.incremental import index_conversations
from proofdesk.projects import scope
from proofdesk.settings import Settings

ACCOUNT = 7
BEGAN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class StoryMessage:
    """A message of a sample conversation."""

    by: str
    name: str | None
    text: str
    private: bool = False


DELIVERY = [
    StoryMessage(
        "contact", "Amina Okafor", "Hello, my order 4471 was due on Friday and the delivery is still not here."
    ),
    StoryMessage(
        "agent", "Jonas Weber", "Sorry about that! The courier reports a flooded depot, so the delivery is late."
    ),
    StoryMessage("agent", "Jonas Weber", "Courier promised Tuesday, check again.", private=True),
    StoryMessage("contact", "Amina Okafor", "It is Tuesday evening, still no delivery. I would like a refund, please."),
    StoryMessage("agent", "Jonas Weber", "The refund of 48.90 is on its way to your card. It takes two working days."),
    StoryMessage("contact", "Amina Okafor", "Thank you, the refund arrived <b>today</b> & all is well."),
]
LOGIN = [
    StoryMessage("contact", "Luis Marin", "I cannot log in since the update: it says my password is wrong."),
    StoryMessage("agent", "Priya Nair", "Please use the link I sent you to choose another password."),
    StoryMessage("bot", None, "This conversation was quiet for a day."),
]


def insert_conversations(conn: psycopg.Connection, project_id: UUID) -> None:
    """Insert two conversations of two contacts, in two inboxes."""
    _inbox(conn, project_id, 1, "Website chat", "Channel::WebWidget")
    _inbox(conn, project_id, 2, "Support mail", "Channel::Email")
    _conversation(conn, project_id, 101, 1, 11, "open", ["delivery", "vip"], DELIVERY)
    _conversation(conn, project_id, 102, 2, 12, "resolved", ["login"], LOGIN)


async def make_searchable(db: Database, project_id: UUID) -> None:
    """Build chunks and the keyword index, as the end of a sync does."""
    inside = await scope.enter(db, system_actor(), project_id)
    await index_conversations(db, inside, ChunkLimits.from_settings(Settings()))


def account_scope_id(conn: psycopg.Connection, project_id: UUID) -> UUID:
    """Return the account scope of a project."""
    row = conn.execute("SELECT account_scope_id FROM projects WHERE id = %s", [project_id]).fetchone()
    assert row is not None
    return row[0]


def _inbox(conn: psycopg.Connection, project_id: UUID, inbox_id: int, name: str, channel: str) -> None:
    conn.execute(
        "INSERT INTO cw_inboxes (project_id, account_scope_id, account_id, inbox_id, name, channel_type)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [project_id, account_scope_id(conn, project_id), ACCOUNT, inbox_id, name, channel],
    )


def _conversation(
    conn: psycopg.Connection,
    project_id: UUID,
    number: int,
    inbox_id: int,
    contact_id: int,
    status: str,
    labels: list[str],
    story: list[StoryMessage],
) -> None:
    both = [project_id, account_scope_id(conn, project_id), ACCOUNT]
    name = story[0].name
    began = BEGAN + timedelta(days=number - 100)
    conn.execute(
        "INSERT INTO cw_contacts (project_id, account_scope_id, account_id, contact_id, name, email, blocked,"
        " additional_attributes, custom_attributes) VALUES (%s, %s, %s, %s, %s, %s, false, '{}', '{}')",
        [*both, contact_id, name, f"{(name or '').split()[0].lower()}@example.com"],
    )
    conn.execute(
        "INSERT INTO cw_conversations (project_id, account_scope_id, account_id, conversation_id, inbox_id, contact_id,"
        " status, labels, additional_attributes, custom_attributes, last_activity_at, created_at, updated_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, '{}', '{}', %s, %s, %s)",
        [*both, number, inbox_id, contact_id, status, labels, began + timedelta(hours=len(story)), began, began],
    )
    for place, written in enumerate(story):
        _message(conn, both, number, inbox_id, number * 100 + place, written, began + timedelta(hours=place))


def _message(
    conn: psycopg.Connection,
    both: list[object],
    conversation: int,
    inbox_id: int,
    number: int,
    written: StoryMessage,
    at: datetime,
) -> None:
    conn.execute(
        "INSERT INTO cw_messages (project_id, account_scope_id, account_id, message_id, conversation_id, inbox_id,"
        " message_type, content_type, content, private, deleted, sender_type, sender_name, content_attributes,"
        " attachments, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, 'text', %s, %s, false, %s, %s, '{}', %s, %s)",
        [
            *both,
            number,
            conversation,
            inbox_id,
            "incoming" if written.by == "contact" else "outgoing",
            written.text,
            written.private,
            written.by,
            written.name,
            Jsonb([]),
            at,
        ],
    )
