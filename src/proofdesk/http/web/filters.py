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
    values = {name: value.strip() for name, value in request.query_params.items()}
    inbox = values.get("inbox", "")
    return SearchForm(
        q=values.get("q", "")[: MAX_QUERY_LENGTH + 1],
        mode=_one_of(MODES, values.get("mode"), "hybrid"),
        inbox=inbox if inbox.isascii() and inbox.isdigit() and int(inbox[:20]) < 2**63 and len(inbox) < 20 else "",
        sender=_one_of(SENDERS, values.get("sender"), ""),
        status=_one_of(STATUSES, values.get("status"), ""),
        label=values.get("label", "")[:200],
        from_=values.get("from", "")[:10],
        to=values.get("to", "")[:10],
        k=MAX_RESULTS if values.get("k") == str(MAX_RESULTS) else 10,
        open=values.get("open", "")[:200],
    )


def build_query(form: SearchForm) -> SearchQuery:
    """Return the query of the form. Raises `Invalid` for a long text or an invalid day."""
    if len(form.q) > MAX_QUERY_LENGTH:
        raise QueryRequired(f"A question has at most {MAX_QUERY_LENGTH} characters.")
    to = _day("To", form.to)
    return SearchQuery(
        text=form.q,
        top_k=form.k,
        mode=cast(Any, form.mode),
        filters=SearchFilters(
            from_=_day("From", form.from_),
            to=to and to + timedelta(days=1, microseconds=-1),
            inbox_ids=[int(form.inbox)] if form.inbox else None,
            sender=cast(Any, form.sender or None),
            labels=[form.label] if form.label else None,
            status=form.status or None,
        ),
    )


def form_values(form: SearchForm, inboxes: list[InboxRow], labels: list[str]) -> dict[str, Any]:
    """Return the values and options of the fields for the template."""
    return {
        "q": form.q,
        "longest": MAX_QUERY_LENGTH,
        "modes": _choices(MODES, form.mode),
        "inboxes": _choices({"": "Any inbox"} | {str(i.inbox_id): i.name for i in inboxes}, form.inbox),
        "senders": _choices(SENDERS, form.sender),
        "statuses": _choices(STATUSES, form.status),
        "labels": _choices({"": "Any label"} | {label: label for label in labels}, form.label),
        "from": form.from_,
        "to": form.to,
    }


def filter_chips(form: SearchForm, inboxes: list[InboxRow]) -> list[dict[str, str]]:
    """Return the active filters, each with the address of the search without it."""
    names = {str(i.inbox_id): i.name for i in inboxes}
    labels = {
        "inbox": f"in {names.get(form.inbox, 'inbox ' + form.inbox)}",
        "sender": f"by {SENDERS[form.sender].lower()}",
        "status": STATUSES[form.status].lower(),
        "label": f"label {form.label}",
        "from_": f"from {form.from_}",
        "to": f"to {form.to}",
    }
    return [
        {"label": label, "url": search_url(replace(form, **{name: ""}, open=""))}
        for name, label in labels.items()
        if getattr(form, name)
    ]


def search_url(form: SearchForm) -> str:
    """Return the address of a search."""
    plain = asdict(SearchForm())
    fields = {name.rstrip("_"): value for name, value in asdict(form).items() if value != plain[name]}
    return "/search" + (f"?{urlencode(fields)}" if fields else "")


def _choices(options: dict[str, str], chosen: str) -> list[Choice]:
    return [Choice(value, label, value == chosen) for value, label in options.items()]


def _one_of(options: dict[str, str], value: str | None, default: str) -> str:
    return value if value in options else default


def _day(name: str, text: str) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC) if text else None
    except ValueError as error:
        raise Invalid(f"{name} is a day such as 2026-01-31.") from error
