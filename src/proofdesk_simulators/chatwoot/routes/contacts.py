"""Contacts, their conversations and their addresses in inboxes."""

from proofdesk_simulators.chatwoot import access, contacts, conversations, listing
from proofdesk_simulators.chatwoot.records import Attributes, Contact, Inbox
from proofdesk_simulators.chatwoot.refusals import not_found, refuse
from proofdesk_simulators.chatwoot.routes.call import Call, Empty
from proofdesk_simulators.chatwoot.views import contacts as views
from proofdesk_simulators.chatwoot.views import conversations as conversation_views
from proofdesk_simulators.chatwoot.views import inboxes as inbox_views

NEWEST = 20


def index(call: Call) -> object:
    """`current_page` is a number when `page` was not sent, and its text when it was."""
    sent = call.query.get("page")
    rows = contacts.list_contacts(call.account, call.query.get("sort"))
    page = listing.page_number(sent)
    with_inboxes = call.query.get("include_contact_inboxes") != "false"
    start = (page - 1) * contacts.PAGE_SIZE
    shown = rows[start : start + contacts.PAGE_SIZE]
    return {
        "meta": {"count": len(rows), "current_page": 1 if sent is None else sent},
        "payload": [views.contact(row, with_inboxes=with_inboxes) for row in shown],
    }


def search(call: Call) -> object:
    """GET contacts/search: `count` is the number on this page only."""
    sent = call.query.get("page")
    rows = sorted(
        contacts.search_contacts(call.account, call.query.get("q") or ""), key=lambda row: -row.last_activity_at
    )
    start = (listing.page_number(sent) - 1) * contacts.PAGE_SIZE
    shown = rows[start : start + contacts.PAGE_SIZE]
    meta = {
        "count": len(shown),
        "current_page": 1 if sent is None else sent,
        "has_more": len(rows) > start + contacts.PAGE_SIZE,
    }
    return {"meta": meta, "payload": [views.contact(row) for row in shown]}


def show(call: Call) -> object:
    """GET contacts/{id}"""
    return {"payload": views.contact(_contact(call))}


def create(call: Call) -> object:
    """POST contacts: `inbox_id` is optional."""
    inbox = _inbox(call) if "inbox_id" in call.values else None
    contact = contacts.create(call.installation, call.account, call.values)
    address: Attributes = {"inbox": None, "source_id": None}
    if inbox is not None:
        made = conversations.get_contact_inbox(call.installation, contact, inbox, call.text("source_id"))
        address = {"inbox": inbox_views.raw(inbox), "source_id": made.source_id}
    return {"payload": {"contact": views.contact(contact), "contact_inbox": address}}


def update(call: Call) -> object:
    """PUT or PATCH contacts/{id}"""
    contact = contacts.update(call.installation, call.account, _contact(call), call.values)
    return {"payload": views.contact(contact)}


def delete(call: Call) -> object:
    """DELETE contacts/{id}: also deletes its conversations and messages."""
    contact = _contact(call)
    access.require_administrator(call.caller, call.account)
    for row in list(contact.conversations):
        conversations.delete(call.installation, row)
    del call.account.contacts[contact.id]
    return Empty()


def list_conversations(call: Call) -> object:
    """GET contacts/{id}/conversations: the newest 20 by activity that the caller may see."""
    visible = access.visible_inboxes(call.caller, call.account)
    rows = [row for row in _contact(call).conversations if row.inbox in visible]
    rows.sort(key=lambda row: -row.last_activity_at)
    views_of = conversation_views.conversation
    return {"payload": [views_of(call.installation, row, call.viewer_id) for row in rows[:NEWEST]]}


def contactable_inboxes(call: Call) -> object:
    """GET contactable_inboxes: without the widget and Telegram, where the visitor must write first."""
    contact = _contact(call)
    known = {address.inbox.id: address.source_id for address in contact.inboxes}
    found: list[Attributes] = []
    for inbox in access.visible_inboxes(call.caller, call.account):
        source_id = known.get(inbox.id) or _first_address(contact, inbox)
        if source_id and inbox.channel_type in ("Channel::Api", "Channel::Email", "Channel::Whatsapp"):
            found.append({"inbox": inbox_views.slim(inbox), "source_id": source_id})
    return {"payload": found}


def create_contact_inbox(call: Call) -> object:
    """POST contacts/{id}/contact_inboxes"""
    inbox = _inbox(call)
    address = conversations.get_contact_inbox(call.installation, _contact(call), inbox, call.text("source_id"))
    return {"source_id": address.source_id, "inbox": inbox_views.slim(inbox)}


def find_by_address(call: Call) -> object:
    """POST contact_inboxes/filter: a bare contact, or 404 without a body."""
    wanted = (call.number("inbox_id"), call.text("source_id"))
    for contact in call.account.contacts.values():
        if any((address.inbox.id, address.source_id) == wanted for address in contact.inboxes):
            return views.contact(contact)
    raise refuse("404_empty")


def merge(call: Call) -> object:
    """POST actions/contact_merge"""
    base = call.account.contacts.get(call.number("base_contact_id") or 0)
    mergee = call.account.contacts.get(call.number("mergee_contact_id") or 0)
    if base is None or mergee is None:
        raise not_found()
    if base is not mergee:
        contacts.merge(call.installation, call.account, base, mergee)
    return views.contact(base)


def _contact(call: Call) -> Contact:
    found = call.account.contacts.get(call.path["contact_id"])
    if found is None:
        raise not_found()
    return found


def _inbox(call: Call) -> Inbox:
    found = call.account.inboxes.get(call.number("inbox_id") or 0)
    if found is None:
        raise not_found()
    return found


def _first_address(contact: Contact, inbox: Inbox) -> str | None:
    if inbox.channel_type == "Channel::Email":
        return contact.email
    if inbox.channel_type == "Channel::Whatsapp":
        return (contact.phone_number or "").removeprefix("+")
    # Chatwoot offers a fresh random id here; a fixed one keeps answers comparable.
    return f"contact-{contact.id}"
