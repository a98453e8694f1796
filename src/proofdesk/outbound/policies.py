"""Policies: what contacts allow on a channel. A policy is found by any name of its contact."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Invalid
from proofdesk.evidence import references
from proofdesk.outbound import gates, policy_queries, recipients
from proofdesk.outbound.channels import registry
from proofdesk.outbound.channels.email import address
from proofdesk.outbound.channels.email.address import NotAnAddress
from proofdesk.outbound.channels.interface import InvalidRecipient
from proofdesk.outbound.gates import Policy
from proofdesk.outbound.policy_queries import PolicyFilter, PolicyUpdate, RecipientPolicies
from proofdesk.projects.scope import Scope

MAX_FREQUENCY_WINDOW_HOURS = 720
MAX_FREQUENCY_CAP = 200
MAX_CONTACT_LENGTH = 500
MAX_REASON_LENGTH = 500  # a longer reason is cut
_CHAT_ID = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)


class InvalidOptOut(Invalid):
    """A change of a policy names nobody, changes nothing, is out of bounds, or opts in without a reason."""

    code = "invalid_opt_out_payload"


async def change_policy(
    db: Database,
    scope: Scope,
    contact: Any,
    channel: Any,
    update: PolicyUpdate,
    *,
    reason: Any = None,
    evidence_refs: Any = None,
) -> Policy:
    """Change the policy of a contact, by their global id or address; return it as it is now.

    Values may be of any type: this validates them. Raises `InvalidChannel`, `InvalidOptOut` or `InvalidEvidenceRef`.
    """
    scope.require("editor")
    channel = registry.check_channel(channel)
    validate_update(contact, update, reason, evidence_refs)
    async with db.scoped(scope) as conn:
        name = await resolve_name(conn, scope, contact.strip(), channel)
        [recipient] = await ensure_policies(conn, scope, [(channel, name)])
        before = await policy_queries.lock_policies(conn, scope, recipient.policy_ids)
        _check_opt_in(before, update, reason, evidence_refs)
        await policy_queries.update_policies(conn, scope, recipient.policy_ids, update)
        if update.frequency_cap is not None or update.frequency_window_hours is not None:
            await policy_queries.resume_deferred(conn, scope, recipient.policy_ids)
        after = await load_policies(conn, scope, channel, name)
        await _record_change(conn, scope, after[0], update, reason, evidence_refs)
    return gates.combine_policies(after, datetime.now(UTC))


def validate_update(contact: Any, update: PolicyUpdate, reason: Any, evidence_refs: Any) -> None:
    """Check the types and bounds of a change. Raises `InvalidOptOut`."""
    if not isinstance(contact, str) or not 0 < len(contact.strip()) <= MAX_CONTACT_LENGTH:
        raise InvalidOptOut(f"`contact_global_id` must be a string of 1 to {MAX_CONTACT_LENGTH} characters.")
    for name in ("opted_out", "stop_on_reply"):
        if not isinstance(getattr(update, name), bool | None):
            raise InvalidOptOut(f"`{name}` must be true or false.")
    if not isinstance(update.replied, bool):
        raise InvalidOptOut("`mark_replied` must be true or false.")
    _check_number("frequency_window_hours", update.frequency_window_hours, MAX_FREQUENCY_WINDOW_HOURS)
    _check_number("frequency_cap", update.frequency_cap, MAX_FREQUENCY_CAP)
    if not isinstance(reason, str | None):
        raise InvalidOptOut("`reason` must be a string.")
    if not isinstance(evidence_refs, list | None):
        raise InvalidOptOut("`evidence_refs` must be a list.")
    if update == PolicyUpdate():
        raise InvalidOptOut("Set at least one field to change: opted_out, stop_on_reply, frequency_window_hours, …")


def _check_number(name: str, value: Any, maximum: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
        raise InvalidOptOut(f"`{name}` must be a whole number from 1 to {maximum}.")


async def list_policies(
    db: Database, scope: Scope, policy_filter: PolicyFilter, limit: int, offset: int
) -> tuple[list[Policy], int]:
    """Return policies, the last changed first, and the total number. An expired window counts no messages."""
    async with db.scoped(scope) as conn:
        page = await policy_queries.fetch_policy_page(conn, scope, policy_filter, limit, offset)
        total = await policy_queries.count_policies(conn, scope, policy_filter)
    now = datetime.now(UTC)
    return [gates.close_expired_window(policy, now) for policy in page], total


async def ensure_policies(conn: Conn, scope: Scope, recipients: list[tuple[str, str]]) -> list[RecipientPolicies]:
    """Return the policies of recipients, given as pairs of channel and recipient; create those that are missing."""
    missing = set(recipients)
    found: list[RecipientPolicies] = []
    while missing:
        channels, names = [channel for channel, _ in missing], [name for _, name in missing]
        batch = await policy_queries.ensure_policies(conn, scope, channels, names)
        found += batch
        missing -= {(policies.channel, policies.recipient) for policies in batch}
    return found


async def lock_policies(conn: Conn, scope: Scope, recipients: list[RecipientPolicies]) -> dict[UUID, Policy]:
    """Lock the policies of recipients, as `policy_queries.lock_policies` does; return them by id.

    Where a contact has several policies, as after a merge, each counts every message to that contact.
    """
    policy_ids = [policy_id for recipient in recipients for policy_id in recipient.policy_ids]
    locked = {policy.id: policy for policy in await policy_queries.lock_policies(conn, scope, policy_ids)}
    by_recipient = [[locked[policy_id] for policy_id in recipient.policy_ids] for recipient in recipients]
    return locked | await _count_together(conn, scope, by_recipient)


async def load_policies(conn: Conn, scope: Scope, channel: str, recipient: str) -> list[Policy]:
    """Return the policies of a recipient, which count their messages together; an empty list without any."""
    policies = await policy_queries.fetch_policies(conn, scope, channel, recipient)
    counted = await _count_together(conn, scope, [policies])
    return [counted.get(policy.id, policy) for policy in policies]


async def _count_together(conn: Conn, scope: Scope, by_contact: list[list[Policy]]) -> dict[UUID, Policy]:
    """Return the policies of contacts that have several, each with all messages to the contact in its window."""
    several = [policies for policies in by_contact if len(policies) > 1]
    if not several:
        return {}
    sent = await policy_queries.count_sent_to_contacts(conn, scope, several)
    return {p.id: gates.with_sent_at_least(p, sent.get(p.id, 0)) for policies in several for p in policies}


async def resolve_name(conn: Conn, scope: Scope, contact: str, channel: str) -> str:
    """Return the name of a contact in the form that drafts have. Raises `InvalidOptOut`."""
    if not contact.startswith(("cwc:", "cw:")):
        return _normalize_address(contact, channel)
    try:
        await recipients.check_contact_ref(conn, scope, contact)
    except InvalidRecipient as error:
        raise InvalidOptOut(error.message) from error
    return contact.lower()


def _normalize_address(text: str, channel: str) -> str:
    """Return an e-mail address or a chat id in the form that drafts have; a contact of Chatwoot may have either."""
    if channel != "email" and _CHAT_ID.fullmatch(text):
        return text
    try:
        if channel != "telegram":
            return address.parse_address(text).shown
    except NotAnAddress:
        pass
    raise InvalidOptOut(f"{text[:80]!r} is neither a contact's global id nor an address of the channel {channel}.")


def _check_opt_in(
    before: list[Policy], update: PolicyUpdate, reason: str | None, evidence_refs: list[Any] | None
) -> None:
    opts_in = update.opted_out is False and any(policy.opted_out for policy in before)
    if opts_in and not ((reason or "").strip() or evidence_refs):
        raise InvalidOptOut("To opt in a contact who opted out, give a `reason` or `evidence_refs`.")


async def _record_change(
    conn: Conn,
    scope: Scope,
    policy: Policy,
    update: PolicyUpdate,
    reason: str | None,
    evidence_refs: list[Any] | None,
) -> None:
    action = {True: "outbound.opt_out", False: "outbound.opt_in", None: "outbound.policy"}[update.opted_out]
    changed = {name: value for name, value in vars(update).items() if value not in (None, False) or name == "opted_out"}
    payload: dict[str, Any] = {"channel": policy.channel, "contact": policy.contact_global_id, "changed": changed}
    if reason and reason.strip():
        payload["reason"] = reason.strip()[:MAX_REASON_LENGTH]
    await events.record(
        conn,
        scope.actor,
        action,
        "contact_channel_policy",
        policy.id,
        scope=scope,
        payload=payload,
        evidence_refs=await references.cite(conn, scope, evidence_refs or []),
    )
