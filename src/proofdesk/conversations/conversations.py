"""List imported conversations, and return one with its messages."""

from dataclasses import dataclass

from proofdesk.conversations import queries
from proofdesk.conversations.queries import ConversationMessage, ConversationRow
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
    messages: list[ConversationMessage]


async def list_conversations(
    db: Database, scope: Scope, inbox_id: int | None, status: str | None, limit: int, offset: int
) -> list[ConversationRow]:
    """Return conversations, last active first."""
    async with db.scoped(scope) as conn:
        return await queries.list_conversations(conn, scope, inbox_id, status, limit, offset)


async def get_conversation_of_message(db: Database, scope: Scope, message_id: str) -> ConversationDetails:
    """Return the conversation of the message with this global id. Raises as `get_conversation` does."""
    key = ids.parse(message_id, "message")
    async with db.scoped(scope) as conn:
        message = await queries.get_message(conn, scope, key) if key.project_id == scope.project_id else None
    if message is None:
        raise ConversationNotFound("This project has no such message.")
    conversation_id = ids.conversation(scope.project_id, message.account_id, message.conversation_id)
    return await get_conversation(db, scope, conversation_id)


async def get_conversation(db: Database, scope: Scope, conversation_id: str) -> ConversationDetails:
    """Return the conversation with this global id. Raises `Invalid` for an invalid id, and `ConversationNotFound`."""
    key = ids.parse(conversation_id, "conversation")
    async with db.scoped(scope) as conn:
        conversation = await queries.get_conversation(conn, scope, key) if key.project_id == scope.project_id else None
        if conversation is None:
            raise ConversationNotFound("This project has no such conversation.")
        return ConversationDetails(conversation, await queries.list_conversation_messages(conn, scope, key))
