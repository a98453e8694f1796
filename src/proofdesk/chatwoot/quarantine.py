"""Another try for what could not be stored."""

from proofdesk.chatwoot import cursor_queries, permissions
from proofdesk.chatwoot.cursor_queries import Quarantined
from proofdesk.chatwoot.importer import Mirror
from proofdesk.chatwoot.responses import ChatwootError
from proofdesk.chatwoot.windows import END, Reading, Window

RETRIED_A_RUN = 200


async def retry(mirror: Mirror) -> None:
    """Read again what waits longest; what was mended or is gone leaves, what is still bad stays with its reason."""
    async with mirror.db.scoped(mirror.scope) as conn:
        quarantined = await cursor_queries.quarantined(conn, mirror.scope, mirror.account_id, RETRIED_A_RUN)
    await _retry_messages(mirror, [q for q in quarantined if q.entity == "message"])
    refusals: list[ChatwootError] = []
    others = [q for q in quarantined if q.entity != "message" and q.entity_id.isdigit()]
    for item in others:
        try:
            await _retry(mirror, item)
        except ChatwootError as error:
            if not error.forbidden:
                raise
            refusals.append(error)
    await permissions.check(mirror.client, mirror.account_id, refusals, len(others) - len(refusals))


async def _retry_messages(mirror: Mirror, quarantined: list[Quarantined]) -> None:
    if not quarantined:
        return
    ids: dict[int, list[str]] = {}
    for item in quarantined:
        if item.conversation_id is not None:
            ids.setdefault(item.conversation_id, []).append(item.entity_id)
    read = await mirror.reread_messages([_reading(conversation_id, messages) for conversation_id, messages in ids.items()])
    async with mirror.db.scoped(mirror.scope) as conn:
        await cursor_queries.release_unseen(
            conn,
            mirror.scope,
            mirror.account_id,
            sorted(read),
            [q.entity_id for q in quarantined],
            max(q.last_seen_at for q in quarantined),
        )


def _reading(conversation_id: int, messages: list[str]) -> Reading:
    """Where these messages are; everything where one of them has no id."""
    if not all(message.isdigit() and int(message) < END for message in messages):
        return Reading.starting_at(conversation_id, 0, 0)
    first, last = min(map(int, messages)), max(map(int, messages))
    return Reading(conversation_id, known_id=last, remaining=(Window(first, last + 1),))


async def _retry(mirror: Mirror, item: Quarantined) -> None:
    is_contact = item.entity == "contact"
    fetch = mirror.client.contact if is_contact else mirror.client.conversation
    record = await fetch(mirror.account_id, int(item.entity_id))
    if record is not None:
        await (mirror.import_contacts if is_contact else mirror.import_conversations)([record])
        return
    async with mirror.db.scoped(mirror.scope) as conn:  # gone there: nothing is left to read
        ids = [int(item.entity_id)]
        await cursor_queries.release(conn, mirror.scope, mirror.account_id, item.entity, ids)
