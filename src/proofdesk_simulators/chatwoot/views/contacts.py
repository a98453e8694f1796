"""Contacts, in the form of the contact endpoints and in the embedded form of a sender."""

from proofdesk_simulators.chatwoot.records import Attributes, Contact
from proofdesk_simulators.chatwoot.views import inboxes
from proofdesk_simulators.chatwoot.views.times import seconds


def contact(row: Contact, *, with_inboxes: bool = True) -> Attributes:
    """Return the view of a contact. `last_activity_at` is missing before the first activity."""
    view: Attributes = {
        "additional_attributes": row.additional_attributes,
        "availability_status": row.availability,
        "email": row.email,
        "id": row.id,
        "name": row.name,
        "phone_number": row.phone_number,
        "blocked": row.blocked,
        "identifier": row.identifier,
        "thumbnail": row.thumbnail,
        "custom_attributes": row.custom_attributes,
    }
    if row.last_activity_at:
        view["last_activity_at"] = seconds(row.last_activity_at)
    view["created_at"] = seconds(row.created_at)
    if with_inboxes:
        view["contact_inboxes"] = [
            {"source_id": address.source_id, "inbox": inboxes.slim(address.inbox)} for address in row.inboxes
        ]
    return view


def contact_sender(row: Contact) -> Attributes:
    """Return the form inside messages, without times and presence."""
    return {
        "additional_attributes": row.additional_attributes,
        "custom_attributes": row.custom_attributes,
        "email": row.email,
        "id": row.id,
        "identifier": row.identifier,
        "name": row.name,
        "phone_number": row.phone_number,
        "thumbnail": row.thumbnail,
        "blocked": row.blocked,
        "type": "contact",
    }
