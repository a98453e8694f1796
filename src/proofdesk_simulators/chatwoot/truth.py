"""The data of an account, for tests that compare imported rows with it."""

from collections import Counter
from typing import Any

from proofdesk_simulators.chatwoot.installation import Installation
from proofdesk_simulators.chatwoot.records import MESSAGE_TYPE_WORDS, Account, Attributes, Conversation, Message
from proofdesk_simulators.chatwoot.views import conversations as conversation_views
from proofdesk_simulators.chatwoot.views import messages


def export(installation: Installation, account: Account, *, rows: bool = True) -> dict[str, Any]:
    """Return counts and, with `rows`, all conversations (REST form) and messages, by id.

    Messages have the listed form, a `sender` of type, id and name only, and the `updated_at` that lists do not show.
    """
    conversations = [account.conversations[number] for number in sorted(account.conversations)]
    exported: dict[str, Any] = {
        "account_id": account.id,
        "counts": _counts(account, conversations),
        "by_inbox": [_inbox(conversations, inbox_id) for inbox_id in sorted(account.inboxes)],
    }
    if rows:
        exported["conversations"] = [conversation_views.conversation(installation, row, None) for row in conversations]
        exported["messages"] = [_message(installation, m) for row in conversations for m in row.messages]
    return exported


def _counts(account: Account, conversations: list[Conversation]) -> Attributes:
    all_messages = [message for row in conversations for message in row.messages]
    return {
        "conversations": len(conversations),
        "messages": len(all_messages),
        "contacts": len(account.contacts),
        "attachments": sum(len(message.attachments or []) for message in all_messages),
        "deleted_messages": sum(message.deleted for message in all_messages),
        "private_notes": sum(message.private for message in all_messages),
        "by_status": dict(Counter(row.status for row in conversations)),
        "by_message_type": dict(Counter(MESSAGE_TYPE_WORDS[m.message_type] for m in all_messages)),
    }


def _inbox(conversations: list[Conversation], inbox_id: int) -> Attributes:
    rows = [row for row in conversations if row.inbox.id == inbox_id]
    return {
        "inbox_id": inbox_id,
        "conversations": len(rows),
        "messages": sum(len(row.messages) for row in rows),
        "highest_conversation_id": max((row.id for row in rows), default=0),
        "highest_message_id": max((row.messages[-1].id for row in rows if row.messages), default=0),
        "last_activity_at": max((int(row.last_activity_at) for row in rows), default=0),
    }


def _message(installation: Installation, row: Message) -> Attributes:
    view = messages.message(installation, row)
    if row.sender is not None and "sender" in view:
        kind = messages.sender(row.sender)["type"]
        view["sender"] = {"type": kind, "id": row.sender.id, "name": row.sender.name}
    view["updated_at"] = row.updated_at
    return view
