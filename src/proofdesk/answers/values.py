"""Values in a text: dates, amounts, numbers and proper names. Pure."""

import re
from collections.abc import Set
from datetime import date

from proofdesk.answers import vocabulary
from proofdesk.answers.dates import find_dates
from proofdesk.answers.questions import ExpectedValue

_CURRENCY = (
    r"(?:[€$£₽₴¥]|\b(?:eur|usd|gbp|chf|cop|euros?|dollars?|pounds?|roubles?|rubel|franken|руб\w*|евро|pesos?)\b)"
)
_NUMBER = re.compile(r"\d+(?:[.,\u00a0\u202f\u2009' ](?=\d{3}(?!\d))\d{3})*(?:[.,:]\d+)?")
_AMOUNT = re.compile(
    rf"{_CURRENCY}\s?\d|\d\s?(?:k\s?)?{_CURRENCY}|\b(?:free|no charge|kostenlos|gratis|бесплатно)\b", re.IGNORECASE
)
_NUMBERS_IN_WORDS = {
    word: number
    for number, words in {
        "2": "two zwei два две двух dos", "3": "three drei три трех трёх tres", "4": "four vier четыре cuatro",
        "5": "five fünf пять cinco", "6": "six sechs шесть seis", "7": "seven sieben семь siete",
        "8": "eight acht восемь ocho", "9": "nine neun девять nueve", "10": "ten zehn десять diez",
        "11": "eleven elf одиннадцать once", "12": "twelve zwölf двенадцать doce",
        "15": "fifteen fünfzehn пятнадцать quince",
        "20": "twenty zwanzig двадцать veinte", "30": "thirty dreißig тридцать treinta",
        "40": "forty vierzig сорок cuarenta",
        "50": "fifty fünfzig пятьдесят cincuenta", "100": "hundred hundert сто cien",
    }.items()
    for word in words.split()
}  # fmt: skip
_COUNT_WORD = re.compile(rf"\b(?:{'|'.join(_NUMBERS_IN_WORDS)})\b", re.IGNORECASE)
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
_ADDRESSED = re.compile(r"^(?:[^\W\d_]+\s){0,3}[^\W\d_]+[,:!]\s")
_PERSON = re.compile(
    r"\b(?:boss|manager|director|owner|chair(?:man|woman)?|board|colleague|assistant|father|mother|brother|sister|son"
    r"|daughter|husband|wife|partner|lawyer|notary|accountant|vp|ceo|cfo|doorman|neighbou?r|trustees|myself"
    r"|chef\w*|leiter\w*|direktor\w*|vorsitzende\w*|vorstand|kolleg\w+|vater|mutter|bruder|schwester|sohn|tochter|mann"
    r"|frau|anwalt|notar\w*|selbst|директор\w*|начальник\w*|коллег\w+|бухгалтер\w*|юрист\w*|отец|мать|брат|сестра|сын"
    r"|дочь|муж|жена|сам|сама|jefe|jefa|director\w*|gerente|socio|socia|padre|madre|hermano|hermana|hijo|hija|esposo|esposa"
    r"|marido|mujer|abogad\w+|notario|doctor\w*|yo mismo|president\w+)\b",
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


def named_people(text: str) -> Set[str]:
    """Return who may be meant in a text, in lower case: names, also at its beginning, relations and roles, and "I".

    A name before a comma at the beginning is who is addressed.
    """
    body = _ADDRESSED.sub("", text)
    names = {name.lower() for name in proper_names(body)}
    # "Devin approved it" begins with a name, "Once the plates are cut" does not.
    words = _PROPER.findall(body)
    if len(words) > 1 and words[0][0].isupper() and not vocabulary.is_stop_word(words[1].lower()):
        names.add(words[0].lower())
    common = {name for name in names if vocabulary.is_common(name) or find_dates(name, date(2000, 1, 1))}
    return (names - common) | {match.group().lower() for match in _PERSON.finditer(body)}


def numbers(text: str) -> set[str]:
    """Return the numbers of a text, without separators of thousands: "48,212" and "48 212" are 48212."""
    return {normalize_number(match.group()) for match in _NUMBER.finditer(text)}


def number_words(text: str) -> set[str]:
    """Return the numbers from two that a text has in words."""
    return {_NUMBERS_IN_WORDS[match.group().lower()] for match in _COUNT_WORD.finditer(text)}


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
