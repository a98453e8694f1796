"""The sweep: attempts whose worker died, or whose provider fell silent, get the outcome they really had."""

import asyncio

from proofdesk.core.concurrency import run_to_completion
from proofdesk.database.pool import Database
from proofdesk.outbound import message_queries
from proofdesk.outbound.delivery import attempt_queries, outcomes
from proofdesk.outbound.delivery.sending import MessageSender
from proofdesk.projects.scope import Scope

_AT_ONCE = 20


async def settle_lost_attempts(db: Database, scope: Scope, calls: MessageSender, lease: float) -> int:
    """Settle attempts that were not heard of within their lease; how many there were.

    Where the provider can be asked, it is; elsewhere the message fails as `delivery_unknown` and waits for a person.
    """
    settled = 0
    while True:
        async with db.scoped(scope) as conn:
            lost = await attempt_queries.claim_lost_attempts(conn, scope, lease, _AT_ONCE)
            found = {m.id: m for m in await message_queries.fetch_messages(conn, scope, [a.outbound_id for a in lost])}
        looked_up = await asyncio.gather(*(calls.look_up(found[a.outbound_id], a) for a in lost))
        endings = [ending for ending in looked_up if ending is not None]
        if endings:
            settled += len(await run_to_completion(outcomes.settle_attempts(db, scope, endings)))
        if len(lost) < _AT_ONCE:
            return settled
