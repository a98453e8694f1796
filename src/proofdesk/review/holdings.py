"""What a project holds, for people who are about to search it."""

from dataclasses import dataclass

from proofdesk.db.pool import Database
from proofdesk.projects.scope import Scope
from proofdesk.review import queries
from proofdesk.review.queries import Inbox
from proofdesk.scheduler import status_queries
from proofdesk.scheduler.status_queries import Entities


@dataclass(frozen=True)
class Facets:
    """What can be filtered by."""

    inboxes: list[Inbox]
    labels: list[str]


async def counted(db: Database, scope: Scope) -> Entities:
    """Counts."""
    async with db.scoped(scope) as conn:
        return await status_queries.entities(conn, scope)


async def facets(db: Database, scope: Scope) -> Facets:
    """Inboxes and labels."""
    async with db.scoped(scope) as conn:
        return Facets(await queries.inboxes(conn, scope), await queries.labels(conn, scope))


async def inboxes(db: Database, scope: Scope) -> list[Inbox]:
    """Inboxes alone."""
    async with db.scoped(scope) as conn:
        return await queries.inboxes(conn, scope)
