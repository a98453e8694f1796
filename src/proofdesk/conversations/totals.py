"""What a project holds, for people who are about to search it."""

from proofdesk.conversations import queries
from proofdesk.conversations.queries import Inbox
from proofdesk.dashboard import status_queries
from proofdesk.dashboard.status_queries import Entities
from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope


async def counted(db: Database, scope: Scope) -> Entities:
    """Counts."""
    async with db.scoped(scope) as conn:
        return await status_queries.entities(conn, scope)


async def inboxes(db: Database, scope: Scope) -> list[Inbox]:
    """What conversations come in through."""
    async with db.scoped(scope) as conn:
        return await queries.inboxes(conn, scope)


async def labels(db: Database, scope: Scope) -> list[str]:
    """The labels in use; reads all conversations."""
    async with db.scoped(scope) as conn:
        return await queries.labels(conn, scope)
