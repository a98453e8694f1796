"""Policies: what people allow on a channel. A person is met by any of his names, and keeps those he had."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from proofdesk.audit import events
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Invalid
from proofdesk.evidence import references
from proofdesk.outbound import gates, policy_queries
from proofdesk.outbound.channels import registry
from proofdesk.outbound.channels.email import address
from proofdesk.outbound.channels.email.address import NotAnAddress
from proofdesk.outbound.gates import Policy
from proofdesk.outbound.policy_queries import PolicyFilter, PolicyUpdate, RecipientPolicies
from proofdesk.projects.scope import Scope

_LONGEST_REASON = 500
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)


class InvalidOptOut(Invalid):
    """A change of a policy that names nobody, changes nothing, or undoes an opt-out without a reason."""

    code = "invalid_opt_out_payload"


async def change_policy(
    db: Database,
    scope: Scope,
    contact: str,
    channel: str,
    update: PolicyUpdate,
    *,
    reason: str | None = None,
    evidence_refs: list[Any] | None = None,
) -> Policy:
    """Change what is named of a person's policy, by his contact's global id or his address.

    Raises `channels.InvalidChannel`, `InvalidOptOut`, `InvalidEvidenceRef`.
    """
    registry.check_channel(channel)
    if update == PolicyUpdate():
        raise InvalidOptOut("Name what is to change: opted_out, stop_on_reply, frequency_window_hours, …")
    async with db.scoped(scope) as conn:
        name = await _named(conn, scope, contact, channel)
        [person] = await ensure_policies(conn, scope, [(channel, name)])
        before = await policy_queries.lock_policies(conn, scope, person.policy_ids)
        _check_opt_in(before, update, reason, evidence_refs)
        await policy_queries.update_policies(conn, scope, person.policy_ids, update)
        if update.frequency_cap is not None or update.frequency_window_hours is not None:
            await policy_queries.resume_deferred(conn, scope, person.policy_ids)
        after = await load_policies(conn, scope, channel, name)
        await _record(conn, scope, after[0], update, reason, evidence_refs)
    return gates.combine_policies(after, datetime.now(UTC))


async def list_policies(
    db: Database, scope: Scope, policy_filter: PolicyFilter, limit: int, offset: int
) -> tuple[list[Policy], int]:
    """Policies, the last changed first, and how many there are in all. A window that is over counts nothing."""
    async with db.scoped(scope) as conn:
        found = await policy_queries.fetch_policy_page(conn, scope, policy_filter, limit, offset)
        total = await policy_queries.count_policies(conn, scope, policy_filter)
    now = datetime.now(UTC)
    return [gates.close_expired_window(p, now) for p in found], total


async def ensure_policies(conn: Conn, scope: Scope, recipients: list[tuple[str, str]]) -> list[RecipientPolicies]:
    """Who these are, as pairs of channel and recipient; each has a policy then."""
    asked = set(recipients)
    people: list[RecipientPolicies] = []
    while asked:
        found = await policy_queries.ensure_policies(conn, scope, [c for c, _ in asked], [r for _, r in asked])
        people += found
        asked -= {(p.channel, p.recipient) for p in found}
    return people


async def lock_policies(conn: Conn, scope: Scope, people: list[RecipientPolicies]) -> dict[UUID, Policy]:
    """Lock the policies of these people, as `policy_queries.hold` does. Where several policies are of one person, as
    after a merge of contacts, each counts what was sent to all of that person."""
    held = {p.id: p for p in await policy_queries.lock_policies(conn, scope, [i for p in people for i in p.policy_ids])}
    return held | await _counted(conn, scope, [[held[i] for i in person.policy_ids] for person in people])


async def load_policies(conn: Conn, scope: Scope, channel: str, recipient: str) -> list[Policy]:
    """The policies that count for a recipient, counting together; none when they were never met."""
    found = await policy_queries.fetch_policies(conn, scope, channel, recipient)
    counted = await _counted(conn, scope, [found])
    return [counted.get(p.id, p) for p in found]


async def _counted(conn: Conn, scope: Scope, people: list[list[Policy]]) -> dict[UUID, Policy]:
    several = [person for person in people if len(person) > 1]
    if not several:
        return {}
    sent = await policy_queries.count_sent_to_contacts(conn, scope, several)
    return {p.id: gates.with_sent_at_least(p, sent.get(p.id, 0)) for person in several for p in person}


async def _named(conn: Conn, scope: Scope, who: str, channel: str) -> str:
    name = who.strip()
    if not name.startswith(("cwc:", "cw:")):
        return _address(name, channel)
    try:
        named = ids.parse(name, "contact" if name.startswith("cwc:") else "conversation")
    except Invalid as error:
        raise InvalidOptOut(error.message) from error
    exists = recipient_queries.contact_exists if named.kind == "contact" else recipient_queries.conversation_exists
    if named.project_id != scope.project_id or not await exists(conn, scope, named.account_id, named.number):
        raise InvalidOptOut(f"This project has no {named.kind} {name[:80]!r}.")
    return name.lower()


def _address(name: str, channel: str) -> str:
    """An address in the form that drafts have: of e-mail, or the number of a chat; a contact of Chatwoot has either."""
    if channel != "email" and _NUMBER.fullmatch(name):
        return name
    try:
        if channel != "telegram":
            return address.parse_address(name).shown
    except NotAnAddress:
        pass
    raise InvalidOptOut(f"{name[:80]!r} is neither a contact's global id nor an address of {channel}.")


def _check_opt_in(
    before: list[Policy], wanted: PolicyUpdate, reason: str | None, evidence_refs: list[Any] | None
) -> None:
    opts_in = wanted.opted_out is False and any(p.opted_out for p in before)
    if opts_in and not ((reason or "").strip() or evidence_refs):
        raise InvalidOptOut(
            "Who opted out is let in again with a `reason` or `evidence_refs` only: say what allows it."
        )


async def _record(
    conn: Conn, scope: Scope, changed: Policy, wanted: PolicyUpdate, reason: str | None, evidence_refs: list[Any] | None
) -> None:
    action = {True: "outbound.opt_out", False: "outbound.opt_in", None: "outbound.policy"}[wanted.opted_out]
    told = {name: value for name, value in vars(wanted).items() if value not in (None, False) or name == "opted_out"}
    payload = {"channel": changed.channel, "contact": changed.contact_global_id, "changed": told}
    await events.record(
        conn,
        scope.actor,
        action,
        "contact_channel_policy",
        changed.id,
        scope=scope,
        payload=payload | ({"reason": reason.strip()[:_LONGEST_REASON]} if reason and reason.strip() else {}),
        evidence_refs=await references.cite(conn, scope, evidence_refs or []),
    )
