"""Chains of events: read, proved, written out.

The proof is worked out here, from the rows alone, and not by what made the hashes. A row's `hash` is the SHA-256 of the
row before's hash (32 zero bytes before the first) and of its sealed text: a JSON array of all its other columns.
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
    """What a look at a chain gave. `fault` is empty when it is whole; `event_id` is the first event that is wrong."""

    chain: str
    project_id: UUID | None
    events: int
    last_hash: str
    fault: str = ""
    event_id: int | None = None


async def list_events(
    db: Database, scope: EventScope, actor: Actor, event_filter: AuditFilter, limit: int, offset: int
) -> list[AuditEvent]:
    """Events of the project and, of those without a project, all for the owner and their own for others; newest first."""
    async with db.scoped(scope) as conn:
        await _see(conn, actor)
        return await queries.list_events(conn, scope, event_filter, limit, offset)


async def count_events(db: Database, scope: EventScope, actor: Actor, event_filter: AuditFilter) -> int:
    """How many events `history` has in all."""
    async with db.scoped(scope) as conn:
        await _see(conn, actor)
        return await queries.count_events(conn, scope, event_filter)


async def verify(db: Database, scope: EventScope | None, name: str = INSTALLATION) -> ChainProof:
    """Prove a project's chain, or the installation's, event by event, up to where it ends now."""
    head = await _head(db, scope) or ChainHead(0, 0, GENESIS_HASH)
    seen, last, before = 0, 0, GENESIS_HASH
    async for link in read_links(db, scope):
        is_later = link.id > head.last_id
        if fault := await _beyond(db, scope, link) if is_later else _fault(link, before):
            return ChainProof(name, _id(scope), seen, before.hex(), fault, link.id)
        if is_later:
            break  # added since we began
        seen, last, before = seen + 1, link.id, link.hash
    return ChainProof(name, _id(scope), seen, before.hex(), _cut(head, seen, last, before))


async def read_links(db: Database, scope: EventScope | None) -> AsyncIterator[ChainLink]:
    """The events of a chain in order, read in batches."""
    after = 0
    while True:
        async with _opened(db, scope) as conn:
            await queries.show_installation_events(conn)
            batch = await queries.list_links(conn, _id(scope), after, _BATCH)
        for link in batch:
            yield link
        if len(batch) < _BATCH:
            return
        after = batch[-1].id


def export_link(link: ChainLink) -> dict[str, Any]:
    """An event for a line of JSON. Whoever has `sealed`, `previous_hash` and `hash` can prove the chain without us."""
    return {
        "id": link.id,
        "project_id": link.project_id,
        "account_scope_id": link.account_scope_id,
        "created_at": _moment(link.created_at),
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
    """The text that the hash covers: the array as PostgreSQL writes JSON, the objects in it as they are stored."""
    before = [
        link.id, link.project_id, link.account_scope_id, _moment(link.created_at), link.actor_username,
        link.actor_user_id, link.action, link.entity_type, link.entity_id, link.status, link.request_id,
    ]  # fmt: skip
    written = [json.dumps(value, ensure_ascii=False, default=str) for value in before]
    return f"[{', '.join([*written, link.payload_text, link.refs_text])}]"


def _fault(link: ChainLink, before: bytes) -> str:
    if hashlib.sha256(link.previous_hash + sealed_text(link).encode()).digest() != link.hash:
        return f"Event {link.id} was changed."
    if link.previous_hash != before:
        return f"Before event {link.id}, an event was removed, added or moved."
    return ""


async def _beyond(db: Database, project: EventScope | None, link: ChainLink) -> str:
    head = await _head(db, project)
    if head is None:
        return "The record of where the chain ends is gone."
    return "" if link.id <= head.last_id else f"Event {link.id} was added behind the end of the chain."


def _cut(head: ChainHead, seen: int, last: int, before: bytes) -> str:
    if (head.events, head.last_id, head.last_hash) == (seen, last, before):
        return ""
    return f"After event {last}, events were removed: the chain had {head.events} and ended with event {head.last_id}."


async def _head(db: Database, project: EventScope | None) -> ChainHead | None:
    async with _opened(db, project) as conn:
        await queries.show_installation_events(conn)
        return await queries.get_head(conn, _id(project))


async def _see(conn: Conn, actor: Actor) -> None:
    await queries.show_own_events(conn, actor.user_id)
    if actor.is_owner:
        await queries.show_installation_events(conn)


def _opened(db: Database, project: EventScope | None) -> AbstractAsyncContextManager[Conn]:
    return db.transaction() if project is None else db.scoped(project)


def _id(project: EventScope | None) -> UUID | None:
    return None if project is None else project.project_id


def _moment(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
