"""`GET conversations`: selection, order and the four counts."""

from collections.abc import Callable
from dataclasses import dataclass, field

from proofdesk_simulators.chatwoot import access
from proofdesk_simulators.chatwoot.installation import Caller, Installation
from proofdesk_simulators.chatwoot.records import ACTIVITY, PRIORITIES, Account, Attributes, Conversation, User
from proofdesk_simulators.chatwoot.refusals import not_found
from proofdesk_simulators.chatwoot.views.messages import unread_count

SortKey = Callable[[Conversation], tuple[float, ...]]
DEFAULT_ORDER = "last_activity_at_desc"


def _rank(row: Conversation) -> int:
    return PRIORITIES.index(row.priority) + 1 if row.priority else 0


ORDERS: dict[str, SortKey] = {
    "last_activity_at_asc": lambda row: (row.last_activity_at,),
    "last_activity_at_desc": lambda row: (-row.last_activity_at,),
    "created_at_asc": lambda row: (row.created_at,),
    "created_at_desc": lambda row: (-row.created_at,),
    "priority_asc": lambda row: (_rank(row) or 5, -row.last_activity_at),
    "priority_desc": lambda row: (-_rank(row), -row.last_activity_at),
    "waiting_since_asc": lambda row: (row.waiting_since or float("inf"), row.created_at),
    "waiting_since_desc": lambda row: (-row.waiting_since, row.created_at),
    "priority_desc_created_at_asc": lambda row: (-_rank(row), row.created_at),
    "unread": lambda row: (-float(bool(unread_count(row))), -row.last_activity_at),
}
OLD_WORDS = {
    "latest": "last_activity_at_desc",
    "sort_on_created_at": "created_at_asc",
    "sort_on_priority": "priority_desc",
    "sort_on_waiting_since": "waiting_since_asc",
}


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The parameters of the list, as sent."""

    statuses: tuple[str, ...] = ("open",)
    assignee_type: str = "all"
    inbox_id: int | None = None
    team_id: int | None = None
    labels: tuple[str, ...] = ()
    q: str = ""
    conversation_type: str = ""
    source_id: str = ""
    sort_by: str = DEFAULT_ORDER
    updated_within: float | None = None


@dataclass(slots=True)
class ListResult:
    """All matching conversations in order, without paging, and the counts."""

    rows: list[Conversation]
    counts: Attributes


@dataclass(slots=True)
class Listings:
    """Cached results by account, query and caller, valid until the account changes."""

    kept: dict[tuple[int, ListQuery, int], tuple[int, ListResult]] = field(
        default_factory=dict[tuple[int, ListQuery, int], tuple[int, ListResult]]
    )


def list_conversations(
    listings: Listings, installation: Installation, account: Account, who: Caller, query: ListQuery
) -> ListResult:
    """Return the conversations that match. Raises ChatwootRefusal 404 for an unknown team."""
    if query.updated_within is not None:
        return _find(installation, account, who, query)
    key = (account.id, query, who.id)
    generation, result = listings.kept.get(key, (-1, None))
    if result is None or generation != account.generation:
        result = _find(installation, account, who, query)
        if len(listings.kept) > 200:
            listings.kept.clear()
        listings.kept[key] = (account.generation, result)
    return result


def page(rows: list[Conversation], number: int, size: int) -> list[Conversation]:
    """Return a page, counted from 1. A page beyond the end is empty."""
    return rows[(number - 1) * size : number * size]


def page_number(text: str | None) -> int:
    """Return the page number. Anything that is not a positive number is page 1."""
    return max(int(text), 1) if text and text.isdecimal() else 1


def order(rows: list[Conversation], sort_by: str) -> list[Conversation]:
    """Sort by a current or an old name of an order, else by newest activity."""
    name = OLD_WORDS.get(sort_by, sort_by)
    return sorted(rows, key=ORDERS.get(name, ORDERS[DEFAULT_ORDER]))


def _find(installation: Installation, account: Account, who: Caller, query: ListQuery) -> ListResult:
    if query.team_id is not None and query.team_id not in account.teams:
        raise not_found()
    visible = {inbox.id for inbox in access.visible_inboxes(who, account)}
    newer_than = installation.now() - query.updated_within if query.updated_within is not None else 0.0
    matching = [
        row
        for row in account.conversations.values()
        if row.inbox.id in visible and row.updated_at > newer_than and _matches(row, query, who)
    ]
    mine = [row for row in matching if row.human and row.human.id == who.id and isinstance(who, User)]
    assigned = [row for row in matching if row.human]
    unassigned = [row for row in matching if not row.human]
    counts: Attributes = {
        "mine_count": len(mine),
        "assigned_count": len(assigned),
        "unassigned_count": len(unassigned),
        "all_count": len(matching),
    }
    chosen = {"me": mine, "assigned": assigned, "unassigned": unassigned}.get(query.assignee_type, matching)
    return ListResult(order(chosen, query.sort_by), counts)


def _matches(row: Conversation, query: ListQuery, who: Caller) -> bool:
    if not query.q and "all" not in query.statuses and row.status not in query.statuses:
        return False
    if query.inbox_id is not None and row.inbox.id != query.inbox_id:
        return False
    if query.team_id is not None and (row.team is None or row.team.id != query.team_id):
        return False
    if query.labels and not set(query.labels) & set(row.labels):
        return False
    if query.source_id and row.contact_inbox.source_id != query.source_id:
        return False
    return _mentions(row, query.q) and _is_of_type(row, query.conversation_type, who)


def _mentions(row: Conversation, text: str) -> bool:
    if not text:
        return True
    lowered = text.lower()
    return any(
        m.message_type < ACTIVITY and m.content is not None and lowered in m.content.lower() for m in row.messages
    )


def _is_of_type(row: Conversation, kind: str, who: Caller) -> bool:
    if kind == "unattended":
        return not row.first_reply_created_at or bool(row.waiting_since)
    if kind == "mention":
        mark = f"mention://user/{who.id}/"
        return any(m.private and m.content and mark in m.content for m in row.messages)
    if kind == "participating":
        return bool(row.human and row.human.id == who.id) or any(m.sender is who for m in row.messages)
    return True
