"""Drafts: each is created once for its idempotency key, however often and by however many clients it is requested."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Conflict, Invalid
from proofdesk.evidence import references
from proofdesk.outbound import draft_queries, messages, policies, recipients
from proofdesk.outbound.channels import registry
from proofdesk.outbound.channels.interface import InvalidPayload, InvalidRecipient
from proofdesk.outbound.draft_queries import DraftKey, DraftRecord
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.projects.scope import Scope

DEFAULT_RETRIES, MAX_RETRIES = 5, 20
MAX_KEY_LENGTH = 200  # characters of an idempotency key or a dedupe key


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
    """A requested draft, not validated yet."""

    channel: Any
    recipient_ref: Any
    payload: Any
    idempotency_key: Any
    dedupe_key: Any = None
    max_retries: Any = DEFAULT_RETRIES
    scheduled_at: datetime | None = None
    evidence_refs: list[Any] = field(default_factory=list)


async def create(db: Database, scope: Scope, request: DraftRequest) -> tuple[OutboundMessage, bool]:
    """Create a draft; return it and whether it is new. The same request with the same key returns the first message.

    Raises `InvalidChannel`, `InvalidRecipient`, `InvalidPayload`, `IdempotencyKeyRequired`, `InvalidEvidenceRef`,
    `IdempotencyConflict`, `DuplicateOutbound`, or `Invalid` for another field.
    """
    scope.require("editor")
    draft = validate_request(request)
    while True:
        async with db.scoped(scope) as conn:
            existing = await draft_queries.fetch_by_idempotency_key(conn, scope, draft.idempotency_key)
            if existing is not None:
                return await _read_existing(conn, scope, draft, existing), False
            message = await _insert(conn, scope, draft, request.evidence_refs)
            if message is not None:
                return message, True
            await _raise_if_duplicate(conn, scope, draft)
        # Another transaction has the key: the next one sees its message, or can use the key if it was rolled back.


def validate_request(request: DraftRequest) -> DraftRecord:
    """Return the request in the form in which it is stored, without its evidence. Raises as `create` does."""
    channel = registry.check_channel(request.channel)
    if not isinstance(request.recipient_ref, str) or not request.recipient_ref.strip():
        raise InvalidRecipient("`recipient_ref` is required.")
    key = request.idempotency_key.strip() if isinstance(request.idempotency_key, str) else ""
    if not 0 < len(key) <= MAX_KEY_LENGTH:
        raise IdempotencyKeyRequired(
            f"`idempotency_key` must have 1 to {MAX_KEY_LENGTH} characters. Use a new one for each message."
        )
    if not isinstance(request.payload, dict):
        raise InvalidPayload("`payload` must be an object.")
    dedupe_key = _check_dedupe_key(request.dedupe_key)
    max_retries = _check_max_retries(request.max_retries)
    recipient, payload = registry.check_message(channel, request.recipient_ref, request.payload)
    content = (channel, recipient, payload, dedupe_key, max_retries, request.scheduled_at, request.evidence_refs)
    return DraftRecord(
        channel=channel,
        recipient_ref=recipient,
        payload=payload,
        idempotency_key=key,
        dedupe_key=dedupe_key,
        max_retries=max_retries,
        scheduled_at=request.scheduled_at,
        evidence_refs=[],
        request_hash=_hash(content),
    )


def _check_dedupe_key(value: Any) -> str | None:
    if value is not None and (not isinstance(value, str) or len(value) > MAX_KEY_LENGTH):
        raise Invalid(f"`dedupe_key` must be a string of at most {MAX_KEY_LENGTH} characters.")
    return (value or "").strip() or None


def _check_max_retries(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_RETRIES:
        raise Invalid(f"`max_retries` must be a whole number from 0 to {MAX_RETRIES}.")
    return value


async def _insert(conn: Conn, scope: Scope, draft: DraftRecord, refs: list[Any]) -> OutboundMessage | None:
    if draft.channel == "chatwoot":
        await recipients.check_contact_ref(conn, scope, draft.recipient_ref)
    citations = await references.cite(conn, scope, refs)
    record = replace(draft, evidence_refs=[citation.as_json() for citation in citations])
    inserted = await draft_queries.insert_draft(conn, scope, record)
    if inserted is None:
        return None
    await policies.ensure_policies(conn, scope, [(draft.channel, draft.recipient_ref)])
    message = await messages.read_message(conn, scope, inserted.id)
    await events.record(
        conn,
        scope.actor,
        "outbound.draft",
        messages.ENTITY_TYPE,
        message.id,
        scope=scope,
        payload={
            "channel": draft.channel,
            "recipient_ref": draft.recipient_ref,
            "content_hash": message.content_hash,
        },
        evidence_refs=citations,
    )
    return message


async def _read_existing(conn: Conn, scope: Scope, draft: DraftRecord, existing: DraftKey) -> OutboundMessage:
    if existing.request_hash != draft.request_hash:
        raise IdempotencyConflict(
            "This idempotency key was used for another message. Use a new key for a new message.",
            details={"id": str(existing.id)},
        )
    return await messages.read_message(conn, scope, existing.id)


async def _raise_if_duplicate(conn: Conn, scope: Scope, draft: DraftRecord) -> None:
    if draft.dedupe_key is None:
        return
    if await draft_queries.fetch_by_idempotency_key(conn, scope, draft.idempotency_key):
        return
    other_id = await draft_queries.fetch_id_by_dedupe_key(conn, scope, draft.dedupe_key)
    if other_id is not None:
        raise DuplicateOutbound("Another message holds this dedupe key.", details={"id": str(other_id)})


def _hash(content: tuple[Any, ...]) -> bytes:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode()).digest()
