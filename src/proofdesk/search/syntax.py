"""The query language: filters, exact phrases and excluded words in the text of a query. Pure.

    refund from:contact inbox:"Web shop" label:vip after:2026-03-01 before:2026-04-01 contact:anna "new card" -lamp

A part that looks like a filter and is none is searched as text, and a hint says so.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from proofdesk.indexing import tokenizer

Sender = Literal["contact", "agent"]

FILTERS = ("from", "inbox", "label", "before", "after", "contact")
_QUOTED = r'"(?P<straight>[^"]*)"|“(?P<curly>[^“”]*)”|„(?P<low>[^„“”]*)[“”]|«(?P<angle>[^«»]*)»'
_PART = re.compile(rf"(?P<minus>-)?(?:(?P<name>[A-Za-z_]{{2,20}}):(?!:))?(?:{_QUOTED}|(?P<word>\S+))")
_EXCLUDABLE = re.compile(r"\w")
_ADDRESS = re.compile(r"[/\\]")  # begins what follows the colon in a URL or a path
_MAX_FILTERS = 20  # of each kind


@dataclass(frozen=True)
class QueryFilters:
    """The filters in a query. Of several with one name, one must pass; `after` and `before` are a period.

    `authors`, `inboxes` and `contacts` are names or parts of names as they were written. `since` and `until` are
    inclusive.
    """

    sender: Sender | None = None
    authors: tuple[str, ...] = ()
    inboxes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    contacts: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    phrases: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True)
class ParsedText:
    """A query taken apart: the text to search for, the filters, and hints about what is no filter."""

    text: str
    filters: QueryFilters
    hints: tuple[str, ...] = ()


def parse_text(text: str) -> ParsedText:
    """Return the text, the filters and the hints of a query. Phrases are also part of the text."""
    builder = _Builder()
    for match in _PART.finditer(text):
        builder.add(match)
    return builder.build()


class _Builder:
    def __init__(self) -> None:
        self._words: list[str] = []
        self._hints: list[str] = []
        self._values: dict[str, list[str]] = {name: [] for name in (*FILTERS, "phrase", "excluded")}

    def add(self, match: re.Match[str]) -> None:
        """Add a part of a query: a filter, a phrase, an excluded word, or text."""
        name, value = (match["name"] or "").lower(), _value(match)
        if not name and not match["word"]:
            self._add_phrase(match, value)
        elif name in FILTERS and not match["minus"]:
            self._add_filter(match, name, value)
        elif match["minus"] and not name and _EXCLUDABLE.match(value):
            self._add_excluded(match, value)
        else:
            self._add_text(match, value)
            if name and not _ADDRESS.match(value):
                self._hints.append(_unknown_filter(match))

    def build(self) -> ParsedText:
        """Return what was added."""
        values = {name: tuple(dict.fromkeys(found))[:_MAX_FILTERS] for name, found in self._values.items()}
        senders = {value.lower() for value in values["from"]} & {"contact", "agent"}
        filters = QueryFilters(
            sender=next(iter(senders)) if len(senders) == 1 else None,  # type: ignore[arg-type]
            authors=tuple(value for value in values["from"] if value.lower() not in ("contact", "agent")),
            inboxes=values["inbox"],
            labels=values["label"],
            contacts=values["contact"],
            since=max(map(_day, values["after"]), default=None),
            until=min((_day(value) - timedelta(microseconds=1) for value in values["before"]), default=None),
            phrases=values["phrase"],
            excluded=values["excluded"],
        )
        return ParsedText(" ".join(self._words), filters, tuple(dict.fromkeys(self._hints)))

    def _add_phrase(self, match: re.Match[str], value: str) -> None:
        if match["minus"]:
            self._hints.append("Only single words can be excluded. The phrase was searched as text.")
        elif value:
            self._values["phrase"].append(value)
        self._words.append(value)

    def _add_excluded(self, match: re.Match[str], value: str) -> None:
        if _is_word(value):
            self._values["excluded"].append(value)
        else:
            self._hints.append(f"`{match.group()}` was searched as text. Only single words can be excluded.")
            self._add_text(match, value)

    def _add_filter(self, match: re.Match[str], name: str, value: str) -> None:
        if not value:
            self._add_text(match, value)
        elif name in ("before", "after") and not _is_day(value):
            self._hints.append(f"`{match.group()}` was searched as text. `{name}:` needs a day such as 2026-01-31.")
            self._add_text(match, value)
        else:
            self._values[name].append(value)

    def _add_text(self, match: re.Match[str], value: str) -> None:
        self._words.append(match.group() if match["word"] else value)


def _value(match: re.Match[str]) -> str:
    groups = (match[name] for name in ("straight", "curly", "low", "angle", "word"))
    return next((value for value in groups if value is not None), "").strip()


def _is_word(text: str) -> bool:
    """Return whether a text is one word, number or address; in a script without spaces, any text."""
    return len(tokenizer.words(text)) == 1 or bool(tokenizer.exact_tokens(text) or tokenizer.letters(text))


def _unknown_filter(match: re.Match[str]) -> str:
    names = ", ".join(f"{name}:" for name in FILTERS)
    if match["name"].lower() in FILTERS:
        return f"`{match.group()}` was searched as text. Only words can be excluded."
    return f"`{match['name']}:` is not a filter and was searched as text. Filters are {names}."


def _is_day(text: str) -> bool:
    try:
        return _day(text).year >= 1000
    except ValueError:
        return False


def _day(text: str) -> datetime:
    """Return the beginning of a day in UTC. Raises `ValueError`."""
    return datetime.combine(date.fromisoformat(text.replace("/", "-")), time(), UTC)
