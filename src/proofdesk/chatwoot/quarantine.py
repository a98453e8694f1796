"""Another try for what could not be stored."""

from collections.abc import Awaitable, Callable
from typing import Any

from proofdesk.chatwoot import reading_queries
from proofdesk.chatwoot.mirror import Mirror
from proofdesk.chatwoot.reading_queries import Quarantined
from proofdesk.chatwoot.windows import END, Reading, Window

RETRIED_A_RUN = 200


async def retry(mirror: Mirror) -> None:
    """Read again what waits longest; what was mended or is gone leaves, what is still bad stays with its reason."""
    async with mirror.db.scoped(mirror.scope) as conn:
        waiting = await reading_queries.quarantined(conn, mirror.scope, mirror.account_id, RETRIED_A_RUN)
    await _retry_messages(mirror, [q for q in waiting if q.entity == "message"])
    client, account_id = mirror.client, mirror.account_id
    for item in waiting:
        if not item.entity_id.isdigit():
            continue
        number = int(item.entity_id)
        if item.entity == "conversation":
            await _retry(mirror, item, await client.conversation(account_id, number), mirror.take)
        elif item.entity == "contact":
            await _retry(mirror, item, await client.contact(account_id, number), mirror.take_contacts)


async def _retry_messages(mirror: Mirror, waiting: list[Quarantined]) -> None:
    if not waiting:
        return
    ids: dict[int, list[str]] = {}
    for item in waiting:
        if item.conversation_id is not None:
            ids.setdefault(item.conversation_id, []).append(item.entity_id)
    read = await mirror.reread([_reading(conversation_id, messages) for conversation_id, messages in ids.items()])
    async with mirror.db.scoped(mirror.scope) as conn:
        await reading_queries.release_unseen(
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


async def _retry(mirror: Mirror, item: Quarantined, found: Any, take: Callable[[list[Any]], Awaitable[object]]) -> None:
    if found is not None:
        await take([found])
        return
    async with mirror.db.scoped(mirror.scope) as conn:  # gone there: nothing is left to read
        ids = [int(item.entity_id)]
        await reading_queries.release(conn, mirror.scope, mirror.account_id, item.entity, ids)
