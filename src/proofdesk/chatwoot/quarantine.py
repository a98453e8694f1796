"""Another try for what could not be stored."""

from proofdesk.chatwoot import cursor_queries, permissions
from proofdesk.chatwoot.cursor_queries import QuarantinedItem
from proofdesk.chatwoot.importer import AccountImporter
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.chatwoot.windows import MAX_ID, ConversationReading, MessageWindow

MAX_RETRIES_PER_RUN = 200


async def retry_quarantined(mirror: AccountImporter) -> None:
    """Read again what waits longest; what was mended or is gone leaves, what is still bad stays with its reason."""
    async with mirror.db.scoped(mirror.scope) as conn:
        quarantined = await cursor_queries.list_quarantined(conn, mirror.scope, mirror.account_id, MAX_RETRIES_PER_RUN)
    await _retry_messages(mirror, [q for q in quarantined if q.entity == "message"])
    refusals: list[ChatwootError] = []
    others = [q for q in quarantined if q.entity != "message" and q.entity_id.isdigit()]
    for item in others:
        try:
            await _retry_item(mirror, item)
        except ChatwootError as error:
            if not error.forbidden:
                raise
            refusals.append(error)
    await permissions.check_refusals(mirror.client, mirror.account_id, refusals, len(others) - len(refusals))


async def _retry_messages(mirror: AccountImporter, quarantined: list[QuarantinedItem]) -> None:
    if not quarantined:
        return
    ids: dict[int, list[str]] = {}
    for item in quarantined:
        if item.conversation_id is not None:
            ids.setdefault(item.conversation_id, []).append(item.entity_id)
    read = await mirror.reread_messages(
        [_reading_of(conversation_id, messages) for conversation_id, messages in ids.items()]
    )
    async with mirror.db.scoped(mirror.scope) as conn:
        await cursor_queries.release_unseen(
            conn,
            mirror.scope,
            mirror.account_id,
            sorted(read),
            [q.entity_id for q in quarantined],
            max(q.last_seen_at for q in quarantined),
        )


def _reading_of(conversation_id: int, messages: list[str]) -> ConversationReading:
    """Where these messages are; everything where one of them has no id."""
    if not all(message.isdigit() and int(message) < MAX_ID for message in messages):
        return ConversationReading.starting_at(conversation_id, 0, 0)
    first, last = min(map(int, messages)), max(map(int, messages))
    return ConversationReading(conversation_id, known_id=last, remaining=(MessageWindow(first, last + 1),))


async def _retry_item(mirror: AccountImporter, item: QuarantinedItem) -> None:
    is_contact = item.entity == "contact"
    fetch = mirror.client.contact if is_contact else mirror.client.conversation
    record = await fetch(mirror.account_id, int(item.entity_id))
    if record is not None:
        await (mirror.import_contacts if is_contact else mirror.import_conversations)([record])
        return
    async with mirror.db.scoped(mirror.scope) as conn:  # gone there: nothing is left to read
        ids = [int(item.entity_id)]
        await cursor_queries.release_items(conn, mirror.scope, mirror.account_id, item.entity, ids)
