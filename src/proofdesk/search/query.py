"""What is asked for: a text, and what the search is narrowed to."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from proofdesk.core.ids import GlobalId
from proofdesk.errors import Invalid
from proofdesk.projects.scope import Scope
from proofdesk.search.queries import FilterParams

SearchMode = Literal["hybrid", "vector", "text"]
Sender = Literal["contact", "agent"]

MAX_QUERY_LENGTH = 4000  # characters
DEFAULT_HITS, MAX_HITS = 10, 50


class QueryRequired(Invalid):
    """The query is empty or too long."""

    code = "query_required"


def validate_query(text: str | None) -> str:
    """Return the query without surrounding space. Raises `QueryRequired`."""
    query = (text or "").strip()
    if not 1 <= len(query) <= MAX_QUERY_LENGTH:
        raise QueryRequired(f"`query` must have 1 to {MAX_QUERY_LENGTH} characters.")
    return query


@dataclass(frozen=True)
class SearchFilters:
    """What the search is narrowed to; None: not by that.

    `from_`, `to` (both included) and `sender` are about the message that a chunk points at, the others about its
    conversation. Of `labels` a conversation has at least one.
    """

    from_: datetime | None = None
    to: datetime | None = None
    inbox_ids: list[int] | None = None
    conversation: GlobalId | None = None
    contact: GlobalId | None = None
    sender: Sender | None = None
    labels: list[str] | None = None
    status: str | None = None

    def as_params(self, scope: Scope) -> FilterParams | None:
        """The filters as parameters; None when they name what the project cannot have."""
        named = [one for one in (self.conversation, self.contact) if one is not None]
        if any(one.project_id != scope.project_id for one in named) or len({one.account_id for one in named}) > 1:
            return None
        return FilterParams(
            inboxes=self.inbox_ids,
            account=named[0].account_id if named else None,
            conversation=self.conversation.number if self.conversation else None,
            contact=self.contact.number if self.contact else None,
            labels=self.labels,
            status=self.status,
            since=self.from_,
            until=self.to,
            sender=self.sender,
        )


@dataclass(frozen=True)
class SearchQuery:
    """A search: its text, how many hits at most, and by what."""

    text: str
    top_k: int = DEFAULT_HITS
    mode: SearchMode = "hybrid"
    filters: SearchFilters = field(default_factory=SearchFilters)
