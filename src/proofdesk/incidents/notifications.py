"""Notifications about incidents: written with the change that they are about, then sent once by each channel.

claim → send → settle. A process that dies in between leaves a notification as `sending`. Another one sends it again
after the lease, with the same id, so that mailboxes and webhooks recognise a second copy.
"""

import asyncio
from collections.abc import Iterable, Mapping

from proofdesk import logging
from proofdesk.core import redaction
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import ProofdeskError
from proofdesk.incidents import notification_queries
from proofdesk.incidents.channels import NotificationRefused, Send
from proofdesk.incidents.decisions import Changes
from proofdesk.incidents.notification_queries import ClaimedNotification, NewNotification
from proofdesk.jobs.resources import Resources
from proofdesk.projects.scope import Scope

log = logging.get_logger(__name__)

LEASE_SECONDS = 120.0
MAX_ATTEMPTS = 30
RETRY_SECONDS = 60.0
_BATCH = 50


async def plan(conn: Conn, scope: Scope, changes: Changes, channel_names: Iterable[str]) -> None:
    """Write the notifications about changed incidents. Incidents that ended are reported where they were announced."""
    closed = [incident.id for incident in changes.closed]
    if closed:
        await notification_queries.cancel_unsent(conn, scope, closed)
        await notification_queries.insert_closings(conn, scope, closed)
    new = [
        NewNotification(incident.id, incident.shared, channel, kind, number)
        for incidents, kind in ((changes.opened, "opened"), (changes.reminded, "reminder"))
        for incident in incidents
        for number in [incident.reopened + 1 if kind == "opened" else incident.reopened * 1000 + incident.reminders]
        for channel in channel_names
    ]
    if new:
        await notification_queries.insert_notifications(conn, scope, new)


async def deliver(resources: Resources, scope: Scope, senders: Mapping[str, Send]) -> int:
    """Send the notifications of the project and of the installation that wait. Return how many were sent."""
    async with resources.db.scoped(scope) as conn:
        claimed = await notification_queries.claim_notifications(conn, scope, LEASE_SECONDS, _BATCH)
    deliveries = (_deliver(resources.db, scope, each, senders.get(each.channel)) for each in claimed)
    return sum(await asyncio.gather(*deliveries))


async def _deliver(db: Database, scope: Scope, notification: ClaimedNotification, send: Send | None) -> bool:
    error = await _attempt(notification, send)
    is_over = send is None or notification.attempts >= MAX_ATTEMPTS
    async with db.scoped(scope) as conn:
        await notification_queries.settle_notification(
            conn, scope, notification.id, notification.attempts, error, None if is_over else RETRY_SECONDS
        )
    return error is None


async def _attempt(notification: ClaimedNotification, send: Send | None) -> str | None:
    """Send a notification; return why it failed."""
    if send is None:
        return "The channel is no longer configured."
    try:
        async with asyncio.timeout(LEASE_SECONDS / 2):
            await send(notification)
    except TimeoutError:
        error = "No answer in time."
    except (ProofdeskError, NotificationRefused) as refusal:
        error = str(refusal)
    except Exception as unexpected:
        log.exception("a notification could not be sent", channel=notification.channel)
        error = f"Unexpected {type(unexpected).__name__}."
    else:
        return None
    error = redaction.redact_text(error)[:500]
    log.warning("a notification was not sent", channel=notification.channel, error=error)
    return error
