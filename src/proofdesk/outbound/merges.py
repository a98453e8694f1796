"""Merged contacts: Chatwoot moves what one contact has to another, and does not announce it.

The database notices a merge when synced rows change (`contact_merges`). From then on both contacts count as one: every
policy of either holds for all their addresses and conversations. This module writes the audit event, and finds the
remaining contact for messages to the one that disappeared.
"""

from proofdesk.audit import events
from proofdesk.audit.events import BulkEvent
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.outbound import merge_queries
from proofdesk.outbound.merge_queries import UnrecordedMerge
from proofdesk.projects.scope import Scope

ACTION = "outbound.contact_merged"
_BATCH_SIZE = 500  # events of one transaction


async def record_merges(db: Database, scope: Scope) -> int:
    """Record an audit event for each merge that has none, with the policies of both contacts; return how many."""
    recorded = 0
    while True:
        async with db.scoped(scope) as conn:
            merges = await merge_queries.claim_unrecorded(conn, scope, _BATCH_SIZE)
            actor = events.system_actor(scope.actor.request_id)
            await events.record_many(conn, scope, actor, [_event(scope, merge) for merge in merges])
        recorded += len(merges)
        if len(merges) < _BATCH_SIZE:
            return recorded


async def load_remaining_contacts(db: Database, scope: Scope) -> dict[str, str]:
    """Return the remaining contact for each merged one, by global id, through chains of merges."""
    async with db.scoped(scope) as conn:
        merges = await merge_queries.fetch_merges(conn, scope)
    targets = {(m.account_id, m.merged_contact_id): m.into_contact_id for m in merges}
    return {
        _contact_id(scope, account_id, contact_id): _contact_id(
            scope, account_id, _last_target(targets, account_id, contact_id)
        )
        for account_id, contact_id in targets
    }


def _last_target(targets: dict[tuple[int, int], int], account_id: int, contact_id: int) -> int:
    visited = {contact_id}
    while (target := targets.get((account_id, contact_id))) is not None and target not in visited:
        contact_id = target
        visited.add(target)
    return contact_id


def _event(scope: Scope, merge: UnrecordedMerge) -> BulkEvent:
    remaining = _contact_id(scope, merge.account_id, merge.into_contact_id)
    payload = {
        "merged": _contact_id(scope, merge.account_id, merge.merged_contact_id),
        "into": remaining,
        "noticed_by": merge.noticed_by,
        "policies": [str(policy_id) for policy_id in merge.policy_ids],
        "opted_out": merge.opted_out,
    }
    return BulkEvent(ACTION, "contact", remaining, "ok", payload)


def _contact_id(scope: Scope, account_id: int, contact_id: int) -> str:
    return str(ids.contact(scope.project_id, account_id, contact_id))
