"""Contacts as they were imported."""

from dataclasses import dataclass

from proofdesk.conversations import queries
from proofdesk.conversations.queries import Contact, Conversation
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.database.rows import containing
from proofdesk.errors import NotFound
from proofdesk.projects.scope import Scope

MOST_CONVERSATIONS = 100


class ContactNotFound(NotFound):
    """The project has no such contact."""

    code = "contact_not_found"


@dataclass(frozen=True)
class Known:
    """A contact with his last conversations."""

    contact: Contact
    conversations: list[Conversation]


async def find(db: Database, scope: Scope, q: str | None, limit: int, offset: int) -> list[Contact]:
    """Contacts with `q` in their name, address, number or identifier; all of them when it is blank."""
    async with db.scoped(scope) as conn:
        return await queries.contacts(conn, scope, containing(q), limit, offset)


async def known(db: Database, scope: Scope, contact_id: str) -> Known:
    """The contact of a global id. Raises `Invalid` for another form and `ContactNotFound`."""
    wanted = ids.parse(contact_id, "contact")
    async with db.scoped(scope) as conn:
        found = await queries.contact(conn, scope, wanted) if wanted.project_id == scope.project_id else None
        if found is None:
            raise ContactNotFound("This project has no such contact.")
        return Known(found, await queries.conversations_of(conn, scope, wanted, MOST_CONVERSATIONS))
