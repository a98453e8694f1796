"""Words that opt out: a contact whose whole message is STOP, отписаться or the like gets no more messages.

He is opted out of `chatwoot`, where he said so, and of `email` or `telegram` when the inbox is one of these. It is done
once: who is out already is left alone, and what he wrote before somebody let him in again counts no more. So all of it
may be read twice, by another run or after other words were set.
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
_AT_ONCE = 200  # decisions of one transaction
_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_PAGE = 1000  # messages looked at in one piece
_ALSO = {"Channel::Email": "email", "Channel::Telegram": "telegram"}


@dataclass(frozen=True)
class OptOutRequest:
    """That somebody wants nothing more on a channel, and the message that says so, the last if there are several."""

    channel: str
    contact: str
    message: ContactMessage


async def apply_opt_outs(db: Database, scope: Scope, words: list[str]) -> int:
    """Opt out whoever has asked for it since the last look, as the system; how many policies changed.

    Everything is looked through the first time, and when the words are others.
    """
    async with db.scoped(scope) as conn:
        mark = await queries.fetch_watermark(conn, scope)
        since = mark.at - _OVERLAP if mark is not None and mark.words == words else None
        began = await attempt_queries.fetch_current_time(conn)
    said = await _said_no(db, scope, OptOutWords(words), since or _EVER)
    changed, refusals = 0, list(_refusals(scope, said))
    for start in range(0, len(refusals), _AT_ONCE):
        changed += await _opt_out(db, scope, refusals[start : start + _AT_ONCE])
    async with db.scoped(scope) as conn:
        await progress_queries.set_reading_progress(conn, scope, "opt_out_words", began, {"words": words})
    return changed


async def _said_no(db: Database, scope: Scope, words: OptOutWords, since: datetime) -> list[ContactMessage]:
    """The messages stored since a time that opt out, in the order in which they were written."""
    found: list[ContactMessage] = []
    place = MessagePosition(since)
    while True:  # a page each
        async with db.scoped(scope) as conn:
            page = await queries.fetch_contact_messages(conn, scope, place, MAX_LENGTH, _PAGE)
        found += [one for one in page if words.matches(one.text)]
        if len(page) < _PAGE:
            return sorted(found, key=lambda one: (one.at, one.message_id))
        place = MessagePosition(page[-1].stored_at, page[-1].account_id, page[-1].message_id)


def _refusals(scope: Scope, said: list[ContactMessage]) -> Iterable[OptOutRequest]:
    last: dict[tuple[str, str], ContactMessage] = {}
    for one in said:  # in the order in which they were written
        who = ids.contact(scope.project_id, one.account_id, one.contact_id)
        who = who or ids.conversation(scope.project_id, one.account_id, one.conversation_id)
        for channel in filter(None, ("chatwoot", _ALSO.get(one.channel_type or ""))):
            last[channel, who] = one
    return (OptOutRequest(channel, who, one) for (channel, who), one in last.items())


async def _opt_out(db: Database, scope: Scope, refusals: list[OptOutRequest]) -> int:
    async with db.scoped(scope) as conn:
        people = await policies.ensure_policies(conn, scope, [(r.channel, r.contact) for r in refusals])
        found = {(p.channel, p.recipient): p for p in people}
        every = {policy_id for p in people for policy_id in p.policy_ids}
        held = await policy_queries.lock_policies(conn, scope, sorted(every))
        inside = {p.id for p in held if not p.opted_out}
        let_in = {o.policy_id: o.at for o in await queries.fetch_opt_ins(conn, scope, sorted(every))}
        heeded = [r for r in refusals if _counts(r.message.at, found[r.channel, r.contact], inside, let_in)]
        leaving = sorted({i for r in heeded for i in found[r.channel, r.contact].policy_ids if i in inside})
        if leaving:
            await policy_queries.update_policies(conn, scope, leaving, PolicyUpdate(opted_out=True))
            for refusal in heeded:
                await _record(conn, scope, refusal, found[refusal.channel, refusal.contact])
        return len(leaving)


def _counts(at: datetime, person: RecipientPolicies, inside: set[UUID], let_in: dict[UUID, datetime]) -> bool:
    """Whether it is news: somebody who is not out, and was not let in since."""
    return any(i in inside for i in person.policy_ids) and all(let_in[i] < at for i in person.policy_ids if i in let_in)


async def _record(conn: Conn, scope: Scope, refusal: OptOutRequest, person: RecipientPolicies) -> None:
    said = refusal.message
    message = ids.message(scope.project_id, said.account_id, said.message_id)
    payload = {"channel": refusal.channel, "contact": refusal.contact, "changed": {"opted_out": True}}
    await events.record(
        conn,
        events.system_actor(scope.actor.request_id),
        "outbound.opt_out",
        "contact_channel_policy",
        person.policy_ids[0],
        scope=scope,
        payload=payload | {"reason": "the contact's own words"},
        evidence_refs=await references.cite(conn, scope, [{"source": "cw_messages", "ref": message}]),
    )
