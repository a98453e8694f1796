"""Values in a text: dates, amounts, numbers and proper names. Pure."""

import re
from collections.abc import Set
from datetime import date

from proofdesk.answers.dates import find_dates
from proofdesk.answers.questions import ExpectedValue

_CURRENCY = (
    r"(?:[€$£₽₴¥]|\b(?:eur|usd|gbp|chf|cop|euros?|dollars?|pounds?|roubles?|rubel|franken|руб\w*|евро|pesos?)\b)"
)
_NUMBER = re.compile(r"\d+(?:[.,\u00a0\u202f\u2009' ](?=\d{3}(?!\d))\d{3})*(?:[.,:]\d+)?")
_AMOUNT = re.compile(
    rf"{_CURRENCY}\s?\d|\d\s?(?:k\s?)?{_CURRENCY}|\b(?:free|no charge|kostenlos|gratis|бесплатно)\b", re.IGNORECASE
)
_COUNT_WORD = re.compile(
    r"\b(?:two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|forty|fifty|zwei|drei|vier|fünf"
    r"|sechs|sieben|acht"
    r"|neun|zehn|zwölf|zwanzig|dreißig|vierzig|два|две|три|четыре|пять|шесть|семь|восемь|девять|десять|двадцать|сорок"
    r"|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|veinte|treinta|cuarenta)\b",
    re.IGNORECASE,
)
_TIME = re.compile(r"\b\d{1,2}[:.]\d\d\b|\b\d{1,2}\s?(?:a\.?m\.?|p\.?m\.?|uhr|час\w*)\b", re.IGNORECASE)
_DURATION = re.compile(
    r"\b(?:kw|week|woche|недел\w+|semana)s?\s?\d{1,2}\b|\b(?:weekend|wochenende|выходны\w*|fin de semana"
    r"|this week|next week|end of (?:the |next )?\w+"
    r"|ende (?:der|des|nächste\w*|\w+)|nächste\w* woche|diese\w* woche|на (?:этой|следующей) неделе|(?:в "
    r"|до )?конц[ае] \w+|esta semana"
    r"|próxima semana|semana que viene|fin(?:ales)? de \w+|mid-?\w+|mitte \w+|mediados de \w+|noon|mittag"
    r"|обед\w*|mediodía)\b",
    re.IGNORECASE,
)
_PROPER = re.compile(r"[^\W\d_][\w'’-]+")


def has_value(kind: ExpectedValue, text: str, written: date) -> bool:
    """Return whether a text holds a value of the kind that a question asks for."""
    match kind:
        case "date":
            return bool(find_dates(text, written) or _TIME.search(text) or _DURATION.search(text))
        case "amount":
            return _AMOUNT.search(text) is not None
        case "number":
            return _NUMBER.search(text) is not None or _COUNT_WORD.search(text) is not None
        case "person":
            return bool(proper_names(text))


def numbers(text: str) -> set[str]:
    """Return the numbers of a text, without separators of thousands: "48,212" and "48 212" are 48212."""
    return {normalize_number(match.group()) for match in _NUMBER.finditer(text)}


def normalize_number(text: str) -> str:
    """Return a number with `.` for its decimals and nothing between thousands."""
    plain = re.sub(r"[.,'\u00a0\u202f\u2009 ](?=\d{3}(?!\d))", "", text).replace(",", ".").replace(":", ".")
    return plain.lstrip("0") or "0"


def proper_names(text: str) -> Set[str]:
    """Return the capitalized words of a text that do not begin a sentence."""
    found: set[str] = set()
    for match in _PROPER.finditer(text):
        before = text[: match.start()].rstrip(" \t\"'«»„“”‘’(*_-–—")
        starts = not before or before[-1] in ".!?:;\n…"
        if match.group()[0].isupper() and not starts:
            found.add(match.group().removesuffix("'s").removesuffix("’s"))
    return found
