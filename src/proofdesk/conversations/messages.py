"""List imported messages."""

from datetime import datetime

from proofdesk.conversations import queries
from proofdesk.conversations.queries import MessageRow
from proofdesk.core import ids
from proofdesk.core.ids import GlobalId
from proofdesk.database.pool import GENERIC_PLAN, Database
from proofdesk.errors import NotFound
from proofdesk.projects.scope import Scope

SNIPPET_LENGTH = 240  # characters


class MessageNotFound(NotFound):
    """The project has no such message."""

    code = "message_not_found"


async def list_messages(
    db: Database, scope: Scope, conversation_id: str | None, before: datetime | GlobalId | None, limit: int
) -> list[MessageRow]:
    """Return messages, newest first: of one conversation or of all, and older than `before`, a time or a message.

    Raises `Invalid` for an invalid id, and `MessageNotFound` when the project has no message `before`.
    """
    key = ids.parse(conversation_id, "conversation") if conversation_id else None
    if key and key.project_id != scope.project_id:
        return []
    async with db.scoped(scope, GENERIC_PLAN) as conn:
        time, number = before, None
        if isinstance(before, GlobalId):
            last = await queries.get_message(conn, scope, before) if before.project_id == scope.project_id else None
            if last is None:
                raise MessageNotFound("This project has no message with the id in `before`.")
            time, number = last.created_at, last.message_id
        assert not isinstance(time, GlobalId)
        return await queries.list_messages(conn, scope, key, time, number, limit)


def snippet(content: str | None) -> str:
    """Return the beginning of a message on one line, at most `SNIPPET_LENGTH` characters."""
    text = " ".join((content or "").split())
    return text if len(text) <= SNIPPET_LENGTH else text[: SNIPPET_LENGTH - 1].rstrip() + "…"
