"""Conversations: lists, one by id, and everything that changes one."""

from datetime import datetime

from proofdesk_simulators.chatwoot import access, conversations, filtering, listing
from proofdesk_simulators.chatwoot.records import Contact, ContactInbox, Conversation
from proofdesk_simulators.chatwoot.refusals import not_found, refuse, rule_violation
from proofdesk_simulators.chatwoot.routes import messages as message_routes
from proofdesk_simulators.chatwoot.routes.call import Call, Empty
from proofdesk_simulators.chatwoot.views import conversations as views
from proofdesk_simulators.chatwoot.views import people
from proofdesk_simulators.chatwoot.views.times import iso


def find(call: Call) -> Conversation:
    """Return the conversation of the path, if the caller may see it."""
    return access.get_conversation(call.caller, call.account, call.path["conversation_id"])


def view(call: Call, row: Conversation) -> object:
    """Return the REST form of a conversation for this caller. Refuses with 500 when its contact is missing."""
    if (row.account.id, row.id) in call.installation.orphans:
        raise refuse("500")
    return views.conversation(call.installation, row, call.viewer_id)


def index(call: Call) -> object:
    """GET conversations"""
    query = _query(call)
    result = listing.list_conversations(call.simulator.listings, call.installation, call.account, call.caller, query)
    rows = result.rows
    if query.updated_within is None:
        number = listing.page_number(call.query.get("page"))
        rows = listing.page(rows, number, call.simulator.switches.page_size)
    elif call.simulator.switches.most_unpaged is not None and len(rows) > call.simulator.switches.most_unpaged:
        raise refuse("500")
    return {"data": {"meta": result.counts, "payload": [view(call, row) for row in rows]}}


def meta(call: Call) -> object:
    """GET conversations/meta: the counts alone."""
    query = _query(call)
    result = listing.list_conversations(call.simulator.listings, call.installation, call.account, call.caller, query)
    return {"meta": result.counts}


def filter_all(call: Call) -> object:
    """POST conversations/filter: no `data` wrapper, three counts."""
    rows = filtering.filter_conversations(call.account, call.caller, call.body, call.installation.now())
    mine = sum(row.human is call.caller for row in rows)
    unassigned = sum(row.human is None for row in rows)
    counts = {"mine_count": mine, "unassigned_count": unassigned, "all_count": len(rows)}
    page = listing.page(rows, listing.page_number(call.query.get("page")), 25)
    return {"meta": counts, "payload": [view(call, row) for row in page]}


def show(call: Call) -> object:
    """GET conversations/{id}: bare."""
    return view(call, find(call))


def create(call: Call) -> object:
    """POST conversations: responds with the whole conversation."""
    address = _address(call)
    row = conversations.create(call.installation, call.account, address, status=call.text("status"))
    row.additional_attributes |= call.attributes("additional_attributes")
    row.custom_attributes |= call.attributes("custom_attributes")
    assignee_id, team_id = call.number("assignee_id"), call.number("team_id")
    if assignee_id is not None:
        row.assignee = conversations.assignee_by_id(call.account, call.installation, assignee_id)
    if team_id is not None:
        row.team = call.account.teams.get(team_id)
    if call.attributes("message"):
        message_routes.post(call, row, call.attributes("message"))
    return view(call, row)


def update(call: Call) -> object:
    """PATCH conversations/{id}: the priority."""
    row = find(call)
    if "priority" in call.values:
        conversations.set_priority(call.installation, row, call.text("priority"), call.actor)
    return view(call, row)


def toggle_status(call: Call) -> object:
    """POST toggle_status"""
    row = find(call)
    status = call.text("status") or ("resolved" if row.status == "open" else "open")
    conversations.set_status(call.installation, row, status, call.actor, _instant(call, "snoozed_until"))
    return {
        "meta": {},
        "payload": {
            "success": True,
            "conversation_id": row.id,
            "current_status": row.status,
            "snoozed_until": iso(row.snoozed_until),
        },
    }


def toggle_priority(call: Call) -> object:
    """POST toggle_priority: an empty response."""
    conversations.set_priority(call.installation, find(call), call.text("priority"), call.actor)
    return Empty()


def set_custom_attributes(call: Call) -> object:
    """POST custom_attributes"""
    row = find(call)
    conversations.set_custom_attributes(call.installation, row, call.attributes("custom_attributes"))
    return {"custom_attributes": row.custom_attributes}


def update_last_seen(call: Call) -> object:
    """POST update_last_seen"""
    return view(call, conversations.mark_seen(call.installation, find(call)))


def assign(call: Call) -> object:
    """POST assignments: a user or a team."""
    row = find(call)
    if "assignee_id" in call.values:
        user = conversations.assignee_by_id(call.account, call.installation, call.number("assignee_id") or None)
        conversations.assign(call.installation, row, user, call.actor)
        return people.agent(user, call.account.id) if user else None
    team_id = call.number("team_id")
    team = call.account.teams.get(team_id) if team_id else None
    if team_id and team is None:
        raise not_found()
    conversations.assign_team(call.installation, row, team, call.actor)
    return people.team(team, call.viewer_id) if team else None


def list_labels(call: Call) -> object:
    """GET labels of the conversation"""
    return {"payload": find(call).labels}


def set_labels(call: Call) -> object:
    """POST labels: replaces the whole list."""
    row, titles = find(call), call.values.get("labels")
    wanted = [str(title) for title in titles] if isinstance(titles, list) else []
    conversations.set_labels(call.installation, row, wanted, call.actor)
    return {"payload": row.labels}


def delete(call: Call) -> object:
    """DELETE conversations/{id}: administrators only, an empty response."""
    row = find(call)
    access.require_administrator(call.caller, call.account)
    conversations.delete(call.installation, row)
    return Empty()


def _query(call: Call) -> listing.ListQuery:
    q = call.query
    statuses = tuple(q.getlist("status[]")) or (q.get("status") or "open",)
    labels = q.getlist("labels[]") or (q.get("labels") or "").split(",")
    within = q.get("updated_within") or ""
    return listing.ListQuery(
        statuses=statuses,
        assignee_type=q.get("assignee_type") or "all",
        inbox_id=_whole(q.get("inbox_id")),
        team_id=_whole(q.get("team_id")),
        labels=tuple(title.strip() for title in labels if title.strip()),
        q=q.get("q") or "",
        conversation_type=q.get("conversation_type") or "",
        source_id=q.get("source_id") or "",
        sort_by=q.get("sort_by") or listing.DEFAULT_ORDER,
        updated_within=float(within) if within.isdecimal() else None,
    )


def _whole(text: str | None) -> int | None:
    """Return the id of a parameter. A text that is not a number is id 0, which matches nothing."""
    return None if not text else int(text) if text.isdecimal() else 0


def _address(call: Call) -> ContactInbox:
    """Return the contact inbox by inbox and contact, or by source id alone in all inboxes."""
    contact_id, inbox_id, source_id = (
        call.number("contact_id"),
        call.number("inbox_id"),
        call.text("source_id"),
    )
    if contact_id is not None and inbox_id is not None:
        contact, inbox = call.account.contacts.get(contact_id), call.account.inboxes.get(inbox_id)
        if contact is None or inbox is None:
            raise not_found()
        return conversations.get_contact_inbox(call.installation, contact, inbox, source_id)
    for address in _addresses(list(call.account.contacts.values())):
        if source_id is not None and address.source_id == source_id and inbox_id in (None, address.inbox.id):
            return address
    raise not_found()


def _addresses(contacts: list[Contact]) -> list[ContactInbox]:
    return [address for contact in contacts for address in contact.inboxes]


def _instant(call: Call, name: str) -> float | None:
    """Return a time from seconds or ISO text."""
    value = call.values.get(name)
    if value is None or isinstance(value, int | float):
        return value
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except ValueError:
        raise rule_violation(f"Invalid value for {name}") from None
