"""The conversation of the REST API, and the envelope of a message list."""

from proofdesk_simulators.chatwoot.installation import Installation
from proofdesk_simulators.chatwoot.records import ACTIVITY, Attributes, Conversation, Message, User
from proofdesk_simulators.chatwoot.views import contacts, messages, people
from proofdesk_simulators.chatwoot.views.times import iso, seconds


def conversation(installation: Installation, row: Conversation, viewer_id: int | None) -> Attributes:
    """Return the form of every response except webhooks. `viewer_id` decides `team.is_member`."""
    newest = row.newest()
    spoken = newest if newest and newest.message_type != ACTIVITY else row.newest(lambda m: m.message_type != ACTIVITY)
    unread = messages.unread_count(row)
    newest_view = messages.embedded(installation, newest, unread) if newest else None
    spoken_view = newest_view if spoken is newest else None
    if spoken is not None and spoken is not newest:
        spoken_view = messages.embedded(installation, spoken, unread)
    view: Attributes = {
        "meta": _meta(row, viewer_id),
        "id": row.id,
        "messages": [newest_view] if newest_view else [],
        "account_id": row.account.id,
        "uuid": row.uuid,
        "additional_attributes": row.additional_attributes,
        "agent_last_seen_at": seconds(row.agent_last_seen_at),
        "assignee_last_seen_at": seconds(row.assignee_last_seen_at),
        "can_reply": row.can_reply,
        "contact_last_seen_at": seconds(row.contact_last_seen_at),
        "custom_attributes": row.custom_attributes,
        "inbox_id": row.inbox.id,
        "labels": row.labels,
        "muted": row.contact.blocked,
        "snoozed_until": iso(row.snoozed_until),
        "status": row.status,
        "created_at": seconds(row.created_at),
        "updated_at": row.updated_at,
        "timestamp": seconds(row.last_activity_at),
        "first_reply_created_at": seconds(row.first_reply_created_at),
        "unread_count": unread,
        "last_non_activity_message": spoken_view,
        "last_activity_at": seconds(row.last_activity_at),
        "priority": row.priority,
        "waiting_since": seconds(row.waiting_since),
        "sla_policy_id": None,
    }
    return messages.with_defect(installation, "conversation", row.account.id, row.id, view)


def message_list(installation: Installation, row: Conversation, page: list[Message]) -> Attributes:
    """Return the envelope of one page of messages."""
    meta: Attributes = {
        "labels": row.labels,
        "additional_attributes": row.additional_attributes,
        "contact": contacts.contact_sender(row.contact),
    }
    if row.human:
        meta["assignee"] = people.user_sender(row.human)
    meta["agent_last_seen_at"] = iso(row.agent_last_seen_at)
    meta["assignee_last_seen_at"] = iso(row.assignee_last_seen_at)
    return {"meta": meta, "payload": messages.listed(installation, page)}


def _meta(row: Conversation, viewer_id: int | None) -> Attributes:
    meta: Attributes = {
        "sender": contacts.contact(row.contact, with_inboxes=False),
        "channel": row.inbox.channel_type,
    }
    if isinstance(row.assignee, User):
        meta |= {"assignee": people.agent(row.assignee, row.account.id), "assignee_type": "User"}
    elif row.assignee is not None:
        meta |= {"assignee": people.bot_assignee(row.assignee), "assignee_type": "AgentBot"}
    if row.team is not None:
        meta["team"] = people.team(row.team, viewer_id)
    meta["hmac_verified"] = row.contact_inbox.hmac_verified
    return meta
