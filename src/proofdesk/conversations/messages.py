"""Messages as they were imported."""

from datetime import datetime

from proofdesk.conversations import queries
from proofdesk.conversations.queries import MessageRow
from proofdesk.core import ids
from proofdesk.core.ids import GlobalId
from proofdesk.database.pool import GENERIC_PLAN, Database
from proofdesk.errors import NotFound
from proofdesk.projects.scope import Scope

SNIPPET_LENGTH = 240


class MessageNotFound(NotFound):
    """The project has no such message."""

    code = "message_not_found"


async def list_messages(
    db: Database, scope: Scope, conversation_id: str | None, before: datetime | GlobalId | None, limit: int
) -> list[MessageRow]:
    """Messages, the newest first, of one conversation when its global id is given, older than a moment or a message.

    Raises `Invalid` for an id of another form and `MessageNotFound` when `before` names no message of the project.
    """
    conversation_key = ids.parse(conversation_id, "conversation") if conversation_id else None
    if conversation_key and conversation_key.project_id != scope.project_id:
        return []
    async with db.scoped(scope, GENERIC_PLAN) as conn:
        moment, number = before, None
        if isinstance(before, GlobalId):
            before_message = (
                await queries.get_message(conn, scope, before) if before.project_id == scope.project_id else None
            )
            if before_message is None:
                raise MessageNotFound("This project has no such message to go on from.")
            moment, number = before_message.created_at, before_message.message_id
        assert not isinstance(moment, GlobalId)
        return await queries.list_messages(conn, scope, conversation_key, moment, number, limit)


def snippet(content: str | None) -> str:
    """The beginning of a message on one line, at most `SNIPPET` characters."""
    text = " ".join((content or "").split())
    return text if len(text) <= SNIPPET_LENGTH else text[: SNIPPET_LENGTH - 1].rstrip() + "…"
