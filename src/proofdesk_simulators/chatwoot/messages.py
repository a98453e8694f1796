"""Reading and writing the messages of a conversation."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proofdesk_simulators.chatwoot.installation import Installation
from proofdesk_simulators.chatwoot.records import (
    ACTIVITY,
    INCOMING,
    OUTGOING,
    AgentBot,
    Attachment,
    Attributes,
    Contact,
    Conversation,
    Message,
    Sender,
    User,
)
from proofdesk_simulators.chatwoot.refusals import rule_violation
from proofdesk_simulators.chatwoot.views.times import iso

LATEST, AFTER, BETWEEN = 20, 100, 1000
LONGEST = 150_000
LARGEST_LIMIT = 1000
DELETED_TEXTS = {
    "en": "This message was deleted",
    "ru": "Это сообщение было удалено",
    "de": "Diese Nachricht wurde gelöscht",
    "fr": "Ce message a été supprimé",
    "es": "Este mensaje fue eliminado",
}


@dataclass(slots=True)
class Draft:
    """A message as a client sends it. Id and time come from the server."""

    content: str | None
    message_type: int = OUTGOING
    private: bool = False
    content_type: str = "text"
    content_attributes: Attributes | None = None
    additional_attributes: Attributes | None = None
    source_id: str | None = None
    attachments: list[Attachment] | None = None


def select_page(
    conversation: Conversation,
    before: int | None = None,
    after: int | None = None,
    *,
    public_only: bool = False,
    descending_ties: bool = False,
) -> list[Message]:
    """Return a page by the four selection rules: selected by id, ordered and cut by creation time, without tie-breaker.

    Read from chatwoot/chatwoot, tag v4.15.1, `app/finders/message_finder.rb`: `reorder('created_at asc')` with
    `id > ?` and `limit(100)`, with `id >= ? AND id < ?` and `limit(1000)`; `created_at desc`, `limit(20)` and
    `reverse` for the others. `descending_ties` puts the greater id first among messages of one second.
    """
    rows = conversation.messages
    if public_only:
        rows = [row for row in rows if not row.private and row.message_type != ACTIVITY]
    direction = -1 if descending_ties else 1
    chosen = sorted(_chosen(rows, before, after), key=lambda row: (int(row.created_at), direction * row.id))
    if after is None:
        return chosen[-LATEST:]
    return chosen[: AFTER if before is None else BETWEEN]


def _chosen(rows: list[Message], before: int | None, after: int | None) -> list[Message]:
    """Return the rows between the ids. With both bounds, the lower one is included."""
    key: Callable[[Message], int] = lambda row: row.id  # noqa: E731
    end = len(rows) if before is None else bisect_left(rows, before, key=key)
    if after is None:
        return rows[:end]
    find_start = bisect_right if before is None else bisect_left
    return rows[find_start(rows, after, key=key) : end]


def create(
    installation: Installation,
    conversation: Conversation,
    draft: Draft,
    sender: Sender | None,
    *,
    at: float | None = None,
    held: bool = False,
) -> Message:
    """Store a message and send webhooks. A held message has an id but stays invisible until `release`."""
    now = at if at is not None else installation.now()
    message = Message(
        id=installation.message_ids.take(),
        conversation=conversation,
        content=_liquid(draft, conversation.contact),
        message_type=draft.message_type,
        created_at=now,
        updated_at=now,
        sender=sender,
        private=draft.private,
        content_type=draft.content_type,
        source_id=draft.source_id,
        content_attributes=draft.content_attributes or None,
        additional_attributes=draft.additional_attributes or None,
        attachments=draft.attachments or None,
    )
    if held:
        installation.held[message.id] = message
        return message
    return publish(installation, message)


def check(installation: Installation, conversation: Conversation, draft: Draft) -> None:
    """Raise ChatwootRefusal 422 for a text that is too long, or too many messages in a minute."""
    if draft.content is not None and len(draft.content) > LONGEST:
        raise rule_violation(f"Validation failed: Content is too long (maximum is {LONGEST} characters)")
    since = installation.now() - 60
    recent = sum(row.created_at >= since for row in conversation.messages[-LARGEST_LIMIT:])
    if recent >= installation.switches.messages_per_minute:
        raise rule_violation("Validation failed: Too many messages")


def release(installation: Installation, message_id: int) -> Message:
    """Commit a held message. Its id may be smaller than ids that clients have read already."""
    return publish(installation, installation.held.pop(message_id))


def publish(installation: Installation, message: Message) -> Message:
    """Make a message visible, apply its effects, and send webhooks."""
    conversation = message.conversation
    before, activity_before = _watched(conversation), conversation.contact.last_activity_at
    installation.add_message(message)
    apply_effects(message)
    touch(installation, conversation)
    if message.message_type != ACTIVITY:
        installation.announce("message_created", conversation.account, message)
    if message.message_type == INCOMING:
        _announce_noise(installation, conversation.contact, activity_before)
    announce_changes(installation, conversation, before, _watched(conversation))
    return message


def import_rows(installation: Installation, conversation: Conversation, rows: Sequence[tuple[float, str]]) -> None:
    """Insert incoming messages without callbacks: no timestamp of the conversation changes, no webhook is sent."""
    for at, content in rows:
        number = installation.message_ids.take()
        sender = conversation.contact
        installation.add_message(Message(number, conversation, content, INCOMING, at, at, sender))


def announce_changes(
    installation: Installation, conversation: Conversation, before: Attributes, after: Attributes
) -> None:
    """Send `conversation_updated` for the differences, and a second event for a status change."""
    changes = [attribute_change(name, before[name], after[name]) for name in before if before[name] != after[name]]
    if not changes:
        return
    now = attribute_change("updated_at", None, iso(conversation.updated_at))
    installation.announce("conversation_updated", conversation.account, conversation, *changes, now)
    if before.get("status") != after.get("status"):
        installation.announce("conversation_status_changed", conversation.account, conversation)


def apply_effects(message: Message) -> None:
    """Update the conversation for a new message: last activity, waiting, first reply, reopening.

    A back-dated message moves the activity back, since `set_conversation_activity` of `app/models/message.rb`
    (chatwoot/chatwoot, tag v4.15.1) writes its `created_at` whatever is there.
    """
    conversation, at = message.conversation, message.created_at
    conversation.last_activity_at = at
    if message.message_type == INCOMING:
        conversation.contact.last_activity_at = max(conversation.contact.last_activity_at, at)
        conversation.waiting_since = conversation.waiting_since or at
        if conversation.status in ("resolved", "snoozed"):
            conversation.status = "pending" if conversation.inbox.bot else "open"
            conversation.snoozed_until = None
    elif message.message_type == OUTGOING and not message.private:
        if isinstance(message.sender, User | AgentBot):
            conversation.waiting_since = 0.0
        if isinstance(message.sender, User):
            conversation.first_reply_created_at = conversation.first_reply_created_at or at


def delete(installation: Installation, message: Message) -> Message:
    """Soft-delete a message: id, time, sender and status stay; text and attachments are removed."""
    locale = message.conversation.account.locale
    message.content = DELETED_TEXTS.get(locale, DELETED_TEXTS["en"])
    message.content_type = "text"
    message.content_attributes = {"deleted": True}
    for file in message.attachments or []:
        installation.files.pop(file.id, None)
    message.attachments = None
    return save(installation, message)


def set_status(installation: Installation, message: Message, status: str, external_error: str | None = None) -> Message:
    """Set the delivery status. A change from read to delivered is ignored."""
    if not (message.status == "read" and status == "delivered"):
        message.status = status
    if external_error is not None:
        message.content_attributes = (message.content_attributes or {}) | {"external_error": external_error}
    return save(installation, message)


def retry(installation: Installation, message: Message) -> Message:
    """Set the status back to sent. Version 4.15.1 also clears all attributes."""
    message.status, message.content_attributes = "sent", None
    return save(installation, message)


def save(installation: Installation, message: Message) -> Message:
    """Save a changed message. Before 4.12.0 this also updated the conversation's `updated_at`."""
    message.updated_at = installation.now()
    message.conversation.account.generation += 1
    if installation.switches.touch_on_message_save:
        touch(installation, message.conversation)
    if message.message_type != ACTIVITY:
        installation.announce("message_updated", message.conversation.account, message)
    return message


def write_activity(installation: Installation, conversation: Conversation, text: str) -> Message:
    """Write an activity message such as "Conversation was marked resolved by ..."."""
    return create(installation, conversation, Draft(text, ACTIVITY), None)


def touch(installation: Installation, conversation: Conversation) -> None:
    """Set the conversation's `updated_at` to now, never back."""
    conversation.updated_at = max(installation.now(), conversation.updated_at)
    conversation.account.generation += 1


def _liquid(draft: Draft, contact: Contact) -> str | None:
    """Render outgoing text as a Liquid template, except code between backticks."""
    if draft.content is None or draft.message_type != OUTGOING or "{{" not in draft.content:
        return draft.content
    words = contact.name.split()
    values = {
        "contact.name": contact.name.title() if contact.name.islower() else contact.name,
        "contact.first_name": words[0] if words else "",
        "contact.last_name": words[-1] if len(words) > 1 else "",
        "contact.email": contact.email or "",
        "contact.phone_number": contact.phone_number or "",
    }
    pattern = r"(```.*?```|`[^`]*`)|\{\{\s*([a-z_.]+)\s*\}\}"

    def fill(found: re.Match[str]) -> str:
        return found[1] if found[1] else values.get(found[2], "")

    return re.sub(pattern, fill, draft.content, flags=re.DOTALL)


def _announce_noise(installation: Installation, contact: Contact, previous: float) -> None:
    """Send `contact_updated` for each incoming message, although only timestamps changed."""
    owner = installation.accounts[contact.account_id]
    moved = [
        attribute_change(name, iso(previous), iso(contact.last_activity_at))
        for name in ("last_activity_at", "updated_at")
    ]
    installation.announce("contact_updated", owner, contact, *moved)


def _watched(conversation: Conversation) -> Attributes:
    return {
        "status": conversation.status,
        "waiting_since": iso(conversation.waiting_since),
        "first_reply_created_at": iso(conversation.first_reply_created_at),
    }


def attribute_change(name: str, previous: object, current: object) -> Attributes:
    """Return one element of `changed_attributes`."""
    return {name: {"previous_value": previous, "current_value": current}}
