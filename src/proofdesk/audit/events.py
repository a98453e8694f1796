"""Who did what: the actor that everything done carries, and the events that are never changed.

An event is recorded in the transaction of the change it tells of: both happen, or neither. Events of a project form a
chain; so do those without a project, such as logins.
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
    """A person, or Proofdesk itself when a job acts. `request_id` names the request that caused it."""

    username: str
    user_id: UUID | None
    is_owner: bool
    request_id: str | None = None


def system_actor(request_id: str | None = None) -> Actor:
    """Proofdesk acting on its own, by schedule or from the command line."""
    return Actor("system", None, True, request_id)


def anonymous_actor(request_id: str | None = None) -> Actor:
    """Somebody who has not shown who he is."""
    return Actor("nobody", None, False, request_id)


@dataclass(frozen=True)
class EvidenceRef:
    """A reference to what supports an event. It is stored as it is; `evidence.references` makes and resolves it."""

    source: str
    ref: str
    meta: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the reference as the chain stores it, without text of messages."""
        return {"source": self.source, "ref": self.ref} | ({"meta": self.meta} if self.meta else {})


@dataclass(frozen=True)
class BulkEvent:
    """An event of many, as its verb tells it."""

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
    """Add an event to the project of `scope`, or to the installation's without one. Best done last in a transaction.

    The chain is locked from here to the end of the transaction, so no network call may follow. `payload` holds ids,
    counts and codes: no secret, no text of messages.
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


async def record_many(conn: Conn, scope: EventScope, actor: Actor, events: Sequence[BulkEvent]) -> None:
    """Add events without evidence to the project's chain, in this order, as `record` does."""
    if events:
        await queries.insert_events(conn, scope, [_new_event(actor, event) for event in events])


async def record_for_projects(conn: Conn, actor: Actor, events: Sequence[tuple[EventScope, BulkEvent]]) -> None:
    """Add events without evidence to the chains of several projects, in one statement and in this order.

    Each event locks the end of its project's chain. Sort by project, so that two transactions never wait for each
    other.
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
