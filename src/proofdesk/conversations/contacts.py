"""List imported contacts."""

from dataclasses import dataclass

from proofdesk.conversations import queries
from proofdesk.conversations.queries import ContactRow, ConversationRow
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.database.rows import like_pattern
from proofdesk.errors import NotFound
from proofdesk.projects.scope import Scope

MAX_CONVERSATIONS = 100


class ContactNotFound(NotFound):
    """The project has no such contact."""

    code = "contact_not_found"


@dataclass(frozen=True)
class ContactDetails:
    """A contact with their latest conversations."""

    contact: ContactRow
    conversations: list[ConversationRow]


async def list_contacts(db: Database, scope: Scope, q: str | None, limit: int, offset: int) -> list[ContactRow]:
    """Return contacts whose name, e-mail address, phone number or identifier contains `q`; all if it is blank."""
    async with db.scoped(scope) as conn:
        return await queries.list_contacts(conn, scope, like_pattern(q), limit, offset)


async def get_contact(db: Database, scope: Scope, contact_id: str) -> ContactDetails:
    """Return the contact with this global id. Raises `Invalid` for an invalid id, and `ContactNotFound`."""
    key = ids.parse(contact_id, "contact")
    async with db.scoped(scope) as conn:
        contact = await queries.get_contact(conn, scope, key) if key.project_id == scope.project_id else None
        if contact is None:
            raise ContactNotFound("This project has no such contact.")
        conversations = await queries.list_contact_conversations(conn, scope, key, MAX_CONVERSATIONS)
    return ContactDetails(contact, conversations)
