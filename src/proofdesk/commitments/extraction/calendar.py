"""Resolves the parts of a date expression against the day on which a message was written. Pure.

Each resolver gets the named groups of a pattern, already turned into numbers, and the local date of the message. It
returns the due day, or None for a day that does not exist.
"""

from calendar import monthrange
from collections.abc import Callable, Mapping
from datetime import date, timedelta

Parts = Mapping[str, int]
Resolver = Callable[[Parts, date], date | None]

FRIDAY = 4
_PAST_DAYS = 60  # a named day this long ago was meant; an older one is next year's


def _full_date(parts: Parts, today: date) -> date | None:
    """Day and month, with or without the year."""
    if "year" in parts:
        year = parts["year"]
        return _day(year + 2000 if year < 100 else year, parts["month"], parts["day"])
    candidate = _day(today.year, parts["month"], parts["day"])
    if candidate is not None and (today - candidate).days > _PAST_DAYS:
        return _day(today.year + 1, parts["month"], parts["day"])
    return candidate


def _day_of_month(parts: Parts, today: date) -> date | None:
    """The next day with this number: "the 14th"."""
    for months in range(3):
        month = _first_of_month(today, months)
        candidate = _day(month.year, month.month, parts["day"])
        if candidate is not None and candidate >= today:
            return candidate
    return None


def _weekday(parts: Parts, today: date) -> date:
    """The next day with this name, after today."""
    return today + timedelta(days=(parts["weekday"] - today.weekday() - 1) % 7 + 1)


def _weekday_next_week(parts: Parts, today: date) -> date:
    return _monday(today, 1) + timedelta(days=parts["weekday"])


def _weekday_in_a_week(parts: Parts, today: date) -> date:
    """The day with this name a week after the coming one, which may be today: "Friday week"."""
    return today + timedelta(days=(parts["weekday"] - today.weekday()) % 7 + 7)


def _offset(parts: Parts, today: date) -> date:
    """A number of days, weeks or months from today; `unit` is 1, 7 or 30, and 0 for hours and minutes."""
    number, unit = parts.get("number", 1), parts["unit"]
    if unit == 30:
        month = _first_of_month(today, number)
        return month.replace(day=min(today.day, monthrange(month.year, month.month)[1]))
    return today + timedelta(days=min(number, 999) * unit)


def _working_days(parts: Parts, today: date) -> date:
    due, left = today, min(parts["number"], 250)
    while left > 0:
        due += timedelta(days=1)
        left -= due.weekday() <= FRIDAY
    return due


def _this_week(_parts: Parts, today: date) -> date:
    """The Friday of this week, or the day itself at the weekend."""
    return max(today, _monday(today) + timedelta(days=FRIDAY))


def _next_week(_parts: Parts, today: date) -> date:
    return _monday(today, 1) + timedelta(days=FRIDAY)


def _middle_of_next_week(_parts: Parts, today: date) -> date:
    return _monday(today, 1) + timedelta(days=2)


def _start_of_next_week(_parts: Parts, today: date) -> date:
    return _monday(today, 1)


def _weekend(_parts: Parts, today: date) -> date:
    """The last day of the weekend: "over the weekend"."""
    return _monday(today) + timedelta(days=6)


def _week_number(parts: Parts, today: date) -> date | None:
    try:
        due = date.fromisocalendar(today.year, parts["number"], FRIDAY + 1)
        return due if (today - due).days <= _PAST_DAYS else due.replace(year=due.year + 1)
    except ValueError:
        return None


def _end_of_month(parts: Parts, today: date) -> date:
    """The last day of a named month, of this one, or of a later one (`number`)."""
    month = _first_of_named_month(parts, today)
    return month.replace(day=monthrange(month.year, month.month)[1])


def _middle_of_month(parts: Parts, today: date) -> date:
    return _first_of_named_month(parts, today).replace(day=15)


def _start_of_month(parts: Parts, today: date) -> date:
    return _first_of_named_month(parts, today)


def _end_of_year(_parts: Parts, today: date) -> date:
    return date(today.year, 12, 31)


def _first_of_named_month(parts: Parts, today: date) -> date:
    if "month" not in parts:
        return _first_of_month(today, parts.get("number", 0))
    year = today.year + (parts["month"] < today.month)
    return date(year, parts["month"], 1)


def _first_of_month(today: date, months: int) -> date:
    count = today.year * 12 + today.month - 1 + min(months, 120)
    return date(count // 12, count % 12 + 1, 1)


def _monday(today: date, weeks: int = 0) -> date:
    return today - timedelta(days=today.weekday()) + timedelta(weeks=weeks)


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


RESOLVERS: Mapping[str, Resolver] = {
    "date": _full_date,
    "day": _day_of_month,
    "weekday": _weekday,
    "weekday next week": _weekday_next_week,
    "weekday in a week": _weekday_in_a_week,
    "offset": _offset,
    "working days": _working_days,
    "this week": _this_week,
    "next week": _next_week,
    "middle of next week": _middle_of_next_week,
    "start of next week": _start_of_next_week,
    "weekend": _weekend,
    "week number": _week_number,
    "end of month": _end_of_month,
    "middle of month": _middle_of_month,
    "start of month": _start_of_month,
    "end of year": _end_of_year,
}
