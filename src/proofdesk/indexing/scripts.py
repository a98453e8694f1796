"""Unicode data for the tokenizer: marks, scripts without spaces, emoji, and variants of letters. Pure.

Patterns are fragments of character classes. No function changes the length of a text, except `normalize_word`.
"""

import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator


def _class_of(codes: Iterable[int]) -> str:
    """Return ascending code points as the ranges of a character class."""
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


def _of_category(first: int, last: int, categories: str) -> Iterator[int]:
    return (code for code in range(first, last + 1) if unicodedata.category(chr(code))[0] in categories)


# Combining marks belong to the letter before them, as in grapheme clusters (UAX #29); so does the Thai sara am.
MARKS = _class_of(_of_category(0, sys.maxunicode, "M")) + "\u0e33\u0eb3"
_CJK = (
    "\u3005-\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U000323af"
)
_WITHOUT_SPACES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0xA980, 0xA9FF),  # Javanese, more Burmese
    (0xAA60, 0xAADF),  # more Burmese, Tai Viet
)
UNSPACED = _CJK + "".join(_class_of(_of_category(first, last, "LM")) for first, last in _WITHOUT_SPACES)
EMOJI = (
    "\u231a-\u231b\u23e9-\u23fa\u25fb-\u25fe\u2600-\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55"
    "\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff"
)
FLAG = "[\U0001f1e6-\U0001f1ff]{2}"
TONES = "\ufe0e\ufe0f\U0001f3fb-\U0001f3ff"  # presentation and skin tone: 👍🏽 is 👍

_CLUSTER = re.compile(rf"[^{MARKS}][{MARKS}]*+|[{MARKS}]++")
_MARK = re.compile(f"[{MARKS}]")


def _narrow_forms() -> dict[str, str]:
    digits = {chr(n): str(unicodedata.decimal(chr(n))) for n in _of_category(128, 0xFFFF, "N") if chr(n).isdecimal()}
    halves = ((chr(n), unicodedata.normalize("NFKC", chr(n))) for n in range(0xFF01, 0xFFEF))
    return digits | {char: form for char, form in halves if form != char and len(form) == 1}


_NARROW = _narrow_forms()
_NOT_NARROW = re.compile(f"[{_class_of(sorted(map(ord, _NARROW)))}]")
_NARROWED = str.maketrans(_NARROW)

# Vowel signs of Arabic and Hebrew, which most texts omit, the tatweel of Arabic, and variation selectors.
_UNWRITTEN = dict.fromkeys(
    [
        *(n for first, last in ((0x0591, 0x06ED), (0x08CA, 0x08FF)) for n in _of_category(first, last, "M")),
        0x0640,
        0x20E3,  # keycap of a digit
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    ]
)
# As Lucene normalizes Arabic and Persian: forms of alef, of the last letter, of kaf and yeh.
_ARABIC = str.maketrans("أإآٱىةیک", "اااايهيك")
_REWRITTEN = {**_UNWRITTEN, **_ARABIC}


def to_narrow_forms(text: str) -> str:
    """Return a text with full-width letters as ASCII, half-width kana as full-width ones, and all digits as 0 to 9.

    Every character keeps its position.
    """
    return text.translate(_NARROWED) if not text.isascii() and _NOT_NARROW.search(text) else text


def normalize_word(word: str) -> str:
    """Return a word in lower case and NFKC, without vowel signs and with one form of each letter."""
    word = word.lower()
    if word.isascii():
        return word
    if not unicodedata.is_normalized("NFKC", word):
        word = unicodedata.normalize("NFKC", word).lower()
    return word.translate(_REWRITTEN) if max(word) >= "\u0590" else word


def split_clusters(run: str) -> list[str]:
    """Return the letters of a run, each with its marks."""
    return _CLUSTER.findall(run) if _MARK.search(run) else list(run)
