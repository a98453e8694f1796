"""Turn the filters of the query language into parameters of statements. Pure."""

import re
from dataclasses import replace
from datetime import datetime

from proofdesk.indexing import tokenizer
from proofdesk.search import keyword
from proofdesk.search.queries import FilterParams
from proofdesk.search.syntax import QueryFilters

_PATTERN_SIGN = re.compile(r"[%_\\]")
_NO_LETTER = re.compile(r"\W")
_ESCAPED = r"\\\g<0>"
_LETTER_OF_WORD = re.compile(r"[^\W_]")


def narrow(params: FilterParams, filters: QueryFilters) -> FilterParams | None:
    """Return the parameters with the filters of a query added, or None when the two exclude each other."""
    if params.sender and filters.sender and params.sender != filters.sender:
        return None
    return replace(
        params,
        sender=params.sender or filters.sender,
        since=_latest(params.since, filters.since),
        until=_earliest(params.until, filters.until),
        query_labels=[form for label in filters.labels for form in {label, label.lower()}] or None,
        inbox_names=_patterns(filters.inboxes),
        contact_names=_patterns(filters.contacts),
        authors=_patterns(filters.authors),
        phrases=[_phrase_pattern(phrase) for phrase in filters.phrases] or None,
        required=[terms for phrase in filters.phrases for terms in _terms_of_words(phrase)],
        excluded=[_excluded_terms(word) for word in filters.excluded],
    )


def _latest(*times: datetime | None) -> datetime | None:
    return max((time for time in times if time is not None), default=None)


def _earliest(*times: datetime | None) -> datetime | None:
    return min((time for time in times if time is not None), default=None)


def _patterns(names: tuple[str, ...]) -> list[str] | None:
    return [f"%{_PATTERN_SIGN.sub(_ESCAPED, name)}%" for name in names] or None


def _phrase_pattern(phrase: str) -> str:
    """Return a regular expression of PostgreSQL that matches the phrase as whole words with any space between."""
    words = [_NO_LETTER.sub(_ESCAPED, word) for word in phrase.split()]
    before, after = (r"\m" if _is_spaced(phrase[0]) else ""), (r"\M" if _is_spaced(phrase[-1]) else "")
    return before + r"\s+".join(words) + after


def _is_spaced(letter: str) -> bool:
    """Return whether a character belongs to a word that spaces separate."""
    return bool(_LETTER_OF_WORD.match(letter)) and not tokenizer.letters(letter * 2)


def _excluded_terms(word: str) -> list[tuple[str, ...]]:
    """Return the terms that the query excludes: of an order number or address as a whole, else of its words."""
    exact = tokenizer.exact_tokens(word)
    return [(exact[0],)] if exact else _terms_of_words(word)


def _terms_of_words(text: str) -> list[tuple[str, ...]]:
    return [keyword.terms_of(word) for word in dict.fromkeys(tokenizer.words(text))]
