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
        waiting = await cursor_queries.quarantined(conn, mirror.scope, mirror.account_id, RETRIED_A_RUN)
    await _retry_messages(mirror, [q for q in waiting if q.entity == "message"])
    refused: list[ChatwootError] = []
    others = [q for q in waiting if q.entity != "message" and q.entity_id.isdigit()]
    for item in others:
        try:
            await _retry(mirror, item)
        except ChatwootError as error:
            if not error.forbidden:
                raise
            refused.append(error)
    await permissions.check(mirror.client, mirror.account_id, refused, len(others) - len(refused))


async def _retry_messages(mirror: Mirror, waiting: list[Quarantined]) -> None:
    if not waiting:
        return
    ids: dict[int, list[str]] = {}
    for item in waiting:
        if item.conversation_id is not None:
            ids.setdefault(item.conversation_id, []).append(item.entity_id)
    read = await mirror.reread([_reading(conversation_id, messages) for conversation_id, messages in ids.items()])
    async with mirror.db.scoped(mirror.scope) as conn:
        await cursor_queries.release_unseen(
            conn,
            mirror.scope,
            mirror.account_id,
            sorted(read),
            [q.entity_id for q in waiting],
            max(q.last_seen_at for q in waiting),
        )


def _reading(conversation_id: int, messages: list[str]) -> Reading:
    """Where these messages are; everything where one of them has no id."""
    if not all(message.isdigit() and int(message) < END for message in messages):
        return Reading.of(conversation_id, 0, 0)
    first, last = min(map(int, messages)), max(map(int, messages))
    return Reading(conversation_id, known_id=last, left=(Window(first, last + 1),))


async def _retry(mirror: Mirror, item: Quarantined) -> None:
    is_contact = item.entity == "contact"
    get = mirror.client.contact if is_contact else mirror.client.conversation
    found = await get(mirror.account_id, int(item.entity_id))
    if found is not None:
        await (mirror.take_contacts if is_contact else mirror.take)([found])
        return
    async with mirror.db.scoped(mirror.scope) as conn:  # gone there: nothing is left to read
        ids = [int(item.entity_id)]
        await cursor_queries.release(conn, mirror.scope, mirror.account_id, item.entity, ids)
