"""Find dates in a text of English, German, Russian or Spanish, resolved against the day it was written. Pure."""

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import NamedTuple

_MONTHS = (
    "jan|january|jänner|januar|enero|янв",
    "feb|february|februar|febrero|фев",
    "mar|march|märz|mrz|marzo|мар",
    "apr|april|abril|апр",
    "may|mai|mayo|мая|май",
    "jun|june|juni|junio|июн",
    "jul|july|juli|julio|июл",
    "aug|august|agosto|авг",
    "sep|sept|september|septiembre|сен",
    "oct|okt|october|oktober|octubre|окт",
    "nov|november|noviembre|ноя",
    "dec|dez|dic|december|dezember|diciembre|дек",
)
_WEEKDAYS = (
    "monday|mon|montag|montags|lunes|понедельник|понедельника|понедельнику",
    "tuesday|tue|dienstag|dienstags|martes|вторник|вторника|вторнику",
    "wednesday|wed|mittwoch|mittwochs|miércoles|среда|среду|среды|среде",
    "thursday|thu|donnerstag|donnerstags|jueves|четверг|четверга|четвергу",
    "friday|fri|freitag|freitags|viernes|пятница|пятницу|пятницы|пятнице",
    "saturday|sat|samstag|samstags|sonnabend|sábado|суббота|субботу|субботы|субботе",
    "sunday|sun|sonntag|sonntags|domingo|воскресенье|воскресенья|воскресенью",
)
_RELATIVE = {
    "today": 0, "tonight": 0, "heute": 0, "hoy": 0, "сегодня": 0,
    "tomorrow": 1, "morgen": 1, "mañana": 1, "завтра": 1,
    "yesterday": -1, "gestern": -1, "ayer": -1, "вчера": -1,
    "übermorgen": 2, "послезавтра": 2,
}  # fmt: skip
_DAY_OF = {name: number for number, names in enumerate(_WEEKDAYS) for name in names.split("|")}
_NAME_MONTH = rf"(?P<month>(?:{'|'.join(_MONTHS)})(?:[а-я]+)?)\b\.?"
_YEAR = r"(?:,?\s+(?:de\s+|del\s+)?(?P<year>(?:19|20)\d\d)\b)?"
_DAY = r"(?<![\d.,:/-])(?P<day>0?[1-9]|[12]\d|3[01])"


class DateMention(NamedTuple):
    """A date in a text: where it stands, and the days that it may mean."""

    start: int
    end: int
    days: frozenset[date]


def find_dates(text: str, written: date) -> list[DateMention]:
    """Return the dates of a text in order. A day without a year or month is near the day it was written."""
    lowered = text.lower()
    mentions: list[DateMention] = []
    taken: list[tuple[int, int]] = []
    for pattern, resolve in _FORMS:
        for match in pattern.finditer(lowered):
            if any(match.start() < end and start < match.end() for start, end in taken):
                continue
            if days := frozenset(resolve(match, written)):
                taken.append(match.span())
                mentions.append(DateMention(*match.span(), days))
    return sorted(mentions)


def _iso(match: re.Match[str], written: date) -> Iterator[date]:
    yield from _day(int(match["year"]), int(match["month"]), int(match["day"]))


def _numeric(match: re.Match[str], written: date) -> Iterator[date]:
    day, month, year = int(match["day"]), int(match["month"]), match["year"]
    for month_number, day_number in {(month, day), (day, month) if match["sign"] == "/" else (month, day)}:
        yield from _near(month_number, day_number, year, written)


def _named(match: re.Match[str], written: date) -> Iterator[date]:
    month = _month_number(match["month"])
    yield from _near(month, int(match["day"]), match["year"], written)


def _day_of_month(match: re.Match[str], written: date) -> Iterator[date]:
    day = int(next(value for name in ("day", "day2", "day3", "day4") if (value := match[name])))
    for months in (-1, 0, 1):
        index = written.year * 12 + written.month - 1 + months
        yield from (d for d in _day(index // 12, index % 12 + 1, day) if -21 <= (d - written).days <= 40)


def _weekday(match: re.Match[str], written: date) -> Iterator[date]:
    # "Friday" said on a Friday may mean either, and a report of the past week means the one before.
    ahead = (_DAY_OF[match["weekday"]] - written.weekday()) % 7
    yield from (written + timedelta(ahead + weeks) for weeks in (-7, 0, 7))


def _relative(match: re.Match[str], written: date) -> Iterator[date]:
    yield written + timedelta(_RELATIVE[match["word"]])


_Resolver = Callable[[re.Match[str], date], Iterator[date]]
_FORMS: tuple[tuple[re.Pattern[str], _Resolver], ...] = (
    (re.compile(r"(?<!\d)(?P<year>(?:19|20)\d\d)-(?P<month>\d\d)-(?P<day>\d\d)(?!\d)"), _iso),
    (re.compile(rf"{_DAY}(?:st|nd|rd|th|-?го|-?е|\.)?(?:\s+(?:of|de))?\s+{_NAME_MONTH}{_YEAR}"), _named),
    (
        re.compile(rf"\b{_NAME_MONTH}\s+(?:the\s+)?(?P<day>0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?(?![\d:]){_YEAR}"),
        _named,
    ),
    (
        re.compile(
            rf"{_DAY}(?P<sign>[./])\s?(?P<month>0?[1-9]|1[0-2]|[12]\d|3[01])(?!\d)(?:(?P=sign)\s?(?P<year>(?:20)?\d\d)\b)?"
            r"(?![.,]?\d|\s?[%€$£₽])"
        ),
        _numeric,
    ),
    (
        re.compile(
            rf"(?:\bthe\s+{_DAY}(?:st|nd|rd|th)|\b(?:am|zum|bis|vom|der|den|dem)\s+(?P<day2>0?[1-9]|[12]\d|3[01])\.(?!\s?\d)"
            rf"|(?<!\d)(?P<day3>0?[1-9]|[12]\d|3[01])-?(?:го|е|му)\b|\b(?:día|el)\s+(?P<day4>0?[1-9]|[12]\d|3[01])\b(?![.,:]\d))"
        ),
        _day_of_month,
    ),
    (re.compile(rf"\b(?P<weekday>{'|'.join(_DAY_OF)})\b"), _weekday),
    (re.compile(rf"\b(?P<word>{'|'.join(_RELATIVE)})\b"), _relative),
)


def _near(month: int, day: int, year: str | None, written: date) -> Iterator[date]:
    """Yield the day of that year, or of the year in which it is nearest to the day it was written."""
    if year:
        yield from _day(int(year) + (2000 if len(year) == 2 else 0), month, day)
        return
    candidates = [d for y in (written.year - 1, written.year, written.year + 1) for d in _day(y, month, day)]
    if candidates:
        yield min(candidates, key=lambda d: abs((d - written).days))


def _day(year: int, month: int, day: int) -> Iterator[date]:
    try:
        yield date(year, month, day)
    except ValueError:
        return


def _month_number(name: str) -> int:
    for number, names in enumerate(_MONTHS, 1):
        alternatives = names.split("|")
        if name in alternatives or (
            name[:3] > "\u0400" and name.startswith(tuple(a for a in alternatives if a > "\u0400"))
        ):
            return number
    raise ValueError(name)
