"""The query of a search, and its filters."""

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
    """The filters of a search. None means that a filter is not set.

    `from_`, `to` (both inclusive) and `sender` apply to the message of a chunk, the others to its conversation. With
    `labels`, a conversation must have at least one of them.
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
        """Return the filters as parameters, or None when they name ids of another project or of two accounts."""
        keys = [key for key in (self.conversation, self.contact) if key is not None]
        if any(key.project_id != scope.project_id for key in keys) or len({key.account_id for key in keys}) > 1:
            return None
        return FilterParams(
            inboxes=self.inbox_ids,
            account=keys[0].account_id if keys else None,
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
    """A query: its text, the maximal number of hits, the mode and the filters."""

    text: str
    top_k: int = DEFAULT_HITS
    mode: SearchMode = "hybrid"
    filters: SearchFilters = field(default_factory=SearchFilters)
