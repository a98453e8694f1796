"""Recipients: who they are, who can be written to on a channel, and what was written to somebody."""

from collections.abc import Iterable

from proofdesk.database.pool import Database
from proofdesk.database.rows import like_pattern
from proofdesk.outbound import message_queries, recipient_queries
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.outbound.recipient_queries import ReachableContact, RecipientContact
from proofdesk.projects.scope import Scope


async def load_contacts(db: Database, scope: Scope, recipients: Iterable[str]) -> dict[str, RecipientContact]:
    """The contacts that recipients stand for; somebody who is none is not in it."""
    asked = list(recipients)
    if not asked:
        return {}
    async with db.scoped(scope) as conn:
        return {
            found.recipient: found for found in await recipient_queries.fetch_recipient_contacts(conn, scope, asked)
        }


async def find_reachable(db: Database, scope: Scope, channel: str, words: str, limit: int) -> list[ReachableContact]:
    """Contacts that the channel reaches; `words` are a part of a name or an address, or a conversation's number."""
    number = words.strip().removeprefix("#")
    conversation = int(number) if number.isascii() and number.isdigit() and len(number) < 19 else None
    async with db.scoped(scope) as conn:
        return await recipient_queries.fetch_reachable_contacts(
            conn, scope, channel, like_pattern(words), conversation, limit
        )


async def list_messages(db: Database, scope: Scope, recipient: str, limit: int) -> list[OutboundMessage]:
    """The last messages to a person, by whichever of his names, the newest first."""
    async with db.scoped(scope) as conn:
        ids = await recipient_queries.fetch_message_ids(conn, scope, recipient, limit)
        found = {message.id: message for message in await message_queries.fetch_messages(conn, scope, ids)}
    return [found[i] for i in ids]
