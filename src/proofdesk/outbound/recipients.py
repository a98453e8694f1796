"""Recipients: their contacts, who can be reached on a channel, and the messages that were sent to them."""

from collections.abc import Iterable

from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn, like_pattern
from proofdesk.errors import Invalid
from proofdesk.outbound import message_queries, recipient_queries
from proofdesk.outbound.channels.interface import InvalidRecipient
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.outbound.recipient_queries import ReachableContact, RecipientContact
from proofdesk.projects.scope import Scope


async def check_contact_ref(conn: Conn, scope: Scope, ref: str) -> None:
    """Check that the project has the contact (`cwc:…`) or conversation (`cw:…`). Raises `InvalidRecipient`."""
    kind = "contact" if ref.startswith("cwc:") else "conversation"
    try:
        global_id = ids.parse(ref, kind)
    except Invalid as error:
        raise InvalidRecipient(error.message) from error
    exists = recipient_queries.contact_exists if kind == "contact" else recipient_queries.conversation_exists
    is_local = global_id.project_id == scope.project_id
    if not is_local or not await exists(conn, scope, global_id.account_id, global_id.number):
        raise InvalidRecipient(f"This project has no {kind} {ref[:80]!r}.")


async def load_contacts(db: Database, scope: Scope, recipients: Iterable[str]) -> dict[str, RecipientContact]:
    """Return the contacts of recipients, by recipient. A recipient without a contact is left out."""
    refs = list(recipients)
    if not refs:
        return {}
    async with db.scoped(scope) as conn:
        contacts = await recipient_queries.fetch_recipient_contacts(conn, scope, refs)
    return {contact.recipient: contact for contact in contacts}


async def find_reachable(db: Database, scope: Scope, channel: str, words: str, limit: int) -> list[ReachableContact]:
    """Return contacts that a channel reaches. `words` are part of a name or an address, or a conversation's number."""
    digits = words.strip().removeprefix("#")
    number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 19 else None
    async with db.scoped(scope) as conn:
        return await recipient_queries.fetch_reachable_contacts(
            conn, scope, channel, like_pattern(words), number, limit
        )


async def list_messages(db: Database, scope: Scope, recipient: str, limit: int) -> list[OutboundMessage]:
    """Return the last messages to a recipient, by any of their names, the newest first."""
    async with db.scoped(scope) as conn:
        message_ids = await recipient_queries.fetch_message_ids(conn, scope, recipient, limit)
        messages = {m.id: m for m in await message_queries.fetch_messages(conn, scope, message_ids)}
    return [messages[message_id] for message_id in message_ids]
