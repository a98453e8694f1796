"""Record audit events, and the actor who causes them.

An event is recorded in the transaction of the change that it describes, so both are stored or neither is. Events are
never changed. The events of a project form a chain, and so do those without a project, such as logins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from proofdesk.audit import queries
from proofdesk.audit.queries import EventScope
from proofdesk.database.rows import Conn


@dataclass(frozen=True)
class Actor:
    """A user, or Proofdesk itself when a job acts. `request_id` is that of the request that caused the action."""

    username: str
    user_id: UUID | None
    is_owner: bool
    request_id: str | None = None


def system_actor(request_id: str | None = None) -> Actor:
    """Return the actor for schedules, jobs and commands."""
    return Actor("system", None, True, request_id)


def anonymous_actor(request_id: str | None = None) -> Actor:
    """Return the actor for a request of somebody who is not signed in."""
    return Actor("nobody", None, False, request_id)


@dataclass(frozen=True)
class EvidenceRef:
    """A reference to what supports an event. The chain stores it as it is; `evidence` creates and resolves it."""

    source: str
    ref: str
    meta: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the reference as the chain stores it. It holds no text of messages."""
        return {"source": self.source, "ref": self.ref} | ({"meta": self.meta} if self.meta else {})


@dataclass(frozen=True)
class BulkEvent:
    """One of several events that are recorded together."""

    action: str
    entity_type: str
    entity_id: object
    status: str = "ok"
    payload: dict[str, Any] = field(default_factory=dict)


async def record(
    conn: Conn,
    actor: Actor,
    action: str,
    entity_type: str,
    entity_id: object,
    *,
    scope: EventScope | None = None,
    status: str = "ok",
    payload: dict[str, Any] | None = None,
    evidence_refs: Sequence[EvidenceRef] = (),
) -> None:
    """Add an event to the chain of the project, or of the installation when `scope` is None.

    Call it last in a transaction: the chain stays locked until the transaction ends, so no network call may follow.
    `payload` holds ids, counts and codes, but no secrets and no text of messages.
    """
    event = queries.NewAuditEvent(
        actor_username=actor.username,
        actor_user_id=actor.user_id,
        action=action,
        entity_type=entity_type,
        entity_id=None if entity_id is None else str(entity_id),
        status=status,
        request_id=actor.request_id,
        payload=payload or {},
        evidence_refs=[reference.as_json() for reference in evidence_refs],
    )
    await queries.insert_event(conn, scope, event)


async def record_many(conn: Conn, scope: EventScope | None, actor: Actor, events: Sequence[BulkEvent]) -> None:
    """Add events without evidence to the chain of the project, or of the installation, in this order."""
    if events:
        await queries.insert_events(conn, scope, [_new_event(actor, event) for event in events])


async def record_for_projects(conn: Conn, actor: Actor, events: Sequence[tuple[EventScope, BulkEvent]]) -> None:
    """Add events without evidence to the chains of several projects, in one statement and in this order.

    Each event locks the end of its project's chain. Sort the events by project, so that two transactions cannot
    deadlock.
    """
    if events:
        scopes = [scope for scope, _ in events]
        await queries.insert_events_of_projects(conn, scopes, [_new_event(actor, event) for _, event in events])


def _new_event(actor: Actor, event: BulkEvent) -> queries.NewAuditEvent:
    return queries.NewAuditEvent(
        actor_username=actor.username,
        actor_user_id=actor.user_id,
        action=event.action,
        entity_type=event.entity_type,
        entity_id=str(event.entity_id),
        status=event.status,
        request_id=actor.request_id,
        payload=event.payload,
        evidence_refs=[],
    )
