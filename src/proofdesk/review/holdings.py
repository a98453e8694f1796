"""What a project holds, for people who are about to search it."""

from dataclasses import dataclass

from proofdesk.db.pool import Database
from proofdesk.projects.scope import Scope
from proofdesk.review import queries
from proofdesk.review.queries import Holdings, Inbox


@dataclass(frozen=True)
class Overview:
    """Counts, and what can be filtered by."""

    holdings: Holdings
    inboxes: list[Inbox]


async def overview(db: Database, scope: Scope) -> Overview:
    """Counts, labels and inboxes."""
    async with db.scoped(scope) as conn:
        return Overview(await queries.holdings(conn, scope), await queries.inboxes(conn, scope))
