"""The search form: its values, the query that they form, and the options of its fields."""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, cast
from urllib.parse import urlencode

from fastapi import Request

from proofdesk.conversations.queries import InboxRow
from proofdesk.errors import Invalid
from proofdesk.http.web.layout import Choice
from proofdesk.search.query import MAX_QUERY_LENGTH, QueryRequired
from proofdesk.search.results import SearchFilters, SearchQuery

MAX_RESULTS = 50
MODES = {"hybrid": "Meaning and words", "vector": "Meaning", "text": "Exact words"}
SENDERS = {"": "Anyone", "contact": "Contacts", "agent": "Agents"}
STATUSES = {"": "Any status", "open": "Open", "pending": "Pending", "snoozed": "Snoozed", "resolved": "Resolved"}


@dataclass(frozen=True)
class SearchForm:
    """The values of the form as text, as in the address. `from_` and `to` are days, both included."""

    q: str = ""
    mode: str = "hybrid"
    inbox: str = ""
    sender: str = ""
    status: str = ""
    label: str = ""
    from_: str = ""
    to: str = ""
    k: int = 10
    open: str = ""


async def parse_form(request: Request) -> SearchForm:
    """Return the form that the address contains; a field with an invalid value is empty."""
    given = {name: value.strip() for name, value in request.query_params.items()}
    inbox = given.get("inbox", "")
    return SearchForm(
        q=given.get("q", "")[: MAX_QUERY_LENGTH + 1],
        mode=_one_of(MODES, given.get("mode"), "hybrid"),
        inbox=inbox if inbox.isascii() and inbox.isdigit() and int(inbox[:20]) < 2**63 and len(inbox) < 20 else "",
        sender=_one_of(SENDERS, given.get("sender"), ""),
        status=_one_of(STATUSES, given.get("status"), ""),
        label=given.get("label", "")[:200],
        from_=given.get("from", "")[:10],
        to=given.get("to", "")[:10],
        k=MAX_RESULTS if given.get("k") == str(MAX_RESULTS) else 10,
        open=given.get("open", "")[:200],
    )


def build_query(filled: SearchForm) -> SearchQuery:
    """Return the query of the form. Raises `Invalid` for a long text or an invalid day."""
    if len(filled.q) > MAX_QUERY_LENGTH:
        raise QueryRequired(f"A question has at most {MAX_QUERY_LENGTH} characters.")
    to = _day("To", filled.to)
    return SearchQuery(
        text=filled.q,
        top_k=filled.k,
        mode=cast(Any, filled.mode),
        filters=SearchFilters(
            from_=_day("From", filled.from_),
            to=to and to + timedelta(days=1, microseconds=-1),
            inbox_ids=[int(filled.inbox)] if filled.inbox else None,
            sender=cast(Any, filled.sender or None),
            labels=[filled.label] if filled.label else None,
            status=filled.status or None,
        ),
    )


def form_values(filled: SearchForm, inboxes: list[InboxRow], labels: list[str]) -> dict[str, Any]:
    """Return the values and options of the fields for the template."""
    return {
        "q": filled.q,
        "longest": MAX_QUERY_LENGTH,
        "modes": _choices(MODES, filled.mode),
        "inboxes": _choices({"": "Any inbox"} | {str(i.inbox_id): i.name for i in inboxes}, filled.inbox),
        "senders": _choices(SENDERS, filled.sender),
        "statuses": _choices(STATUSES, filled.status),
        "labels": _choices({"": "Any label"} | {label: label for label in labels}, filled.label),
        "from": filled.from_,
        "to": filled.to,
    }


def filter_chips(filled: SearchForm, inboxes: list[InboxRow]) -> list[dict[str, str]]:
    """Return the active filters, each with the address of the search without it."""
    names = {str(i.inbox_id): i.name for i in inboxes}
    said = {
        "inbox": f"in {names.get(filled.inbox, 'inbox ' + filled.inbox)}",
        "sender": f"by {SENDERS[filled.sender].lower()}",
        "status": STATUSES[filled.status].lower(),
        "label": f"label {filled.label}",
        "from_": f"from {filled.from_}",
        "to": f"to {filled.to}",
    }
    return [
        {"label": label, "url": search_url(replace(filled, **{name: ""}, open=""))}
        for name, label in said.items()
        if getattr(filled, name)
    ]


def search_url(filled: SearchForm) -> str:
    """Return the address of a search."""
    plain = asdict(SearchForm())
    fields = {name.rstrip("_"): value for name, value in asdict(filled).items() if value != plain[name]}
    return "/search" + (f"?{urlencode(fields)}" if fields else "")


def _choices(options: dict[str, str], chosen: str) -> list[Choice]:
    return [Choice(value, label, value == chosen) for value, label in options.items()]


def _one_of(options: dict[str, str], given: str | None, otherwise: str) -> str:
    return given if given in options else otherwise


def _day(name: str, text: str) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC) if text else None
    except ValueError as error:
        raise Invalid(f"{name} is a day such as 2026-01-31.") from error
