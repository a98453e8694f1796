"""Edits of messages that were not sent. What an edit replaces is kept as a version; the message is a draft again."""

from dataclasses import replace
from typing import Any, TypedDict
from uuid import UUID

from proofdesk.audit import events
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Conflict, Invalid
from proofdesk.evidence import references
from proofdesk.outbound import messages, policies, recipients, version_queries
from proofdesk.outbound.channels import registry
from proofdesk.outbound.channels.interface import InvalidPayload, InvalidRecipient
from proofdesk.outbound.message_queries import OutboundMessage
from proofdesk.outbound.messages import InvalidState
from proofdesk.outbound.version_queries import MessageContent
from proofdesk.projects.scope import Scope

EDITABLE = ("draft", "approved", "failed")
FIELDS = ("payload", "recipient_ref", "scheduled_at", "evidence_refs")


class MessageEdited(Conflict):
    """Another person edited the message since this one read it."""

    code = "outbound_edited"


class MessageEdit(TypedDict, total=False):
    """The values to change, not validated yet; what is absent stays. `scheduled_at` is a time or None."""

    payload: Any
    recipient_ref: Any
    scheduled_at: Any
    evidence_refs: list[Any]


async def edit(
    db: Database, scope: Scope, outbound_id: UUID, changes: MessageEdit, *, read_hash: str | None = None
) -> OutboundMessage:
    """Change a message that was not sent and make it a draft; without a difference nothing happens.

    `read_hash` is the content hash that the editor has read. Raises `OutboundNotFound`, `InvalidState`,
    `MessageEdited`, `InvalidRecipient`, `InvalidPayload`, `InvalidEvidenceRef`, or `Invalid` without a change.
    """
    scope.require("editor")
    if not changes:
        raise Invalid(f"Name at least one of {', '.join(f'`{name}`' for name in FIELDS)}.")
    async with db.scoped(scope) as conn:
        message = await messages.lock_message(conn, scope, outbound_id)
        if message.status not in EDITABLE:
            raise InvalidState(f"{messages.name_by_status(message)} cannot be edited.", message)
        if read_hash is not None and read_hash != message.content_hash:
            author = await version_queries.fetch_author(conn, scope, outbound_id)
            raise MessageEdited(f"{author} edited this message after you opened it. Nothing was changed.")
        return await _replace(conn, scope, message, changes)


def with_text(payload: dict[str, Any], text: str | None, subject: str | None) -> dict[str, Any]:
    """Return the payload with a new text and subject; None keeps one, an empty subject removes it.

    Another text removes the HTML form, which would still say what the old text said.
    """
    edited = (
        payload | ({"text": text} if text is not None else {}) | ({"subject": subject} if subject is not None else {})
    )
    if edited["text"] != payload["text"]:
        edited.pop("html", None)
    if not edited.get("subject"):
        edited.pop("subject", None)
    return edited


async def _replace(conn: Conn, scope: Scope, message: OutboundMessage, changes: MessageEdit) -> OutboundMessage:
    before = MessageContent(message.recipient_ref, message.payload, message.evidence_refs, message.scheduled_at)
    content = await _check(conn, scope, message.channel, before, changes)
    citations = await references.cite(conn, scope, changes.get("evidence_refs", []))
    if "evidence_refs" in changes:
        content = replace(content, evidence_refs=[citation.as_json() for citation in citations])
    changed = [name for name in FIELDS if getattr(content, name) != getattr(before, name)]
    if not changed:
        return message
    version = await version_queries.keep_version(conn, scope, message.id)
    await version_queries.replace_content(conn, scope, message.id, content)
    await policies.ensure_policies(conn, scope, [(message.channel, content.recipient_ref)])
    edited = await messages.read_message(conn, scope, message.id)
    await events.record(
        conn,
        scope.actor,
        "outbound.edit",
        messages.ENTITY_TYPE,
        message.id,
        scope=scope,
        payload={
            "from": message.status,
            "changed": changed,
            "version": version + 1,
            "previous_hash": message.content_hash,
            "content_hash": edited.content_hash,
        },
        evidence_refs=citations,
    )
    return edited


async def _check(
    conn: Conn, scope: Scope, channel: str, before: MessageContent, changes: MessageEdit
) -> MessageContent:
    """Return the content with the changes, in the form in which it is stored, except for evidence."""
    recipient = changes.get("recipient_ref", before.recipient_ref)
    payload = changes.get("payload", before.payload)
    if not isinstance(recipient, str) or not recipient.strip():
        raise InvalidRecipient("`recipient_ref` must name the recipient.")
    if not isinstance(payload, dict):
        raise InvalidPayload("`payload` must be an object.")
    recipient, payload = registry.check_message(channel, recipient, payload)
    if channel == "chatwoot" and recipient != before.recipient_ref:
        await recipients.check_contact_ref(conn, scope, recipient)
    scheduled_at = changes.get("scheduled_at", before.scheduled_at)
    return MessageContent(recipient, payload, before.evidence_refs, scheduled_at)
