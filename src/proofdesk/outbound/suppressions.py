"""Suppressions: recipients whom a channel cannot reach or must not write to.

A channel that refuses a recipient for good adds one; people add and remove them. A bounce is not an opt-out: it says
nothing about what the contact wants, and holds for the address alone.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from proofdesk.audit import events
from proofdesk.audit.events import BulkEvent
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn, like_pattern
from proofdesk.errors import Invalid, NotFound
from proofdesk.outbound import policies, suppression_queries
from proofdesk.outbound.channels import registry
from proofdesk.outbound.policies import InvalidOptOut
from proofdesk.outbound.suppression_queries import NewSuppression, Suppression
from proofdesk.projects.scope import Scope

REASONS = ("bounce", "complaint", "invalid", "blocked", "manual")
MAX_DETAIL_LENGTH = 500
ENTITY_TYPE = "suppression"


_BLOCKED_FOR = timedelta(days=30)
"""A recipient who blocked a bot may unblock it, and nobody tells us."""


class InvalidSuppression(Invalid):
    """A suppression names nobody, or has a reason or a time that is not allowed."""

    code = "invalid_suppression"


class SuppressionNotFound(NotFound):
    """The recipient is not suppressed on the channel."""

    code = "suppression_not_found"


async def add(
    db: Database,
    scope: Scope,
    channel: Any,
    name: Any,
    *,
    reason: Any = "manual",
    detail: Any = None,
    expires_at: datetime | None = None,
) -> Suppression:
    """Suppress an address, or a contact by their global id, on a channel; return the suppression.

    Values may be of any type: this validates them. Raises `InvalidChannel` or `InvalidSuppression`.
    """
    scope.require("editor")
    channel = registry.check_channel(channel)
    if not isinstance(reason, str) or reason not in REASONS:
        raise InvalidSuppression(f"`reason` must be one of {', '.join(REASONS)}.")
    if not isinstance(detail, str | None) or len(detail or "") > MAX_DETAIL_LENGTH:
        raise InvalidSuppression(f"`detail` must be a string of at most {MAX_DETAIL_LENGTH} characters.")
    async with db.scoped(scope) as conn:
        resolved = await _resolve(conn, scope, channel, name)
        await store(conn, scope, [NewSuppression(channel, resolved, reason, detail, None, expires_at)])
        stored = await suppression_queries.fetch_suppression(conn, scope, channel, resolved)
    assert stored is not None, "it was stored in this transaction"
    return stored


async def remove(db: Database, scope: Scope, channel: Any, name: Any) -> Suppression:
    """Remove a suppression and return it. Raises `SuppressionNotFound`, `InvalidChannel` or `InvalidSuppression`."""
    scope.require("editor")
    channel = registry.check_channel(channel)
    async with db.scoped(scope) as conn:
        resolved = await _resolve(conn, scope, channel, name)
        removed = await suppression_queries.delete_suppression(conn, scope, channel, resolved)
        if removed is None:
            raise SuppressionNotFound("This recipient is not suppressed on this channel.")
        await events.record_many(conn, scope, scope.actor, [_event("outbound.suppression_removed", removed)])
    return removed


async def remove_of_message(conn: Conn, scope: Scope, outbound_id: UUID) -> None:
    """Remove the suppressions that the delivery of a message caused: a person decided to try again."""
    removed = await suppression_queries.delete_suppressions_of_message(conn, scope, outbound_id)
    await events.record_many(conn, scope, scope.actor, [_event("outbound.suppression_removed", row) for row in removed])


async def list_suppressions(
    db: Database, scope: Scope, channel: str | None, text: str | None, limit: int, offset: int
) -> tuple[list[Suppression], int]:
    """Return suppressions whose address contains a text, the newest first, and the total number."""
    pattern = like_pattern(text)
    async with db.scoped(scope) as conn:
        page = await suppression_queries.list_suppressions(conn, scope, channel, pattern, limit, offset)
        return page, await suppression_queries.count_suppressions(conn, scope, channel, pattern)


def expiry(reason: str, now: datetime) -> datetime | None:
    """Return until when a suppression holds that a channel's refusal causes; None: until a person removes it."""
    return now + _BLOCKED_FOR if reason == "blocked" else None


async def store(conn: Conn, scope: Scope, suppressions: list[NewSuppression]) -> None:
    """Store suppressions with their audit events; one that is stored already changes nothing."""
    if not suppressions:
        return
    unique = {(suppression.channel, suppression.name): suppression for suppression in suppressions}
    changed = await suppression_queries.upsert_suppressions(conn, scope, list(unique.values()))
    await events.record_many(conn, scope, scope.actor, [_event("outbound.suppression", row) for row in changed])


async def _resolve(conn: Conn, scope: Scope, channel: str, name: Any) -> str:
    if not isinstance(name, str) or not 0 < len(name.strip()) <= policies.MAX_CONTACT_LENGTH:
        raise InvalidSuppression("Give the `address` or the `contact_global_id` of the recipient.")
    if name.strip().startswith("cw:"):
        raise InvalidSuppression("A conversation cannot be suppressed. Give the `contact_global_id` of its contact.")
    try:
        return (await policies.resolve_name(conn, scope, name.strip(), channel)).lower()
    except InvalidOptOut as error:
        raise InvalidSuppression(error.message) from error


def _event(action: str, row: Suppression) -> BulkEvent:
    payload = {"channel": row.channel, "recipient": row.address or row.contact_global_id, "reason": row.reason}
    return BulkEvent(action, ENTITY_TYPE, row.id, payload=payload | ({"detail": row.detail} if row.detail else {}))
