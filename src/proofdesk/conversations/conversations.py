"""Conversations as they were imported, and the thread of one."""

from dataclasses import dataclass

from proofdesk.conversations import queries
from proofdesk.conversations.queries import Conversation, WholeMessage
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.errors import NotFound
from proofdesk.projects.scope import Scope


class ConversationNotFound(NotFound):
    """The project has no such conversation."""

    code = "conversation_not_found"


@dataclass(frozen=True)
class Thread:
    """A conversation with all its messages in order."""

    conversation: Conversation
    messages: list[WholeMessage]


async def find(
    db: Database, scope: Scope, inbox_id: int | None, status: str | None, limit: int, offset: int
) -> list[Conversation]:
    """Conversations, the last active first."""
    async with db.scoped(scope) as conn:
        return await queries.conversations(conn, scope, inbox_id, status, limit, offset)


async def thread_of(db: Database, scope: Scope, message_id: str) -> Thread:
    """The conversation of a message, by the message's global id. Raises as `thread` does."""
    wanted = ids.parse(message_id, "message")
    async with db.scoped(scope) as conn:
        found = await queries.message(conn, scope, wanted) if wanted.project_id == scope.project_id else None
    if found is None:
        raise ConversationNotFound("This project has no such message.")
    return await thread(db, scope, ids.conversation(scope.project_id, found.account_id, found.conversation_id))


async def thread(db: Database, scope: Scope, conversation_id: str) -> Thread:
    """The conversation of a global id. Raises `Invalid` for another form and `ConversationNotFound`."""
    wanted = ids.parse(conversation_id, "conversation")
    async with db.scoped(scope) as conn:
        found = await queries.conversation(conn, scope, wanted) if wanted.project_id == scope.project_id else None
        if found is None:
            raise ConversationNotFound("This project has no such conversation.")
        return Thread(found, await queries.thread(conn, scope, wanted))
