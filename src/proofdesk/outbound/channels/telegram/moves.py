"""Groups of Telegram that became supergroups and have another number since."""

from uuid import UUID

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.outbound.channels.telegram import move_queries
from proofdesk.projects import scope


class StoredChatMoves:
    """The new numbers, kept for each project that writes to the group."""

    def __init__(self, db: Database):
        self._db = db

    async def get_chat_id(self, project_id: UUID, chat: int) -> int:
        """Return the number of a chat now."""
        inside = await scope.enter(self._db, events.system_actor(), project_id)
        async with self._db.scoped(inside) as conn:
            return await move_queries.fetch_new_chat_id(conn, inside, chat) or chat

    async def record_move(self, project_id: UUID, chat: int, moved_to: int) -> None:
        """Keep the new number of a chat. Its policy holds under either number."""
        inside = await scope.enter(self._db, events.system_actor(), project_id)
        async with self._db.scoped(inside) as conn:
            await move_queries.upsert_move(conn, inside, chat, moved_to)
            await move_queries.link_policy(conn, inside, str(chat), str(moved_to))
