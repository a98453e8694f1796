"""Creating, finding, changing and merging contacts."""

from collections.abc import Callable

from proofdesk_simulators.chatwoot.installation import Installation
from proofdesk_simulators.chatwoot.messages import attribute_change, touch
from proofdesk_simulators.chatwoot.records import Account, Attributes, Contact
from proofdesk_simulators.chatwoot.refusals import invalid_record

PAGE_SIZE = 15
PLAIN_FIELDS = ("name", "email", "phone_number", "identifier", "blocked")
UNIQUE_FIELDS = {"email": "Email", "phone_number": "Phone number", "identifier": "Identifier"}


def _place(contact: Contact, key: str) -> str:
    return str(contact.additional_attributes.get(key) or "").lower()


ORDERS: dict[str, Callable[[Contact], str | float]] = {
    "name": lambda contact: contact.name.lower(),
    "email": lambda contact: contact.email or "",
    "phone_number": lambda contact: contact.phone_number or "",
    "last_activity_at": lambda contact: contact.last_activity_at,
    "created_at": lambda contact: contact.created_at,
    "company_name": lambda contact: _place(contact, "company_name"),
    "city": lambda contact: _place(contact, "city"),
    "country": lambda contact: _place(contact, "country"),
}


def list_contacts(account: Account, sort: str | None) -> list[Contact]:
    """Return contacts with an e-mail, phone or identifier. Without `sort`, the order is undefined."""
    order = sort or ""
    generation, rows = account.contact_orders.get(order, (-1, []))
    if generation != account.generation:
        rows = [contact for contact in account.contacts.values() if contact.resolved]
        key = ORDERS.get(order.removeprefix("-"))
        if key is not None:
            rows.sort(key=key, reverse=order.startswith("-"))
            account.contact_orders[order] = (account.generation, rows)
    return rows


def search_contacts(account: Account, text: str) -> list[Contact]:
    """Search name, e-mail and phone ignoring case, and the identifier. An empty text matches nothing."""
    if not text:
        return []
    lowered = text.lower()

    def matches(row: Contact) -> bool:
        plain = (row.name, row.email or "", row.phone_number or "")
        return any(lowered in value.lower() for value in plain) or text in (row.identifier or "")

    return [contact for contact in account.contacts.values() if matches(contact)]


def create(installation: Installation, account: Account, values: Attributes) -> Contact:
    """Create a contact. Raises ChatwootRefusal 422 if the e-mail, phone or identifier is taken."""
    _check_unique(account, values, None)
    now = installation.now()
    contact = Contact(installation.contact_ids.take(), account.id, "", now, now)
    _write(contact, values)
    installation.add_contact(account, contact)
    installation.announce("contact_created", account, contact)
    return contact


def update(installation: Installation, account: Account, contact: Contact, values: Attributes) -> Contact:
    """Update a contact. Attribute objects are merged. Timestamps of its conversations do not change."""
    _check_unique(account, values, contact)
    before = _watched(contact)
    _write(contact, values)
    contact.updated_at = installation.now()
    account.generation += 1
    after = _watched(contact)
    changes = [attribute_change(name, before[name], after[name]) for name in before if before[name] != after[name]]
    if changes:
        installation.announce("contact_updated", account, contact, *changes)
    return contact


def merge(installation: Installation, account: Account, base: Contact, mergee: Contact) -> Contact:
    """Merge two contacts: conversations, messages and contact inboxes move to the base, the mergee is deleted."""
    for conversation in mergee.conversations:
        conversation.contact = base
        for message in conversation.messages:
            if message.sender is mergee:
                message.sender = base
                installation.announce("message_updated", account, message)
        touch(installation, conversation)
    for address in mergee.inboxes:
        address.contact = base
    base.conversations += mergee.conversations
    base.inboxes += mergee.inboxes
    base.last_activity_at = max(base.last_activity_at, mergee.last_activity_at)
    _fill_gaps(base, mergee)
    del account.contacts[mergee.id]
    account.generation += 1
    return base


def _fill_gaps(base: Contact, mergee: Contact) -> None:
    for name in ("email", "phone_number", "identifier"):
        if not getattr(base, name):
            setattr(base, name, getattr(mergee, name))
    base.additional_attributes = mergee.additional_attributes | base.additional_attributes
    base.custom_attributes = mergee.custom_attributes | base.custom_attributes


def _write(contact: Contact, values: Attributes) -> None:
    for name in PLAIN_FIELDS:
        if name in values:
            value = values[name]
            setattr(contact, name, value.lower() if name == "email" and isinstance(value, str) else value)
    for name in ("additional_attributes", "custom_attributes"):
        added = values.get(name)
        if isinstance(added, dict):
            setattr(contact, name, getattr(contact, name) | added)


def _check_unique(account: Account, values: Attributes, owner: Contact | None) -> None:
    for name, title in UNIQUE_FIELDS.items():
        value = values.get(name)
        if not isinstance(value, str) or not value:
            continue
        expected = value.lower() if name == "email" else value
        if any(row is not owner and getattr(row, name) == expected for row in account.contacts.values()):
            raise invalid_record(f"{title} has already been taken", name)


def _watched(contact: Contact) -> Attributes:
    names = (*PLAIN_FIELDS, "additional_attributes", "custom_attributes")
    return {name: getattr(contact, name) for name in names}
