"""Messages: the listed form (no modification time) and the embedded form (all columns)."""

from collections.abc import Iterable

from proofdesk_simulators.chatwoot.installation import Installation
from proofdesk_simulators.chatwoot.records import AgentBot, Attributes, Contact, Conversation, Message, Sender, User
from proofdesk_simulators.chatwoot.views import attachments, contacts, people
from proofdesk_simulators.chatwoot.views.times import iso, seconds

UNREAD_CAP = 10
SENDER_TYPES: dict[type, str] = {Contact: "Contact", User: "User", AgentBot: "AgentBot"}


def listed(installation: Installation, rows: Iterable[Message]) -> list[Attributes]:
    """Return the message list. Each sender is rendered once per page."""
    senders: dict[Sender, Attributes] = {}
    return [message(installation, row, senders) for row in rows]


def message(installation: Installation, row: Message, senders: dict[Sender, Attributes] | None = None) -> Attributes:
    """Return the listed form. `senders` caches those already rendered for this page."""
    view: Attributes = {
        "id": row.id,
        "content": row.content,
        "inbox_id": row.conversation.inbox.id,
        "conversation_id": row.conversation.id,
        "message_type": row.message_type,
        "content_type": row.content_type,
        "status": row.status,
        "content_attributes": row.content_attributes or {},
        "created_at": seconds(row.created_at),
        "private": row.private,
        "source_id": row.source_id,
    }
    if row.sender is not None:
        known = senders if senders is not None else {}
        if row.sender not in known:
            known[row.sender] = sender(row.sender)
        view["sender"] = known[row.sender]
    if row.attachments:
        view["attachments"] = attached(installation, row)
    return with_defect(installation, "message", row.conversation.account.id, row.id, view)


def embedded(installation: Installation, row: Message, unread: int | None = None) -> Attributes:
    """Return the form inside a conversation: the only REST form with `updated_at`.

    `unread` is the conversation's count where the caller has it already.
    """
    conversation = row.conversation
    view: Attributes = {
        "id": row.id,
        "content": row.content,
        "account_id": conversation.account.id,
        "inbox_id": conversation.inbox.id,
        "conversation_id": conversation.id,
        "message_type": row.message_type,
        "created_at": seconds(row.created_at),
        "updated_at": iso(row.updated_at),
        "private": row.private,
        "status": row.status,
        "source_id": row.source_id,
        "content_type": row.content_type,
        "content_attributes": row.content_attributes or {},
        "sender_type": SENDER_TYPES[type(row.sender)] if row.sender is not None else None,
        "sender_id": row.sender.id if row.sender is not None else None,
        "external_source_ids": {},
        "additional_attributes": row.additional_attributes or {},
        "processed_message_content": processed_content(row),
        "sentiment": {},
        "conversation": _surroundings(conversation, unread),
    }
    if row.attachments:
        view["attachments"] = attached(installation, row)
    if row.sender is not None:
        view["sender"] = sender(row.sender)
    return with_defect(installation, "message", conversation.account.id, row.id, view)


def sender(row: Sender) -> Attributes:
    """Return the view of a sender: contact, user or bot."""
    if isinstance(row, Contact):
        return contacts.contact_sender(row)
    return people.user_sender(row) if isinstance(row, User) else people.bot_sender(row)


def attached(installation: Installation, row: Message) -> list[Attributes]:
    """Return the attachments of a message."""
    account_id = row.conversation.account.id
    url = installation.switches.public_url
    return [attachments.attachment(file, row.id, account_id, url) for file in row.attachments or []]


def processed_content(row: Message) -> str | None:
    """Return the visible new part of a mail, or any other text unchanged."""
    mail = (row.content_attributes or {}).get("email")
    if row.content_type != "incoming_email" or not isinstance(mail, dict):
        return row.content
    for part in ("text_content", "html_content"):
        texts = mail.get(part)
        if isinstance(texts, dict) and texts.get("quoted"):
            return str(texts["quoted"])
    return row.content


def unread_count(conversation: Conversation) -> int:
    """Return the number of incoming messages since an agent's last visit, at most 10."""
    count = 0
    for row in reversed(conversation.messages):
        if row.message_type == 0 and row.created_at > conversation.agent_last_seen_at:
            count += 1
            if count == UNREAD_CAP:
                break
    return count


def with_defect(installation: Installation, kind: str, account_id: int, row_id: int, view: Attributes) -> Attributes:
    """Apply the defect of a record to its view."""
    defect = installation.defects.get((kind, account_id, row_id)) if installation.defects else None
    if defect is None:
        return view
    view |= defect.values
    return {key: value for key, value in view.items() if key not in defect.missing}


def _surroundings(conversation: Conversation, unread: int | None) -> Attributes:
    return {
        "assignee_id": conversation.human.id if conversation.human else None,
        "unread_count": unread_count(conversation) if unread is None else unread,
        "last_activity_at": seconds(conversation.last_activity_at),
        "contact_inbox": {"source_id": conversation.contact_inbox.source_id},
    }
