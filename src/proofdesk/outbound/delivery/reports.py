"""Delivery reports: what Chatwoot's channels say of a message after Chatwoot took it.

Chatwoot answers 200 when a message is stored. Whether the channel delivered it, the message itself shows later, in
`status` and `content_attributes.external_error`, and nothing in Chatwoot's lists moves when that changes. So messages
that were sent are read again: one request for a conversation, often at first and more rarely with their age.
"""

from proofdesk.audit import events
from proofdesk.audit.events import BulkEvent
from proofdesk.chatwoot import statuses
from proofdesk.chatwoot.client import ChatwootClient
from proofdesk.database.pool import Database
from proofdesk.outbound import messages
from proofdesk.outbound.delivery import report_queries
from proofdesk.outbound.delivery.report_queries import StatusReport
from proofdesk.projects.scope import Scope

ACTION = "outbound.delivery"
REPORT_DAYS = 7
"""How long the status of a message is followed (C-40)."""
MAX_CONVERSATIONS = 500
"""Conversations that one run reads again."""


async def refresh_reports(db: Database, client: ChatwootClient, scope: Scope) -> int:
    """Read messages again whose status may have changed, and take over what is new; how many reports were new."""
    async with db.scoped(scope) as conn:
        windows = await report_queries.claim_due_windows(conn, scope, REPORT_DAYS, MAX_CONVERSATIONS)
    await statuses.reread_ranges(db, client, scope, windows)
    return await record_reports(db, scope)


async def record_reports(db: Database, scope: Scope) -> int:
    """Take over the states that the mirror holds, with an audit event for each failure and each recovery."""
    async with db.scoped(scope) as conn:
        reports = [r for r in await report_queries.update_statuses(conn, scope, REPORT_DAYS) if r.status != r.before]
        notable = [r for r in reports if "failed" in (r.status, r.before)]
        by = events.system_actor(scope.actor.request_id)
        await events.record_many(conn, scope, by, [_event(report) for report in notable])
    return len(reports)


def _event(report: StatusReport) -> BulkEvent:
    payload = {"message_id": report.message_id, "via": report.via, "before": report.before, "error": report.error}
    told = {name: value for name, value in payload.items() if value is not None}
    return BulkEvent(ACTION, messages.ENTITY_TYPE, report.outbound_id, report.status, told)
