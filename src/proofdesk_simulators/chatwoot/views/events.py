"""Webhook payloads. Their forms of senders and conversations differ from those of the REST API."""

from proofdesk_simulators.chatwoot.installation import Event, Installation
from proofdesk_simulators.chatwoot.records import (
    ACTIVITY,
    MESSAGE_TYPE_WORDS,
    Account,
    Attributes,
    Contact,
    Conversation,
    Message,
    Sender,
    User,
)
from proofdesk_simulators.chatwoot.views import contacts, messages, people
from proofdesk_simulators.chatwoot.views.times import iso, seconds

WITHOUT_CHANGES = ("conversation_created", "contact_created")


def payload(installation: Installation, event: Event) -> Attributes:
    """Return the body of a delivery, built from the current records."""
    if isinstance(event.subject, Message):
        return message(installation, event.subject) | {"event": event.name}
    if isinstance(event.subject, Conversation):
        body = conversation(installation, event.subject)
    else:
        body = contact(event.account, event.subject)
    body["event"] = event.name
    if event.name not in WITHOUT_CHANGES:
        # The status event gets a list that is already cleared, so it contains null.
        silent = event.name == "conversation_status_changed"
        body["changed_attributes"] = None if silent else event.changed
    return body


def message(installation: Installation, row: Message) -> Attributes:
    """Return the top level of message events: types as words, no status."""
    account = row.conversation.account
    view: Attributes = {
        "account": _account(account),
        "additional_attributes": row.additional_attributes or {},
        "content_attributes": row.content_attributes or {},
        "content_type": row.content_type,
        "content": normalised(row.content),
        "conversation": conversation(installation, row.conversation),
        "created_at": iso(row.created_at),
        "id": row.id,
        "inbox": {"id": row.conversation.inbox.id, "name": row.conversation.inbox.name},
        "message_type": MESSAGE_TYPE_WORDS[row.message_type],
        "private": row.private,
        "sender": _sender(account, row.sender),
        "source_id": row.source_id,
    }
    if row.attachments:
        view["attachments"] = messages.attached(installation, row)
    return view


def conversation(installation: Installation, row: Conversation) -> Attributes:
    """Return the conversation inside events: without account id and uuid."""
    public = next((m for m in reversed(row.messages) if not m.private and m.message_type != ACTIVITY), None)
    return {
        "additional_attributes": row.additional_attributes,
        "can_reply": row.can_reply,
        "channel": row.inbox.channel_type,
        "contact_inbox": _contact_inbox(row),
        "id": row.id,
        "inbox_id": row.inbox.id,
        "messages": [_last_message(installation, public)] if public else [],
        "labels": row.labels,
        "meta": _meta(row),
        "status": row.status,
        "custom_attributes": row.custom_attributes,
        "snoozed_until": iso(row.snoozed_until),
        "unread_count": messages.unread_count(row),
        "first_reply_created_at": iso(row.first_reply_created_at),
        "priority": row.priority,
        "waiting_since": seconds(row.waiting_since),
        "agent_last_seen_at": seconds(row.agent_last_seen_at),
        "contact_last_seen_at": seconds(row.contact_last_seen_at),
        "last_activity_at": seconds(row.last_activity_at),
        "timestamp": seconds(row.last_activity_at),
        "created_at": seconds(row.created_at),
        "updated_at": row.updated_at,
        "account": _account(row.account),
    }


def contact(account: Account, row: Contact) -> Attributes:
    """Return the contact of events: with account and avatar, without type."""
    return {
        "account": _account(account),
        "additional_attributes": row.additional_attributes,
        "avatar": row.thumbnail,
        "custom_attributes": row.custom_attributes,
        "email": row.email,
        "id": row.id,
        "identifier": row.identifier,
        "name": row.name,
        "phone_number": row.phone_number,
        "thumbnail": row.thumbnail,
        "blocked": row.blocked,
    }


def normalised(content: str | None) -> str | None:
    """Replace Markdown's hard line breaks with plain ones and remove trailing ones."""
    return None if content is None else content.replace("\\\n", "\n").rstrip("\n")


def _account(row: Account) -> Attributes:
    return {"id": row.id, "name": row.name}


def _sender(account: Account, row: Sender | None) -> Attributes | None:
    if row is None:
        return None
    if isinstance(row, Contact):
        return contact(account, row)
    if isinstance(row, User):
        return {"id": row.id, "name": row.name, "email": row.email, "type": "user"}
    return {"id": row.id, "name": row.name, "type": "agent_bot"}


def _contact_inbox(row: Conversation) -> Attributes:
    address = row.contact_inbox
    return {
        "id": address.id,
        "contact_id": row.contact.id,
        "inbox_id": row.inbox.id,
        "source_id": address.source_id,
        "created_at": iso(address.created_at),
        "updated_at": iso(address.created_at),
        "hmac_verified": address.hmac_verified,
        "pubsub_token": f"simulator-visitor-{address.id}",
    }


def _last_message(installation: Installation, row: Message) -> Attributes:
    view = messages.embedded(installation, row)
    view["content"] = normalised(row.content)
    view["processed_message_content"] = normalised(messages.processed_content(row))
    if isinstance(row.sender, User):
        view["sender"] = _absent_user(row.sender)
    return view


def _meta(row: Conversation) -> Attributes:
    assignee = row.assignee
    bot_or_user = messages.sender(assignee) if assignee is not None else None
    return {
        "sender": contacts.contact_sender(row.contact),
        "assignee": _absent_user(assignee) if isinstance(assignee, User) else bot_or_user,
        "assignee_type": messages.SENDER_TYPES[type(assignee)] if assignee is not None else None,
        "team": {"id": row.team.id, "name": row.team.name} if row.team else None,
        "hmac_verified": row.contact_inbox.hmac_verified,
    }


def _absent_user(row: User) -> Attributes:
    """Return a user without availability, which background jobs do not know."""
    return people.user_sender(row) | {"availability_status": None}
