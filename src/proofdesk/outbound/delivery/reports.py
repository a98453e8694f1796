"""Delivery reports: what Chatwoot's channels report of a message after Chatwoot accepted it.

Chatwoot answers 200 when a message is stored. The message itself shows later whether the channel delivered it, in
`status` and `content_attributes.external_error`, but a change of status does not move anything in Chatwoot's lists.
Sent messages are therefore read again: one request for each conversation, often at first and less often later.
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
"""For how many days the status of a message is followed (C-40)."""
MAX_CONVERSATIONS = 500
"""Conversations that one run reads again."""


async def refresh_reports(db: Database, client: ChatwootClient, scope: Scope) -> int:
    """Read messages again whose status may have changed, and record new reports; return how many there were."""
    async with db.scoped(scope) as conn:
        windows = await report_queries.claim_due_windows(conn, scope, REPORT_DAYS, MAX_CONVERSATIONS)
    await statuses.reread_ranges(db, client, scope, windows)
    return await record_reports(db, scope)


async def record_reports(db: Database, scope: Scope) -> int:
    """Record the statuses that were read, and each failure and recovery as an audit event; return how many changed."""
    async with db.scoped(scope) as conn:
        reports = await report_queries.update_statuses(conn, scope, REPORT_DAYS)
        changes = [report for report in reports if report.status != report.before]
        notable = [report for report in changes if "failed" in (report.status, report.before)]
        actor = events.system_actor(scope.actor.request_id)
        await events.record_many(conn, scope, actor, [_event(report) for report in notable])
    return len(changes)


def _event(report: StatusReport) -> BulkEvent:
    values = {"message_id": report.message_id, "via": report.via, "before": report.before, "error": report.error}
    payload = {name: value for name, value in values.items() if value is not None}
    return BulkEvent(ACTION, messages.ENTITY_TYPE, report.outbound_id, report.status, payload)
