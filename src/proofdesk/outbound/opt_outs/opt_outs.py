"""Opt-out words: a contact whose whole message is STOP, отписаться or the like receives no more messages.

The contact is opted out of `chatwoot`, where they wrote, and of `email` or `telegram` when the inbox is one of these.
Reading a message twice changes nothing: a contact who is opted out is left as they are, and a message from before an
explicit opt-in does not count.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from proofdesk.audit import events
from proofdesk.chatwoot import progress_queries
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.evidence import references
from proofdesk.outbound import policies, policy_queries
from proofdesk.outbound.delivery import attempt_queries
from proofdesk.outbound.opt_outs import queries
from proofdesk.outbound.opt_outs.queries import ContactMessage, MessagePosition
from proofdesk.outbound.opt_outs.words import MAX_LENGTH, OptOutWords
from proofdesk.outbound.policy_queries import PolicyUpdate, RecipientPolicies
from proofdesk.projects.scope import Scope

_OVERLAP = timedelta(minutes=10)  # a transaction that stores messages may end this long after it began
_BATCH_SIZE = 200  # opt-outs of one transaction
_PAGE_SIZE = 1000  # messages of one query
_START = datetime(1970, 1, 1, tzinfo=UTC)
_INBOX_CHANNELS = {"Channel::Email": "email", "Channel::Telegram": "telegram"}


@dataclass(frozen=True)
class OptOutRequest:
    """A contact who opts out of a channel, and their last message that says so."""

    channel: str
    contact: str
    message: ContactMessage


async def apply_opt_outs(db: Database, scope: Scope, words: list[str]) -> int:
    """Opt out the contacts who asked for it since the last run; return how many policies changed.

    The first run, and the first with other words, reads all messages.
    """
    async with db.scoped(scope) as conn:
        watermark = await queries.fetch_watermark(conn, scope)
        started_at = await attempt_queries.fetch_current_time(conn)
    is_current = watermark is not None and watermark.words == words
    since = watermark.at - _OVERLAP if watermark is not None and is_current else _START
    messages = await _find_opt_out_messages(db, scope, OptOutWords(words), since)
    changed, requests = 0, list(_build_requests(scope, messages))
    for start in range(0, len(requests), _BATCH_SIZE):
        changed += await _opt_out(db, scope, requests[start : start + _BATCH_SIZE])
    async with db.scoped(scope) as conn:
        await progress_queries.set_reading_progress(conn, scope, "opt_out_words", started_at, {"words": words})
    return changed


async def _find_opt_out_messages(
    db: Database, scope: Scope, words: OptOutWords, since: datetime
) -> list[ContactMessage]:
    """Return the messages stored since a time that opt out, in the order in which they were written."""
    messages: list[ContactMessage] = []
    position = MessagePosition(since)
    while True:  # one page at a time
        async with db.scoped(scope) as conn:
            page = await queries.fetch_contact_messages(conn, scope, position, MAX_LENGTH, _PAGE_SIZE)
        messages += [message for message in page if words.matches(message.text)]
        if len(page) < _PAGE_SIZE:
            return sorted(messages, key=lambda message: (message.at, message.message_id))
        position = MessagePosition(page[-1].stored_at, page[-1].account_id, page[-1].message_id)


def _build_requests(scope: Scope, messages: list[ContactMessage]) -> Iterable[OptOutRequest]:
    """Return one request for each contact and channel, with their last message. `messages` are in order of time."""
    last_messages: dict[tuple[str, str], ContactMessage] = {}
    for message in messages:
        contact = ids.contact(scope.project_id, message.account_id, message.contact_id)
        contact = contact or ids.conversation(scope.project_id, message.account_id, message.conversation_id)
        for channel in filter(None, ("chatwoot", _INBOX_CHANNELS.get(message.channel_type or ""))):
            last_messages[channel, contact] = message
    return (OptOutRequest(channel, contact, message) for (channel, contact), message in last_messages.items())


async def _opt_out(db: Database, scope: Scope, requests: list[OptOutRequest]) -> int:
    async with db.scoped(scope) as conn:
        recipients = await policies.ensure_policies(conn, scope, [(r.channel, r.contact) for r in requests])
        by_contact = {(r.channel, r.recipient): r for r in recipients}
        policy_ids = sorted({policy_id for r in recipients for policy_id in r.policy_ids})
        locked = await policy_queries.lock_policies(conn, scope, policy_ids)
        subscribed = {policy.id for policy in locked if not policy.opted_out}
        opt_ins = {o.policy_id: o.at for o in await queries.fetch_opt_ins(conn, scope, policy_ids)}
        effective = [
            r for r in requests if _has_effect(r.message.at, by_contact[r.channel, r.contact], subscribed, opt_ins)
        ]
        changed = sorted({i for r in effective for i in by_contact[r.channel, r.contact].policy_ids if i in subscribed})
        if changed:
            await policy_queries.update_policies(conn, scope, changed, PolicyUpdate(opted_out=True))
            for request in effective:
                await _record(conn, scope, request, by_contact[request.channel, request.contact])
        return len(changed)


def _has_effect(
    written_at: datetime, recipient: RecipientPolicies, subscribed: set[UUID], opt_ins: dict[UUID, datetime]
) -> bool:
    """Return whether a contact is not opted out yet, and wrote after their last explicit opt-in."""
    is_subscribed = any(policy_id in subscribed for policy_id in recipient.policy_ids)
    return is_subscribed and all(opt_ins[i] < written_at for i in recipient.policy_ids if i in opt_ins)


async def _record(conn: Conn, scope: Scope, request: OptOutRequest, recipient: RecipientPolicies) -> None:
    message = ids.message(scope.project_id, request.message.account_id, request.message.message_id)
    await events.record(
        conn,
        events.system_actor(scope.actor.request_id),
        "outbound.opt_out",
        "contact_channel_policy",
        recipient.policy_ids[0],
        scope=scope,
        payload={
            "channel": request.channel,
            "contact": request.contact,
            "changed": {"opted_out": True},
            "reason": "the contact's own words",
        },
        evidence_refs=await references.cite(conn, scope, [{"source": "cw_messages", "ref": message}]),
    )
