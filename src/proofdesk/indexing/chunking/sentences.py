"""Splits a long text at the ends of sentences. Pure; only white space at the splits is lost."""

import re
import unicodedata
from collections.abc import Iterator

# An end is punctuation with closing marks and white space, or a line break; in CJK no space follows. A match begins at
# the first of several dots only: otherwise a long row of them takes quadratic time.
_END = re.compile(r"""(?:(?<![.!?…])[.!?…]++(?:["'”’“)\]]|\s?»)*(?=\s)|[。！？]+[”』」）]*|\n)\s*""")
_WORD_BEFORE = re.compile(r"(\w+)\.$")
# A full stop after these ends no sentence, nor after one letter (z. B.) or the number of a day (3. Oktober).
_ABBREVIATIONS = frozenset(
    {
        *("dr", "mr", "mrs", "ms", "prof", "nr", "vs", "etc", "approx"),
        *("bzw", "vgl", "evtl", "ggf", "inkl", "zzgl", "usw", "tel", "hr", "mme", "mlle", "env"),
        *("ej", "sr", "sra", "srta", "dra", "ud", "uds", "pág", "ул", "руб", "тыс", "млн", "стр", "тел", "проф"),
    }
)
_DAYS = 31
_JOINERS = "\u200d\ufe0f\ufe0e"


def pack(text: str, size: int, *, shortest: int = 0, reserved: int = 0) -> list[str]:
    """Return pieces of at most `size` characters, in order; the first has `reserved` characters less.

    A sentence that does not fit is split between words, and a word that does not fit, between grapheme clusters. The
    last piece takes sentences of the one before, if possible, until it has `shortest` characters.
    """
    packed: list[list[str]] = [[]]
    room = size - reserved
    for sentence in _sentences(text.strip(), size, room):
        if packed[-1] and len(sentence.rstrip()) > room:
            packed.append([])
            room = size
        packed[-1].append(sentence)
        room -= len(sentence)
    _lengthen_last(packed, size, shortest)
    return [piece for units in packed if (piece := "".join(units).strip())]


def tail(text: str, size: int) -> str:
    """Return the end of a text, at most `size` characters, from the start of a sentence or else of a word."""
    if len(text) <= size:
        return text
    last = text[-size:]
    starts = [end.end() for end in _END.finditer(last) if end.end() < size]
    return last[starts[0] :] if starts else last.partition(" ")[2] or last


def split_sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a text with the white space after each: joined, they are the text."""
    start = 0
    for end in _END.finditer(text):
        if _is_end(text, end):
            yield text[start : end.end()]
            start = end.end()
    yield text[start:]


def _sentences(text: str, size: int, first: int) -> Iterator[str]:
    room = first
    for sentence in split_sentences(text):
        while len(sentence.rstrip()) > room:
            at = _break(sentence, room)
            yield sentence[:at]
            sentence, room = sentence[at:], size
        room = size
        if sentence:
            yield sentence


def _is_end(text: str, end: re.Match[str]) -> bool:
    if "\n" in end.group() or not end.group().startswith("."):
        return True
    word = _WORD_BEFORE.search(text[max(0, end.start() - 12) : end.start() + 1])
    before = word.group(1).lower() if word else ""
    is_short = (len(before) == 1 and before.isalpha()) or (before.isdecimal() and int(before) <= _DAYS)
    return not (is_short or before in _ABBREVIATIONS)


def _break(sentence: str, room: int) -> int:
    space = max(sentence.rfind(" ", 0, room + 1), sentence.rfind("\t", 0, room + 1))
    if space > room // 2:
        return space + 1
    at = room
    while at > max(1, room - 32) and _continues(sentence, at):
        at -= 1
    return at if at > 1 else room


def _continues(text: str, at: int) -> bool:
    # Marks, joined emoji and skin tones belong to the character before them.
    char, before = text[at], text[at - 1]
    return (
        unicodedata.category(char).startswith("M")
        or char in _JOINERS
        or before == "\u200d"
        or "\U0001f3fb" <= char <= "\U0001f3ff"
    )


def _lengthen_last(packed: list[list[str]], size: int, shortest: int) -> None:
    if len(packed) < 2:
        return
    before, last = packed[-2:]
    while sum(map(len, last)) < shortest and len(before) > 1 and sum(map(len, last)) + len(before[-1]) <= size:
        if sum(map(len, before[:-1])) < shortest:
            return
        last.insert(0, before.pop())
