"""Drafts: written once for each idempotency key, whoever asks and however often at once."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from proofdesk.audit import events
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Conflict, Invalid
from proofdesk.evidence import references
from proofdesk.outbound import message_queries, messages, policies, policy_queries
from proofdesk.outbound.channels import registry
from proofdesk.outbound.channels.interface import InvalidPayload, InvalidRecipient
from proofdesk.outbound.message_queries import DraftRecord, OutboundMessage
from proofdesk.projects.scope import Scope

DEFAULT_RETRIES, MAX_RETRIES = 5, 20
MAX_KEY_LENGTH = 200


class IdempotencyKeyRequired(Invalid):
    """The key is missing, empty or too long."""

    code = "idempotency_key_required"


class IdempotencyConflict(Conflict):
    """The key was used for another message."""

    code = "idempotency_conflict"


class DuplicateOutbound(Conflict):
    """Another message holds the dedupe key."""

    code = "duplicate_outbound"


@dataclass(frozen=True)
class DraftRequest:
    """What somebody wants to be drafted, as it was given: anything may be wrong about it."""

    channel: Any
    recipient_ref: Any
    payload: Any
    idempotency_key: Any
    dedupe_key: str | None = None
    max_retries: int = DEFAULT_RETRIES
    scheduled_at: datetime | None = None
    evidence_refs: list[Any] = field(default_factory=list)


async def create(db: Database, scope: Scope, wish: DraftRequest) -> tuple[OutboundMessage, bool]:
    """A draft, and whether it is new: the same wish with the same key gives the message that it made before.

    Raises `InvalidChannel`, `InvalidRecipient`, `InvalidPayload`, `IdempotencyKeyRequired`, `InvalidEvidenceRef`,
    `IdempotencyConflict` or `DuplicateOutbound`.
    """
    draft = _checked(wish)
    while True:
        async with db.scoped(scope) as conn:
            earlier = await draft_queries.fetch_by_idempotency_key(conn, scope, draft.idempotency_key)
            if earlier is not None:
                return await _replayed(conn, scope, draft, earlier), False
            made = await _insert(conn, scope, draft, wish.evidence_refs)
            if made is not None:
                return made, True
            await _refuse_duplicate(conn, scope, draft)
        # Whoever was first with a key is seen only by the next transaction, or has let go of the key meanwhile.


async def _insert(conn: Conn, scope: Scope, draft: DraftRecord, refs: list[Any]) -> OutboundMessage | None:
    await _check_exists(conn, scope, draft)
    citations = await references.cite(conn, scope, refs)
    made = await draft_queries.insert_draft(
        conn, scope, replace(draft, evidence_refs=[citation.as_json() for citation in citations])
    )
    if made is None:
        return None
    await policies.ensure_policies(conn, scope, [(draft.channel, draft.recipient_ref)])
    drafted = await messages.read_message(conn, scope, made.id)
    payload = {"channel": draft.channel, "recipient_ref": draft.recipient_ref, "content_hash": drafted.content_hash}
    told: dict[str, Any] = {"scope": scope, "payload": payload, "evidence_refs": citations}
    await events.record(conn, scope.actor, "outbound.draft", messages.ENTITY_TYPE, made.id, **told)
    return drafted


async def _replayed(conn: Conn, scope: Scope, draft: DraftRecord, earlier: draft_queries.DraftKey) -> OutboundMessage:
    if earlier.request_hash != draft.request_hash:
        raise IdempotencyConflict(
            "This idempotency key was used for another message: take a new key for a new message.",
            details={"id": str(earlier.id)},
        )
    return await messages.read_message(conn, scope, earlier.id)


async def _refuse_duplicate(conn: Conn, scope: Scope, draft: DraftRecord) -> None:
    if draft.dedupe_key is None or await draft_queries.fetch_by_idempotency_key(conn, scope, draft.idempotency_key):
        return
    other = await draft_queries.fetch_id_by_dedupe_key(conn, scope, draft.dedupe_key)
    if other is not None:
        raise DuplicateOutbound("Another message has this dedupe key already.", details={"id": str(other)})


async def _check_exists(conn: Conn, scope: Scope, draft: DraftRecord) -> None:
    if draft.channel != "chatwoot":
        return
    kind = "contact" if draft.recipient_ref.startswith("cwc:") else "conversation"
    try:
        named = ids.parse(draft.recipient_ref, kind)
    except Invalid as error:
        raise InvalidRecipient(error.message) from error
    exists = recipient_queries.contact_exists if kind == "contact" else recipient_queries.conversation_exists
    if named.project_id != scope.project_id or not await exists(conn, scope, named.account_id, named.number):
        raise InvalidRecipient(f"This project has no {kind} {draft.recipient_ref[:80]!r}.")


def _checked(wish: DraftRequest) -> DraftRecord:
    channel = registry.check_channel(wish.channel if isinstance(wish.channel, str) else "")
    if not isinstance(wish.recipient_ref, str) or not wish.recipient_ref.strip():
        raise InvalidRecipient("Name a recipient: recipient_ref.")
    key = wish.idempotency_key.strip() if isinstance(wish.idempotency_key, str) else ""
    if not 0 < len(key) <= MAX_KEY_LENGTH:
        raise IdempotencyKeyRequired(
            f"Give an idempotency_key of 1 to {MAX_KEY_LENGTH} characters, new for each message."
        )
    if not isinstance(wish.payload, dict):
        raise InvalidPayload("A payload is an object.")
    recipient, payload = registry.check_message(channel, wish.recipient_ref, wish.payload)
    dedupe = (wish.dedupe_key or "").strip() or None
    asked = (channel, recipient, payload, dedupe, wish.max_retries, wish.scheduled_at, wish.evidence_refs)
    return DraftRecord(
        channel=channel,
        recipient_ref=recipient,
        payload=payload,
        idempotency_key=key,
        dedupe_key=dedupe,
        max_retries=wish.max_retries,
        scheduled_at=wish.scheduled_at,
        evidence_refs=[],
        request_hash=_hash(asked),
    )


def _hash(asked: tuple[Any, ...]) -> bytes:
    canonical = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode()).digest()
