"""The sweep: attempts whose worker died, or whose channel gave no answer, get the outcome that they really had."""

import asyncio

from proofdesk.core.concurrency import run_to_completion
from proofdesk.database.pool import Database
from proofdesk.outbound import message_queries
from proofdesk.outbound.delivery import attempt_queries, outcomes
from proofdesk.outbound.delivery.sending import MessageSender
from proofdesk.projects.scope import Scope

_BATCH_SIZE = 20


async def settle_lost_attempts(db: Database, scope: Scope, sender: MessageSender, lease: float) -> int:
    """Settle the attempts whose lease has expired; return how many were settled. `lease` is in seconds.

    A channel that supports lookups is asked. Without one the message fails with `delivery_unknown`, and a person
    decides.
    """
    settled = 0
    while True:
        async with db.scoped(scope) as conn:
            attempts = await attempt_queries.claim_lost_attempts(conn, scope, lease, _BATCH_SIZE)
            message_ids = [attempt.outbound_id for attempt in attempts]
            messages = {m.id: m for m in await message_queries.fetch_messages(conn, scope, message_ids)}
        results = await asyncio.gather(*(sender.look_up(messages[a.outbound_id], a) for a in attempts))
        known_outcomes = [outcome for outcome in results if outcome is not None]
        if known_outcomes:
            settled += len(await run_to_completion(outcomes.settle_attempts(db, scope, known_outcomes)))
        if len(attempts) < _BATCH_SIZE:
            return settled
