"""Retry of items that could not be stored or read."""

from dataclasses import replace

from proofdesk.chatwoot import permissions, quarantine_queries
from proofdesk.chatwoot.importer import AccountImporter
from proofdesk.chatwoot.quarantine_queries import QuarantinedItem
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.chatwoot.windows import MAX_ID, ConversationReading, MessageWindow

MAX_RETRIES_PER_RUN = 200
_SLOW_ATTEMPTS = 2  # of an item that Chatwoot cannot show; the next run tries again


async def retry_quarantined(importer: AccountImporter) -> None:
    """Read the items again that wait longest. Items that are repaired or deleted leave the quarantine."""
    importer = replace(importer, client=importer.client.with_max_slow_attempts(_SLOW_ATTEMPTS))
    async with importer.db.scoped(importer.scope) as conn:
        quarantined = await quarantine_queries.list_quarantined(
            conn, importer.scope, importer.account_id, MAX_RETRIES_PER_RUN
        )
    await _retry_messages(importer, [item for item in quarantined if item.entity == "message"])
    refusals: list[ChatwootError] = []
    others = [item for item in quarantined if item.entity != "message" and item.entity_id.isdigit()]
    for item in others:
        try:
            await _retry_item(importer, item)
        except ChatwootError as error:
            if error.forbidden:
                refusals.append(error)
            elif not error.too_slow:
                raise
    await permissions.check_refusals(importer.client, importer.account_id, refusals, len(others) - len(refusals))


async def _retry_messages(importer: AccountImporter, quarantined: list[QuarantinedItem]) -> None:
    if not quarantined:
        return
    ids: dict[int, list[str]] = {}
    for item in quarantined:
        if item.conversation_id is not None:
            ids.setdefault(item.conversation_id, []).append(item.entity_id)
    read = await importer.reread_messages(
        [_reading_of(conversation_id, messages) for conversation_id, messages in ids.items()]
    )
    async with importer.db.scoped(importer.scope) as conn:
        await quarantine_queries.release_unseen(
            conn,
            importer.scope,
            importer.account_id,
            sorted(read),
            [item.entity_id for item in quarantined],
            max(item.last_seen_at for item in quarantined),
        )


def _reading_of(conversation_id: int, messages: list[str]) -> ConversationReading:
    """Return the reading of these messages, or of the whole conversation if one of them has no id."""
    if not all(message.isdigit() and int(message) < MAX_ID for message in messages):
        return ConversationReading.starting_at(conversation_id, 0, 0)
    first, last = min(map(int, messages)), max(map(int, messages))
    return ConversationReading(conversation_id, known_id=last, remaining=(MessageWindow(first, last + 1),))


async def _retry_item(importer: AccountImporter, item: QuarantinedItem) -> None:
    is_contact = item.entity == "contact"
    fetch = importer.client.contact if is_contact else importer.client.conversation
    record = await fetch(importer.account_id, int(item.entity_id))
    if record is not None:
        await (importer.import_contacts if is_contact else importer.import_conversations)([record])
        return
    async with importer.db.scoped(importer.scope) as conn:
        ids = [int(item.entity_id)]
        await quarantine_queries.release_items(conn, importer.scope, importer.account_id, item.entity, ids)
