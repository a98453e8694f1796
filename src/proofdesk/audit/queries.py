"""SQL of audit events and of the chains that they form."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, execute, fetch_all, fetch_optional, fetch_value


class EventScope(Protocol):
    """The project to whose chain an event belongs."""

    @property
    def project_id(self) -> UUID: ...

    @property
    def account_scope_id(self) -> UUID: ...


@dataclass(frozen=True)
class NewAuditEvent:
    """An event to add. The database adds its id, time and hashes."""

    actor_username: str
    actor_user_id: UUID | None
    action: str
    entity_type: str
    entity_id: str | None
    status: str
    request_id: str | None
    payload: dict[str, Any]
    evidence_refs: list[dict[str, Any]]


@dataclass(frozen=True)
class AuditEvent:
    """An event. `project_id` is None for events of the installation."""

    id: int
    project_id: UUID | None
    actor_username: str
    action: str
    entity_type: str
    entity_id: str | None
    status: str
    request_id: str | None
    payload: dict[str, Any]
    evidence_refs: list[dict[str, Any]]
    created_at: datetime


@dataclass(frozen=True)
class ChainLink:
    """An event with its hashes. `payload_text` and `refs_text` are JSON as PostgreSQL writes it."""

    id: int
    project_id: UUID | None
    account_scope_id: UUID | None
    created_at: datetime
    actor_username: str
    actor_user_id: UUID | None
    action: str
    entity_type: str
    entity_id: str | None
    status: str
    request_id: str | None
    payload_text: str
    refs_text: str
    previous_hash: bytes
    hash: bytes


@dataclass(frozen=True)
class ChainHead:
    """The end of a chain: the number of its events, and its last event."""

    events: int
    last_id: int
    last_hash: bytes


@dataclass(frozen=True)
class AuditFilter:
    """Which events to list. `action` is one action or a family such as `auth.*`; None does not filter."""

    action: str | None = None
    entity_type: str | None = None
    entity_id: str | None = None


async def insert_event(conn: Conn, scope: EventScope | None, event: NewAuditEvent) -> None:
    """Add an event to the end of its chain."""
    # No RETURNING, because the actor may not be allowed to see an event without a project.
    await execute(
        conn,
        """
        INSERT INTO audit_events (project_id, account_scope_id, actor_username, actor_user_id, action, entity_type,
                                  entity_id, status, request_id, payload, evidence_refs)
        VALUES (%(project)s, %(account_scope)s, %(username)s, %(user)s, %(action)s, %(entity_type)s,
                %(entity)s, %(status)s, %(request)s, %(payload)s, %(refs)s)""",
        project=scope and scope.project_id,
        account_scope=scope and scope.account_scope_id,
        username=event.actor_username,
        user=event.actor_user_id,
        action=event.action,
        entity_type=event.entity_type,
        entity=event.entity_id,
        status=event.status,
        request=event.request_id,
        payload=Jsonb(event.payload),
        refs=Jsonb(event.evidence_refs),
    )


async def insert_events(conn: Conn, scope: EventScope | None, events: Sequence[NewAuditEvent]) -> None:
    """Add events to the end of the chain of a project, or of the installation, in their order."""
    await execute(
        conn,
        """
        INSERT INTO audit_events (project_id, account_scope_id, actor_username, actor_user_id, action, entity_type,
                                  entity_id, status, request_id, payload, evidence_refs)
        SELECT %(project)s, %(account_scope)s, e.actor_username, e.actor_user_id, e.action, e.entity_type,
               e.entity_id, e.status, e.request_id, e.payload, e.evidence_refs
        FROM ROWS FROM (jsonb_to_recordset(%(events)s) AS (
            actor_username text, actor_user_id uuid, action text, entity_type text, entity_id text, status text,
            request_id text, payload jsonb, evidence_refs jsonb)) WITH ORDINALITY AS e (
            actor_username, actor_user_id, action, entity_type, entity_id, status, request_id, payload, evidence_refs,
            place)
        ORDER BY e.place""",
        project=scope and scope.project_id,
        account_scope=scope and scope.account_scope_id,
        events=Jsonb([vars(event) | {"actor_user_id": _text(event.actor_user_id)} for event in events]),
    )


async def insert_events_of_projects(conn: Conn, scopes: Sequence[EventScope], events: Sequence[NewAuditEvent]) -> None:
    """Add one event to the chain of each of these projects, in their order."""
    await execute(
        conn,
        """
        INSERT INTO audit_events (project_id, account_scope_id, actor_username, actor_user_id, action, entity_type,
                                  entity_id, status, request_id, payload, evidence_refs)
        SELECT e.project_id, e.account_scope_id, e.actor_username, e.actor_user_id, e.action, e.entity_type,
               e.entity_id, e.status, e.request_id, e.payload, e.evidence_refs
        FROM ROWS FROM (jsonb_to_recordset(%(events)s) AS (
            project_id uuid, account_scope_id uuid, actor_username text, actor_user_id uuid, action text,
            entity_type text, entity_id text, status text, request_id text, payload jsonb, evidence_refs jsonb))
            WITH ORDINALITY AS e (project_id, account_scope_id, actor_username, actor_user_id, action, entity_type,
                                  entity_id, status, request_id, payload, evidence_refs, place)
        ORDER BY e.place""",
        events=Jsonb(
            [
                vars(event)
                | {"actor_user_id": _text(event.actor_user_id)}
                | {"project_id": str(scope.project_id), "account_scope_id": str(scope.account_scope_id)}
                for scope, event in zip(scopes, events, strict=True)
            ]
        ),
    )


def _text(user_id: UUID | None) -> str | None:
    return None if user_id is None else str(user_id)


async def show_own_events(conn: Conn, user_id: UUID | None) -> None:
    """Let the transaction see the events without a project that the user caused."""
    await execute(conn, "SELECT set_config('proofdesk.user_id', %(user)s, true)", user=str(user_id or ""))


async def show_installation_events(conn: Conn) -> None:
    """Let the transaction see all events without a project."""
    await execute(conn, "SELECT set_config('proofdesk.installation', 'seen', true)")


async def list_events(
    conn: Conn, scope: EventScope, event_filter: AuditFilter, limit: int, offset: int
) -> list[AuditEvent]:
    """Return events of the project, and those without a project that the transaction may see, newest first."""
    return await fetch_all(
        conn,
        AuditEvent,
        """
        WITH project_events AS (
            SELECT * FROM audit_events
            WHERE project_id = %(project)s
              AND (%(action)s::text IS NULL OR action = %(action)s
                   OR (right(%(action)s, 2) = '.*' AND starts_with(action, left(%(action)s, -1))))
              AND (%(entity_type)s::text IS NULL OR entity_type = %(entity_type)s)
              AND (%(entity)s::text IS NULL OR entity_id = %(entity)s)
            ORDER BY id DESC LIMIT %(limit)s + %(offset)s),
        installation_events AS (
            SELECT * FROM audit_events
            WHERE project_id IS NULL
              AND (%(action)s::text IS NULL OR action = %(action)s
                   OR (right(%(action)s, 2) = '.*' AND starts_with(action, left(%(action)s, -1))))
              AND (%(entity_type)s::text IS NULL OR entity_type = %(entity_type)s)
              AND (%(entity)s::text IS NULL OR entity_id = %(entity)s)
            ORDER BY id DESC LIMIT %(limit)s + %(offset)s)
        SELECT id, project_id, actor_username, action, entity_type, entity_id, status, request_id, payload,
               evidence_refs, created_at
        FROM (SELECT * FROM project_events UNION ALL SELECT * FROM installation_events) e
        ORDER BY id DESC LIMIT %(limit)s OFFSET %(offset)s""",
        project=scope.project_id,
        action=event_filter.action,
        entity_type=event_filter.entity_type,
        entity=event_filter.entity_id,
        limit=limit,
        offset=offset,
    )


async def count_events(conn: Conn, scope: EventScope, event_filter: AuditFilter) -> int:
    """Return how many events `list_events` returns without a limit."""
    return await fetch_value(
        conn,
        """
        SELECT count(*)
        FROM (SELECT * FROM audit_events WHERE project_id = %(project)s
              UNION ALL SELECT * FROM audit_events WHERE project_id IS NULL) e
        WHERE (%(action)s::text IS NULL OR action = %(action)s
               OR (right(%(action)s, 2) = '.*' AND starts_with(action, left(%(action)s, -1))))
          AND (%(entity_type)s::text IS NULL OR entity_type = %(entity_type)s)
          AND (%(entity)s::text IS NULL OR entity_id = %(entity)s)""",
        project=scope.project_id,
        action=event_filter.action,
        entity_type=event_filter.entity_type,
        entity=event_filter.entity_id,
    )


# Chains -----------------------------------------------------------------------------------------------------------


async def get_head(conn: Conn, project_id: UUID | None) -> ChainHead | None:
    """Return the end of a chain, or None when it has no events. `project_id` None means the installation."""
    return await fetch_optional(
        conn,
        ChainHead,
        """
        SELECT events, last_id, last_hash FROM audit_heads
        WHERE project_id = %(project)s OR (project_id IS NULL AND %(project)s::uuid IS NULL)""",
        project=project_id,
    )


async def list_links(conn: Conn, project_id: UUID | None, after: int, limit: int) -> list[ChainLink]:
    """Return the next events of a chain after an id, in order."""
    return await fetch_all(
        conn,
        ChainLink,
        """
        SELECT id, project_id, account_scope_id, created_at, actor_username, actor_user_id, action, entity_type,
               entity_id, status, request_id, payload::text AS payload_text, evidence_refs::text AS refs_text,
               previous_hash, hash
        FROM audit_events
        WHERE (project_id = %(project)s OR (project_id IS NULL AND %(project)s::uuid IS NULL)) AND id > %(after)s
        ORDER BY id LIMIT %(limit)s""",
        project=project_id,
        after=after,
        limit=limit,
    )
