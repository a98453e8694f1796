"""The totals, inboxes and labels of a project."""

from proofdesk.conversations import queries, totals_queries
from proofdesk.conversations.queries import InboxRow
from proofdesk.conversations.totals_queries import EntityCounts
from proofdesk.database.pool import Database
from proofdesk.projects.scope import Scope


async def count_entities(db: Database, scope: Scope) -> EntityCounts:
    """Return how many contacts, conversations, messages and chunks the project has."""
    async with db.scoped(scope) as conn:
        return await totals_queries.count_entities(conn, scope)


async def list_inboxes(db: Database, scope: Scope) -> list[InboxRow]:
    """Return the inboxes of the project."""
    async with db.scoped(scope) as conn:
        return await queries.list_inboxes(conn, scope)


async def list_labels(db: Database, scope: Scope) -> list[str]:
    """Return the labels in use. Reads all conversations."""
    async with db.scoped(scope) as conn:
        return await queries.list_labels(conn, scope)


async def gather_counts(db: Database, scope: Scope) -> None:
    """Keep the totals cheap to read: each connection that wrote something has left rows of its own."""
    async with db.scoped(scope) as conn:
        await totals_queries.gather_counts(conn)
