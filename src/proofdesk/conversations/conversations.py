"""Conversations as they were imported, and the thread of one."""

from dataclasses import dataclass

from proofdesk.conversations import queries
from proofdesk.conversations.queries import ConversationRow, MessageDetails
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.errors import NotFound
from proofdesk.projects.scope import Scope


class ConversationNotFound(NotFound):
    """The project has no such conversation."""

    code = "conversation_not_found"


@dataclass(frozen=True)
class ConversationDetails:
    """A conversation with all its messages in order."""

    conversation: ConversationRow
    messages: list[MessageDetails]


async def list_conversations(
    db: Database, scope: Scope, inbox_id: int | None, status: str | None, limit: int, offset: int
) -> list[ConversationRow]:
    """Conversations, the last active first."""
    async with db.scoped(scope) as conn:
        return await queries.list_conversations(conn, scope, inbox_id, status, limit, offset)


async def get_conversation_of_message(db: Database, scope: Scope, message_id: str) -> ConversationDetails:
    """The conversation of a message, by the message's global id. Raises as `thread` does."""
    message_key = ids.parse(message_id, "message")
    async with db.scoped(scope) as conn:
        message = (
            await queries.get_message(conn, scope, message_key) if message_key.project_id == scope.project_id else None
        )
    if message is None:
        raise ConversationNotFound("This project has no such message.")
    return await get_conversation(
        db, scope, ids.conversation(scope.project_id, message.account_id, message.conversation_id)
    )


async def get_conversation(db: Database, scope: Scope, conversation_id: str) -> ConversationDetails:
    """The conversation of a global id. Raises `Invalid` for another form and `ConversationNotFound`."""
    conversation_key = ids.parse(conversation_id, "conversation")
    async with db.scoped(scope) as conn:
        conversation = (
            await queries.get_conversation(conn, scope, conversation_key)
            if conversation_key.project_id == scope.project_id
            else None
        )
        if conversation is None:
            raise ConversationNotFound("This project has no such conversation.")
        return ConversationDetails(
            conversation, await queries.list_conversation_messages(conn, scope, conversation_key)
        )
