"""Merged contacts: Chatwoot moves what one contact has to another and tells nobody.

The database notices it when the mirror changes (`contact_merges`), and from then on takes both contacts for one person:
every policy of either holds, for all their addresses and conversations. Here it is written into the audit log, and
messages to a contact that disappeared find the one that remains.
"""

from proofdesk.audit import events
from proofdesk.audit.events import BulkEvent
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.outbound import merge_queries
from proofdesk.outbound.merge_queries import UnrecordedMerge
from proofdesk.projects.scope import Scope

ACTION = "outbound.contact_merged"
_AT_ONCE = 500  # events of one transaction


async def record_merges(db: Database, scope: Scope) -> int:
    """Write an audit event for each merge that has none, with the policies that hold for both contacts; how many."""
    recorded = 0
    while True:
        async with db.scoped(scope) as conn:
            merges = await merge_queries.claim_unrecorded(conn, scope, _AT_ONCE)
            by = events.system_actor(scope.actor.request_id)
            await events.record_many(conn, scope, by, [_event(scope, merge) for merge in merges])
        recorded += len(merges)
        if len(merges) < _AT_ONCE:
            return recorded


async def load_remaining_contacts(db: Database, scope: Scope) -> dict[str, str]:
    """The contact that remains for each that was merged, by global ids, through chains of merges."""
    async with db.scoped(scope) as conn:
        pairs = await merge_queries.fetch_merges(conn, scope)
    into = {(p.account_id, p.merged_contact_id): p.into_contact_id for p in pairs}
    return {
        _name(scope, account, merged): _name(scope, account, _last(into, account, merged)) for account, merged in into
    }


def _last(into: dict[tuple[int, int], int], account_id: int, contact_id: int) -> int:
    seen = {contact_id}
    while (after := into.get((account_id, contact_id))) is not None and after not in seen:
        contact_id = after
        seen.add(after)
    return contact_id


def _event(scope: Scope, merge: UnrecordedMerge) -> BulkEvent:
    remains = _name(scope, merge.account_id, merge.into_contact_id)
    payload = {
        "merged": _name(scope, merge.account_id, merge.merged_contact_id),
        "into": remains,
        "noticed_by": merge.noticed_by,
        "policies": [str(i) for i in merge.policy_ids],
        "opted_out": merge.opted_out,
    }
    return BulkEvent(ACTION, "contact", remains, "ok", payload)


def _name(scope: Scope, account_id: int, contact_id: int) -> str:
    return str(ids.contact(scope.project_id, account_id, contact_id))
