"""Send the digests that are due: written first, then sent once to each user who may still open the project."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

from proofdesk import logging
from proofdesk.accounts import accounts
from proofdesk.audit import events
from proofdesk.core import redaction
from proofdesk.digests import content, queries
from proofdesk.digests.content import Digest
from proofdesk.digests.queries import DueDigest
from proofdesk.errors import NotFound, ProofdeskError, Unavailable
from proofdesk.incidents import channels
from proofdesk.jobs.resources import Resources
from proofdesk.outbound.channels.interface import ChannelMessage
from proofdesk.projects import projects, timezones
from proofdesk.projects import scope as scopes
from proofdesk.projects.scope import Scope

log = logging.get_logger(__name__)

LEASE_SECONDS = 120.0
MAX_ATTEMPTS = 10
_LATEST = timedelta(days=1)
"""How late a digest may be. An older one would be news of the day before."""
_BATCH = 50


async def send_digests(resources: Resources, scope: Scope) -> dict[str, Any]:
    """Send what is due in a project. Return how many digests were sent."""
    now = datetime.now(UTC)
    default_timezone = resources.settings.project_timezone
    async with resources.db.scoped(scope) as conn:
        zone = await timezones.load(conn, scope, default_timezone)
        for cadence in content.LENGTHS:
            end = content.last_end(cadence, now, zone)
            if now - end < _LATEST:
                await queries.insert_due(conn, scope, cadence, end)
        due = await queries.claim_due(conn, scope, LEASE_SECONDS, _BATCH)
    if not due:
        return {"processed": 0}
    periods = {(each.cadence, each.ends_at) for each in due}
    digests = {period: await content.compose(resources.db, scope, *period, default_timezone) for period in periods}
    names = {p.id: p.name for p in await projects.list_visible(resources.db, scope.actor)}
    name = names.get(scope.project_id, "")
    sent = await asyncio.gather(*(_send(resources, scope, each, digests, name) for each in due))
    return {"processed": sum(sent)}


async def _send(
    resources: Resources, scope: Scope, due: DueDigest, digests: Mapping[tuple[str, datetime], Digest], name: str
) -> bool:
    digest = digests[due.cadence, due.ends_at]
    if not await _may_read(resources, scope, due):
        status, error = "cancelled", None
    elif not digest.sections:
        status, error = "empty", None
    else:
        error = await _attempt(resources, due, digest, name)
        status = "sent" if error is None else "failed" if due.attempts >= MAX_ATTEMPTS else "pending"
    async with resources.db.scoped(scope) as conn:
        await queries.settle_due(conn, scope, due.id, due.attempts, status, error)
        if status == "cancelled":
            await queries.delete_subscription(conn, scope, due.user_id)
        if status == "sent":
            payload = {"cadence": due.cadence, "channel": due.channel, "user": due.username}
            payload |= {"counts": {section.title: section.total for section in digest.sections}}
            await events.record(conn, scope.actor, "digest.sent", "digest", due.id, scope=scope, payload=payload)
    return status == "sent"


async def _may_read(resources: Resources, scope: Scope, due: DueDigest) -> bool:
    try:
        await scopes.enter(resources.db, await accounts.load_actor(resources.db, due.username), scope.project_id)
    except NotFound:
        return False
    return True


async def _attempt(resources: Resources, due: DueDigest, digest: Digest, name: str) -> str | None:
    """Send a digest; return why it failed."""
    heading, text = content.heading(digest, name), content.render(digest, resources.settings.public_url)
    try:
        async with asyncio.timeout(LEASE_SECONDS / 2):
            await (_mail if due.channel == "email" else _telegram)(resources, due, heading, text)
    except TimeoutError:
        return "No answer in time."
    except ProofdeskError as error:
        reason = redaction.redact_text(error.message)[:500]
        log.warning("a digest was not sent", channel=due.channel, error=reason)
        return reason
    return None


async def _mail(resources: Resources, due: DueDigest, heading: str, text: str) -> None:
    if due.email is None or resources.settings.smtp_url is None:
        raise Unavailable("Mail is not configured: set SMTP_URL and SMTP_FROM.")
    message = ChannelMessage(due.id, due.id, due.email, {"subject": f"[Proofdesk] {heading}"[:250], "text": text})
    async with aclosing(channels.open_mail(resources)) as channel:
        await channel.send(message)


async def _telegram(resources: Resources, due: DueDigest, heading: str, text: str) -> None:
    chat_id = await channels.owner_chat(resources)
    if resources.bot is None or chat_id is None:
        raise Unavailable("No Telegram account is bound.")
    await resources.bot.send(chat_id, channels.shorten(f"{heading}\n\n{text}"))
