"""The query of a search, and its filters."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal

from proofdesk.core.ids import GlobalId
from proofdesk.errors import Invalid
from proofdesk.indexing import tokenizer
from proofdesk.projects.scope import Scope
from proofdesk.search import text_filters
from proofdesk.search.queries import FilterParams
from proofdesk.search.syntax import ParsedText, QueryFilters, Sender, parse_text

SearchMode = Literal["hybrid", "vector", "text"]

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
    """A query: its text, the maximal number of hits, the mode and the filters.

    The text may hold filters, phrases and excluded words, unless it `is_literal`.
    """

    text: str
    top_k: int = DEFAULT_HITS
    mode: SearchMode = "hybrid"
    filters: SearchFilters = field(default_factory=SearchFilters)
    is_literal: bool = False

    @cached_property
    def parsed(self) -> ParsedText:
        """The text to search for, the filters in the text, and hints about what is no filter."""
        text = tokenizer.clean(self.text).strip()
        return ParsedText(text, QueryFilters()) if self.is_literal else parse_text(text)

    def filter_params(self, scope: Scope) -> FilterParams | None:
        """Return both kinds of filters as parameters, or None when no chunk can pass them."""
        params = self.filters.as_params(scope)
        return params and text_filters.narrow(params, self.parsed.filters)
