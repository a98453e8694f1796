"""Creating, changing and deleting conversations. `by` is the user named in the activity line."""

import uuid

from proofdesk_simulators.chatwoot import messages
from proofdesk_simulators.chatwoot.installation import Installation, conversation_uuid
from proofdesk_simulators.chatwoot.records import (
    PRIORITIES,
    STATUSES,
    Account,
    AgentBot,
    Attributes,
    Contact,
    ContactInbox,
    Conversation,
    Inbox,
    Team,
    User,
)
from proofdesk_simulators.chatwoot.refusals import not_found, rule_violation
from proofdesk_simulators.chatwoot.views.times import iso

STATUS_LINES = {
    "open": "Conversation was reopened by {by}",
    "resolved": "Conversation was marked resolved by {by}",
    "pending": "Conversation was marked as pending by {by}",
    "snoozed": "Conversation was snoozed by {by}",
}
Actor = User | AgentBot | None


def create(
    installation: Installation,
    account: Account,
    address: ContactInbox,
    *,
    status: str | None = None,
    at: float | None = None,
    display_id: int | None = None,
) -> Conversation:
    """Create a conversation, or return the contact's last one if the inbox is locked to a single conversation."""
    inbox, contact = address.inbox, address.contact
    earlier = [row for row in contact.conversations if row.inbox is inbox]
    if inbox.lock_to_single_conversation and earlier:
        return max(earlier, key=lambda row: row.id)
    now = at if at is not None else installation.now()
    number = display_id or account.last_display_id + 1
    conversation = Conversation(
        id=number,
        account=account,
        inbox=inbox,
        contact=contact,
        contact_inbox=address,
        uuid=conversation_uuid(account.id, number),
        created_at=now,
        updated_at=now,
        last_activity_at=now,
        status=_first_status(inbox, contact, status),
        waiting_since=now,
    )
    installation.add_conversation(conversation)
    installation.announce("conversation_created", account, conversation)
    return conversation


def _first_status(inbox: Inbox, contact: Contact, status: str | None) -> str:
    if contact.blocked:
        return "resolved"
    return status or ("pending" if inbox.bot else "open")


def get_contact_inbox(
    installation: Installation, contact: Contact, inbox: Inbox, source_id: str | None = None
) -> ContactInbox:
    """Return the contact's entry in an inbox. It is created on first use."""
    for address in contact.inboxes:
        if address.inbox is inbox and source_id in (None, address.source_id):
            return address
    text = source_id or _default_source_id(contact, inbox)
    account = installation.accounts[contact.account_id]
    for other in account.contacts.values():
        for address in other.inboxes:
            if address.inbox is inbox and address.source_id == text:
                if inbox.channel_type == "Channel::Api":
                    raise rule_violation("source_id should be unique")
                address.source_id = f"{text}-{uuid.uuid4().hex[:8]}"
    return installation.add_contact_inbox(contact, inbox, text, installation.now())


def _default_source_id(contact: Contact, inbox: Inbox) -> str:
    if inbox.channel_type == "Channel::Whatsapp" and contact.phone_number:
        return contact.phone_number.removeprefix("+")
    if inbox.channel_type == "Channel::Email" and contact.email:
        return contact.email
    return str(uuid.uuid4())


def set_status(
    installation: Installation,
    conversation: Conversation,
    status: str,
    by: Actor = None,
    snoozed_until: float | None = None,
) -> Conversation:
    """Set the status and write the activity line. Raises ChatwootRefusal 422 for an unknown status."""
    if status not in STATUSES:
        raise rule_violation(f"'{status}' is not a valid status")
    if conversation.status == status:
        return conversation
    before = _watched(conversation)
    conversation.status = status
    conversation.snoozed_until = snoozed_until if status == "snoozed" else None
    if status == "resolved":
        conversation.waiting_since = 0.0
    return _changed(installation, conversation, before, STATUS_LINES[status], by)


def assign(
    installation: Installation, conversation: Conversation, assignee: User | AgentBot | None, by: Actor = None
) -> Conversation:
    """Assign the conversation to a user or a bot, or unassign it."""
    before = _watched(conversation)
    conversation.assignee = assignee
    line = f"Assigned to {assignee.name} by {{by}}" if assignee else "Conversation unassigned by {by}"
    return _changed(installation, conversation, before, line, by)


def assign_team(
    installation: Installation, conversation: Conversation, team: Team | None, by: Actor = None
) -> Conversation:
    """Assign the conversation to a team, or unassign it."""
    before, left = _watched(conversation), conversation.team
    conversation.team = team
    line = f"Assigned to {team.name} by {{by}}" if team else f"Unassigned from {left.name if left else ''} by {{by}}"
    return _changed(installation, conversation, before, line, by)


def set_labels(
    installation: Installation, conversation: Conversation, titles: list[str], by: Actor = None
) -> Conversation:
    """Replace all labels. Only a user's change writes an activity line."""
    before = _watched(conversation)
    old, conversation.labels = conversation.labels, list(dict.fromkeys(titles))
    added = ", ".join(title for title in conversation.labels if title not in old)
    removed = ", ".join(title for title in old if title not in conversation.labels)
    line = f"{{by}} added {added}" if added else f"{{by}} removed {removed}"
    written = line if isinstance(by, User) and (added or removed) else None
    return _changed(installation, conversation, before, written, by)


def set_priority(
    installation: Installation, conversation: Conversation, priority: str | None, by: Actor = None
) -> Conversation:
    """Set or remove the priority. Raises ChatwootRefusal 422 for an unknown one."""
    if priority is not None and priority not in PRIORITIES:
        raise rule_violation(f"'{priority}' is not a valid priority")
    before = _watched(conversation)
    old, conversation.priority = conversation.priority, priority
    line = f"{{by}} changed the priority from {old or 'none'} to {priority or 'none'}"
    return _changed(installation, conversation, before, line, by)


def set_custom_attributes(installation: Installation, conversation: Conversation, values: Attributes) -> Conversation:
    """Replace all custom attributes."""
    before = _watched(conversation)
    conversation.custom_attributes = values
    return _changed(installation, conversation, before, None, None)


def mark_seen(installation: Installation, conversation: Conversation) -> Conversation:
    """Record that an agent opened the conversation. `updated_at` and `last_activity_at` do not change."""
    conversation.agent_last_seen_at = conversation.assignee_last_seen_at = installation.now()
    conversation.account.generation += 1
    return conversation


def delete(installation: Installation, conversation: Conversation) -> None:
    """Delete the conversation. No webhook is sent."""
    installation.remove_conversation(conversation)


def delete_inbox(installation: Installation, account: Account, inbox_id: int, at_most: int | None) -> None:
    """Delete the conversations of an inbox, then the inbox. With `at_most`, delete only so many conversations.

    Read from chatwoot/chatwoot, `app/jobs/delete_object_job.rb`: one background job does this in batches. Until it is
    finished, the inbox and the remaining conversations are listed as before.
    """
    rows = [row for row in account.conversations.values() if row.inbox.id == inbox_id]
    for row in rows[:at_most]:
        delete(installation, row)
    if at_most is None:
        installation.remove_inbox(account, account.inboxes[inbox_id])


def assignee_by_id(account: Account, installation: Installation, user_id: int | None) -> User | None:
    """Return the user, or None for None. Raises ChatwootRefusal 404 for a user outside the account."""
    if user_id is None:
        return None
    user = installation.users.get(user_id)
    if user is None or account.id not in user.roles:
        raise not_found()
    return user


def _watched(conversation: Conversation) -> Attributes:
    return {
        "status": conversation.status,
        "snoozed_until": iso(conversation.snoozed_until),
        "assignee_id": conversation.human.id if conversation.human else None,
        "team_id": conversation.team.id if conversation.team else None,
        "label_list": list(conversation.labels),
        "priority": conversation.priority,
        "custom_attributes": conversation.custom_attributes,
        "waiting_since": iso(conversation.waiting_since),
    }


def _changed(
    installation: Installation, conversation: Conversation, before: Attributes, line: str | None, by: Actor
) -> Conversation:
    after = _watched(conversation)
    if before == after:
        return conversation
    messages.touch(installation, conversation)
    messages.announce_changes(installation, conversation, before, after)
    if line is not None:
        messages.write_activity(installation, conversation, line.format(by=by.name if by else "System"))
    return conversation
