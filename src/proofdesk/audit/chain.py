"""Read, verify and export the chains of audit events.

A row's `hash` is the SHA-256 of the previous row's hash (32 zero bytes before the first) and of its sealed text: a JSON
array of all its other columns. Triggers of the database compute the hashes; this module computes them again from the
rows, independently of those triggers.
"""

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from proofdesk.audit import queries
from proofdesk.audit.events import Actor
from proofdesk.audit.queries import AuditEvent, AuditFilter, ChainHead, ChainLink, EventScope
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn

GENESIS_HASH = bytes(32)
INSTALLATION = "installation"
_BATCH = 2000


@dataclass(frozen=True)
class ChainProof:
    """The result of verifying a chain. `fault` is empty for an intact chain; `event_id` is the first wrong event."""

    chain: str
    project_id: UUID | None
    events: int
    last_hash: str
    fault: str = ""
    event_id: int | None = None


async def list_events(
    db: Database, scope: EventScope, actor: Actor, event_filter: AuditFilter, limit: int, offset: int
) -> list[AuditEvent]:
    """Return events of the project and events without a project, newest first.

    The owner sees all events without a project, others see those that they caused.
    """
    async with db.scoped(scope) as conn:
        await _show_events(conn, actor)
        return await queries.list_events(conn, scope, event_filter, limit, offset)


async def count_events(db: Database, scope: EventScope, actor: Actor, event_filter: AuditFilter) -> int:
    """Return how many events `list_events` returns without a limit."""
    async with db.scoped(scope) as conn:
        await _show_events(conn, actor)
        return await queries.count_events(conn, scope, event_filter)


async def verify(db: Database, scope: EventScope | None, name: str = INSTALLATION) -> ChainProof:
    """Verify the chain of a project, or of the installation when `scope` is None, up to its present end."""
    head = await _head(db, scope) or ChainHead(0, 0, GENESIS_HASH)
    count, last_id, last_hash = 0, 0, GENESIS_HASH
    async for link in read_links(db, scope):
        is_later = link.id > head.last_id
        if fault := await _check_end(db, scope, link) if is_later else _check_link(link, last_hash):
            return ChainProof(name, _project_id(scope), count, last_hash.hex(), fault, link.id)
        if is_later:
            break  # this event was added after verification began
        count, last_id, last_hash = count + 1, link.id, link.hash
    return ChainProof(name, _project_id(scope), count, last_hash.hex(), _check_count(head, count, last_id, last_hash))


async def read_links(db: Database, scope: EventScope | None) -> AsyncIterator[ChainLink]:
    """Yield the events of a chain in order. They are read in batches."""
    after = 0
    while True:
        async with _transaction(db, scope) as conn:
            await queries.show_installation_events(conn)
            batch = await queries.list_links(conn, _project_id(scope), after, _BATCH)
        for link in batch:
            yield link
        if len(batch) < _BATCH:
            return
        after = batch[-1].id


def export_link(link: ChainLink) -> dict[str, Any]:
    """Return an event for a line of JSON. With `sealed`, `previous_hash` and `hash`, others can verify the chain."""
    return {
        "id": link.id,
        "project_id": link.project_id,
        "account_scope_id": link.account_scope_id,
        "created_at": _timestamp(link.created_at),
        "actor_username": link.actor_username,
        "actor_user_id": link.actor_user_id,
        "action": link.action,
        "entity_type": link.entity_type,
        "entity_id": link.entity_id,
        "status": link.status,
        "request_id": link.request_id,
        "payload": json.loads(link.payload_text),
        "evidence_refs": json.loads(link.refs_text),
        "previous_hash": link.previous_hash.hex(),
        "hash": link.hash.hex(),
        "sealed": sealed_text(link),
    }


def sealed_text(link: ChainLink) -> str:
    """Return the text that the hash covers: an array as PostgreSQL writes JSON, with the objects as they are stored."""
    columns = [
        link.id, link.project_id, link.account_scope_id, _timestamp(link.created_at), link.actor_username,
        link.actor_user_id, link.action, link.entity_type, link.entity_id, link.status, link.request_id,
    ]  # fmt: skip
    values = [json.dumps(value, ensure_ascii=False, default=str) for value in columns]
    return f"[{', '.join([*values, link.payload_text, link.refs_text])}]"


def _check_link(link: ChainLink, previous_hash: bytes) -> str:
    if hashlib.sha256(link.previous_hash + sealed_text(link).encode()).digest() != link.hash:
        return f"Event {link.id} was changed."
    if link.previous_hash != previous_hash:
        return f"Before event {link.id}, an event was removed, added or moved."
    return ""


async def _check_end(db: Database, scope: EventScope | None, link: ChainLink) -> str:
    head = await _head(db, scope)
    if head is None:
        return "The record of where the chain ends is gone."
    return "" if link.id <= head.last_id else f"Event {link.id} was added behind the end of the chain."


def _check_count(head: ChainHead, count: int, last_id: int, last_hash: bytes) -> str:
    if (head.events, head.last_id, head.last_hash) == (count, last_id, last_hash):
        return ""
    return (
        f"After event {last_id}, events were removed: the chain had {head.events} and ended with event {head.last_id}."
    )


async def _head(db: Database, scope: EventScope | None) -> ChainHead | None:
    async with _transaction(db, scope) as conn:
        await queries.show_installation_events(conn)
        return await queries.get_head(conn, _project_id(scope))


async def _show_events(conn: Conn, actor: Actor) -> None:
    await queries.show_own_events(conn, actor.user_id)
    if actor.is_owner:
        await queries.show_installation_events(conn)


def _transaction(db: Database, scope: EventScope | None) -> AbstractAsyncContextManager[Conn]:
    return db.transaction() if scope is None else db.scoped(scope)


def _project_id(scope: EventScope | None) -> UUID | None:
    return None if scope is None else scope.project_id


def _timestamp(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
