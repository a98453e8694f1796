"""Finds the time by which something is due in a clause, and resolves it to a day. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache

from proofdesk.commitments.extraction import calendar
from proofdesk.commitments.extraction.grammar import DateWords, Grammar

_PERIODS = ("end of month", "end of year", "this week", "next week", "weekend", "offset")
"""What "before" does not move: "before the end of the month" is its last day."""
_TABLES = ("weekday", "month", "number", "unit")


@dataclass(frozen=True)
class DueDate:
    """A time in a text: where it stands, and the day; None when it hangs on an event or is vague."""

    start: int
    end: int
    day: date | None
    is_deadline: bool = False
    is_weak: bool = False


def find_due_date(text: str, grammar: Grammar, today: date) -> DueDate | None:
    """Return when the act in a clause is due. A time after "by" or "until" goes before others, and the last before
    earlier ones."""
    dates = list(_find_dates(text, grammar.dates, today))
    event = grammar.event_time.search(text)
    if not dates:
        return DueDate(event.start(), event.end(), None) if event else None
    if event and any(d.start < event.end() + 40 and d.end >= event.start() for d in dates):
        return DueDate(event.start(), event.end(), None)
    firm = [due for due in dates if not due.is_weak] or dates
    deadlines = [due for due in firm if due.is_deadline]
    return (deadlines or firm)[-1]


def _find_dates(text: str, words: DateWords, today: date) -> Iterator[DueDate]:
    """Yield the dates of a text from left to right. Where patterns overlap, the one listed first applies."""
    if not words.any_date.search(text):
        return
    dates: list[DueDate] = []
    for pattern, resolver, fixed in _compile(words):
        for match in pattern.finditer(text):
            if any(match.start() < d.end and d.start < match.end() for d in dates):
                continue
            day = calendar.RESOLVERS[resolver]({**_parts(match, words), **fixed}, today)
            due = _with_preposition(text, match, words, day)
            if due.day is not None and resolver not in _PERIODS and words.before.search(text, 0, match.start()):
                due = replace(due, day=max(today, due.day - timedelta(days=1)))
            dates.append(replace(due, is_weak="weak" in fixed))
    yield from sorted(dates, key=lambda due: due.start)


def _with_preposition(text: str, match: re.Match[str], words: DateWords, day: date | None) -> DueDate:
    deadline = words.deadline.search(text, 0, match.start()) or words.before.search(text, 0, match.start())
    start = deadline.start() if deadline else match.start()
    if deadline and match.group().casefold() in words.weekends and day is not None:
        day -= timedelta(days=2)  # "by the weekend" is Friday
    return DueDate(start, match.end(), day, bool(deadline))


def _parts(match: re.Match[str], words: DateWords) -> dict[str, int]:
    tables: Mapping[str, Mapping[str, int]] = {name: getattr(words, f"{name}s") for name in _TABLES}
    parts: dict[str, int] = {}
    for name, value in match.groupdict().items():
        if value is not None:
            parts[name] = int(value) if value.isdecimal() else _lookup(tables.get(name, words.numbers), value)
    return parts


def _lookup(table: Mapping[str, int], value: str) -> int:
    folded = value.casefold().rstrip(".")
    return next(number for pattern, number in table.items() if re.fullmatch(pattern, folded))


@cache
def _compile(words: DateWords) -> list[tuple[re.Pattern[str], str, Mapping[str, int]]]:
    groups = {name: f"(?P<{name}>{'|'.join(getattr(words, f'{name}s'))})" for name in _TABLES}
    groups["number"] = rf"(?P<number>\d{{1,3}}|{'|'.join(words.numbers)})"
    groups |= {"day": r"(?P<day>0?[1-9]|[12]\d|3[01])", "year": r"(?P<year>20\d\d)"}
    compiled: list[tuple[re.Pattern[str], str, Mapping[str, int]]] = []
    for pattern, resolver, fixed in words.patterns:
        for name, group in groups.items():
            pattern = pattern.replace("{" + name + "}", group)
        compiled.append((re.compile(rf"(?<![\w.])(?:{pattern})(?!\w)", re.IGNORECASE), resolver, fixed))
    return compiled
