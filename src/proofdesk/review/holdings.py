"""What a project holds, for people who are about to search it."""

from proofdesk.db.pool import Database
from proofdesk.projects.scope import Scope
from proofdesk.review import queries
from proofdesk.review.queries import Inbox
from proofdesk.scheduler import status_queries
from proofdesk.scheduler.status_queries import Entities


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
