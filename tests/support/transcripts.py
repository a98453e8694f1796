"""Conversations for tests, written into the tables of Chatwoot data."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from proofdesk.database.pool import Database
from proofdesk.indexing.chunking.attribution import attribute_quotes
from proofdesk.indexing.transcript_queries import TranscriptMessage
from proofdesk.projects.scope import Scope

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Line:
    """A message. `by` is the type of its sender, `name` the name."""

    content: str | None
    by: str = "contact"
    name: str | None = "Ivan"
    message_type: str = "incoming"
    content_type: str = "text"
    private: bool = False
    deleted: bool = False
    content_attributes: dict[str, Any] = field(default_factory=dict)
    attachments: list[dict[str, Any]] = field(default_factory=list)


def agent(content: str | None, **values: Any) -> Line:
    """Return a message of the agent Anna."""
    defaults: dict[str, Any] = {"by": "agent", "name": "Anna", "message_type": "outgoing"}
    return Line(content, **(defaults | values))


def transcript(*lines: Line) -> list[TranscriptMessage]:
    """Return the messages of a transcript, quotes attributed, without a database."""
    return attribute_quotes(messages(*lines))


def messages(*lines: Line) -> list[TranscriptMessage]:
    """Return the messages of a transcript as they are read."""
    return [
        TranscriptMessage(1, 1, number, 1, line.by, line.name, line.content, None, None, line.attachments, START)
        for number, line in enumerate(lines, 1)
    ]


async def store_messages(
    db: Database, scope: Scope, *lines: Line, conversation_id: int = 1, first_id: int | None = None
) -> None:
    """Insert messages, a minute apart, into a conversation of the inbox "Shop". Ids start at 100 × its id."""
    first = conversation_id * 100 if first_id is None else first_id
    key = {"project": scope.project_id, "account_scope": scope.account_scope_id, "conversation": conversation_id}
    async with db.scoped(scope) as conn:
        await conn.execute(
            "INSERT INTO cw_inboxes VALUES (%(project)s, %(account_scope)s, 1, 1, 'Shop', 'Channel::WebWidget')"
            " ON CONFLICT DO NOTHING",
            key,
        )
        await conn.execute(
            "INSERT INTO cw_conversations (project_id, account_scope_id, account_id, conversation_id, inbox_id, status,"
            " labels, additional_attributes, custom_attributes, last_activity_at, created_at, updated_at) VALUES"
            " (%(project)s, %(account_scope)s, 1, %(conversation)s, 1, 'open', '{}', '{}', '{}', now(), now(), now())"
            " ON CONFLICT (project_id, account_id, conversation_id)"
            " DO UPDATE SET content_version = cw_conversations.content_version + 1",
            key,
        )
        async with conn.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO cw_messages (project_id, account_scope_id, account_id, message_id, conversation_id,"
                " inbox_id, message_type, content_type, content, private, deleted, sender_type, sender_name,"
                " content_attributes, attachments, created_at) VALUES (%(project)s, %(account_scope)s, 1, %(id)s,"
                " %(conversation)s, 1, %(message_type)s, %(content_type)s, %(content)s, %(private)s, %(deleted)s,"
                " %(by)s, %(name)s, %(attributes)s, %(attachments)s, %(at)s)",
                [key | _row(line, first + n) for n, line in enumerate(lines)],
            )


def _row(line: Line, number: int) -> dict[str, Any]:
    return vars(line) | {
        "id": number,
        "attributes": json.dumps(line.content_attributes),
        "attachments": json.dumps(line.attachments),
        "at": START + timedelta(minutes=number),
    }


async def edit_message(db: Database, scope: Scope, message_id: int, content: str, *, deleted: bool = False) -> None:
    """Change a message as a sync does."""
    async with db.scoped(scope) as conn:
        await conn.execute(
            "UPDATE cw_messages SET content = %s, deleted = %s WHERE project_id = %s AND message_id = %s",
            [content, deleted, scope.project_id, message_id],
        )
        await conn.execute(
            "UPDATE cw_conversations SET content_version = content_version + 1 WHERE project_id = %s AND"
            " conversation_id = (SELECT conversation_id FROM cw_messages WHERE project_id = %s AND message_id = %s)",
            [scope.project_id, scope.project_id, message_id],
        )


async def fetch_rows(db: Database, scope: Scope, query: Any, *values: Any) -> list[tuple[Any, ...]]:
    """Return the rows of a query inside the project."""
    async with db.scoped(scope) as conn:
        return await (await conn.execute(query, values)).fetchall()
