"""Splits text into words and exact tokens: numbers, addresses, file names. Pure, and independent of the locale.

`INV-2026-0417` gives the words inv, 2026 and 0417 and the exact token inv-2026-0417: a search for the number finds it,
and so does a search for a part of it.

A term has at most `MAX_TERM_CHARS` characters, because an index entry is limited. A longer word or token is truncated,
and has a digest (`#…`) of the whole as another term; a longer word also has its prefixes (`abcdefghij*`), so that its
first characters find it.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Set
from itertools import chain
from typing import NamedTuple

from proofdesk.indexing import scripts

MAX_TERM_CHARS = 80  # terms of texts and of queries are truncated alike
_PREFIX_LENGTHS = (40, 20, 10)  # of the prefixes of a word longer than a term
_MAX_MARKS = 30  # combining marks in a row that are kept, as in the stream-safe format of UAX #15

_JOINED_LETTER = rf"[^\W_{scripts.UNSPACED}]"
_WORD = re.compile(
    rf"(?P<run>[{scripts.UNSPACED}]++(?:[{scripts.MARKS}]++[{scripts.UNSPACED}]*+)*+)"
    rf"|(?P<word>{_JOINED_LETTER}++(?:[{scripts.MARKS}]++{_JOINED_LETTER}*+)*+(?:['’ʼ][^\W\d_{scripts.UNSPACED}]+)?)"
    rf"|(?P<emoji>{scripts.FLAG}|[{scripts.EMOJI}])[{scripts.TONES}]*+"
)
_UNSPACED = re.compile(f"[{scripts.UNSPACED}]")
_ASCII_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
# Translating all other characters to spaces takes a quarter of the time of matching words.
_ASCII_WORDS = {n: chr(n).lower() if chr(n).isalnum() or chr(n) == "'" else " " for n in range(128)}
# Possessive, and anchored at the start of a run: otherwise a long run without a joint takes quadratic time.
_EXACT = re.compile(
    rf"(?<![^\W{scripts.UNSPACED}])(?<![.@+-])[^\W{scripts.UNSPACED}]++(?:[-.@+][^\W{scripts.UNSPACED}]++)+"
    rf"|(?<![^\W_{scripts.UNSPACED}])[^\W_{scripts.UNSPACED}]++(?:_[^\W_{scripts.UNSPACED}]++)+"
)
_JOINED = re.compile(r"[-.@+_]\w")
_LONG = re.compile(rf"(?<![^\W_{scripts.UNSPACED}])[^\W_{scripts.UNSPACED}]{{{MAX_TERM_CHARS + 1},}}+")
_MARKS = re.compile(rf"[^\w\s\x00-\x7f]{{{_MAX_MARKS + 1},}}")  # a run that may contain so many combining marks
_PHONE = re.compile(r"(?<![\w-])\+?\(?\d[\d\s().-]{5,20}\d(?![\w-])")
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff\0"))
_PLAIN = str.maketrans({"ё": "е", "ß": "ss", "ς": "σ", "ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i"})
_SPELLED_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
_EXACT_SIGN = re.compile(r"[-.@+_#*]")
_MIN_PHONE_DIGITS = 7  # digits
_MIN_ELIDED_CHARS = 3  # "l'adresse" has two words; the ends of "don't" and "we'll" are no words


class LocatedWord(NamedTuple):
    """A word in lower case with its position. `forms` are its terms: the word, or a pair of letters of a script
    without spaces.

    A word longer than a term has the position of its first `MAX_TERM_CHARS` characters.
    """

    forms: tuple[str, ...]
    start: int
    end: int


def clean(text: str) -> str:
    """Return text in composed form (NFC), without characters that are invisible or cannot be stored."""
    if text.isascii() and "\0" not in text:
        return text
    visible = text.encode("utf-8", "ignore").decode().translate(_INVISIBLE)
    # Normalization takes quadratic time in the number of consecutive marks.
    return unicodedata.normalize("NFC", _MARKS.sub(lambda run: _limit_marks(run.group()), visible))


def words(text: str) -> list[str]:
    """Return the words of a cleaned text in lower case, in order, with the accents that stemmers need."""
    if not text.isascii():
        return [form for word in _locate(text.lower()) for form in word.forms]
    runs = text.translate(_ASCII_WORDS).split()
    if "'" not in text:
        return [word[:MAX_TERM_CHARS] for word in runs] if _may_have_long_words(text) else runs
    return [part for run in runs for part in (_split_apostrophes(run) if "'" in run else (run[:MAX_TERM_CHARS],))]


def letters(text: str) -> list[str]:
    """Return the letters of a cleaned text in scripts without spaces, where a word may be one letter.

    A letter that stands alone is one of the `words`.
    """
    if text.isascii() or not _UNSPACED.search(text):
        return []
    return [form for run in _runs(text.lower()) if len(forms := _normalized_letters(run)) > 1 for form in forms]


def find_words(text: str, terms: Set[str]) -> Iterator[LocatedWord]:
    """Yield the words of a cleaned text that have one of the terms, with their positions, in any order."""
    if text.isascii() and "'" not in text:
        yield from _find_ascii_words(text.lower(), terms)
    else:
        yield from (word for word in _locate(text, with_letters=True) if not terms.isdisjoint(word.forms))


def exact_tokens(text: str) -> list[str]:
    """Return the numbers with dashes, addresses, domains, file names and telephone numbers of a cleaned text.

    Words too long for a term add their digests and prefixes.
    """
    lowered = scripts.to_narrow_forms(text.lower())
    # Searching a joint first takes a thirtieth of the time, and most texts have none.
    joined = _EXACT.findall(lowered) if _JOINED.search(lowered) else ()
    tokens = [form for token in joined for form in (*_spellings(token), *_digest_term(token))]
    if _may_have_long_words(lowered):
        tokens += [form for word in _LONG.findall(lowered) for form in (*_digest_term(word), *_prefix_terms(word))]
    return tokens + [token for match in _PHONE.findall(lowered) for token in phone_tokens(match)]


def find_exact_tokens(text: str, terms: Set[str]) -> Iterator[LocatedWord]:
    """Yield the exact tokens of a cleaned text that have one of the terms, with their positions."""
    text = scripts.to_narrow_forms(text)
    long = (
        LocatedWord(_prefix_terms(match.group().lower()), match.start(), match.start() + MAX_TERM_CHARS)
        for match in _LONG.finditer(text)
    )
    return (word for word in chain(locate_exact_tokens(text), long) if not terms.isdisjoint(word.forms))


def locate_exact_tokens(text: str) -> Iterator[LocatedWord]:
    """Yield the exact tokens of a cleaned text with their positions."""
    text = scripts.to_narrow_forms(text)
    for match in _EXACT.finditer(text):
        token = match.group().lower()
        yield LocatedWord(_spellings(token), match.start(), min(match.end(), match.start() + MAX_TERM_CHARS))
        if len(token) > MAX_TERM_CHARS:
            yield LocatedWord(_digest_term(token), match.start(), match.start() + MAX_TERM_CHARS)
    for match in _LONG.finditer(text):
        yield LocatedWord(_digest_term(match.group().lower()), match.start(), match.start() + MAX_TERM_CHARS)
    for match in _PHONE.finditer(text):
        yield LocatedWord(phone_tokens(match.group()), match.start(), match.end())


def phone_tokens(text: str) -> tuple[str, ...]:
    """Return the terms of a telephone number: all digits, and those without the prefixes of country and city."""
    digits = "".join(re.findall(r"\d", text))
    if not _MIN_PHONE_DIGITS <= len(digits) <= 15:
        return ()
    return tuple(dict.fromkeys((digits, digits[-10:], digits[-_MIN_PHONE_DIGITS:])))


def prefix_term(word: str) -> tuple[str, ...]:
    """Return the term that finds long words beginning with a word in lower case; none when the word is short."""
    lengths = (length for length in _PREFIX_LENGTHS if length <= len(word))
    return tuple(f"{fold(word)[:length]}*" for length in lengths)[:1]


def fold(word: str) -> str:
    """Return a word without accents: é is e, ё is е, ß is ss; й stays й."""
    if word.isascii():
        return word
    kept: list[str] = []
    for char in unicodedata.normalize("NFD", word.translate(_PLAIN)):
        if not (unicodedata.combining(char) and kept and kept[-1] < "\u0400"):
            kept.append(char)
    return unicodedata.normalize("NFC", "".join(kept))


def spell_out(word: str) -> str:
    """Return a word in lower case with umlauts as two letters: ü is ue."""
    return word if word.isascii() else word.translate(_SPELLED_OUT)


def is_exact_token(term: str) -> bool:
    """Return whether a term is an exact token, not a word."""
    return bool(_EXACT_SIGN.search(term)) or (term.isdigit() and len(term) >= _MIN_PHONE_DIGITS)


def _find_ascii_words(text: str, terms: Set[str]) -> Iterator[LocatedWord]:
    # Searching each term takes a quarter of the time of tokenizing the text.
    for word in terms:
        start = text.find(word)
        while start >= 0:
            end = start + len(word)
            # A term of the maximal length is a truncated word.
            continues = len(word) < MAX_TERM_CHARS and text[end : end + 1].isalnum()
            if not (text[start - 1 : start].isalnum() or continues):
                yield LocatedWord((word,), start, end)
            start = text.find(word, end)


def _locate(text: str, *, with_letters: bool = False) -> Iterator[LocatedWord]:
    for match in _WORD.finditer(scripts.to_narrow_forms(text)):
        matched = match.group()
        if match.lastgroup == "run":
            yield from _pairs(matched, match.start(), with_letters)
        elif match.lastgroup == "word":
            if word := _lower(matched):
                yield LocatedWord(_parts(word), match.start(), min(match.end(), match.start() + MAX_TERM_CHARS))
        else:
            yield LocatedWord((match["emoji"],), match.start(), match.end())


def _pairs(run: str, start: int, with_letters: bool) -> Iterator[LocatedWord]:
    """Yield the words of a script without spaces: each pair of letters, with their marks, is a word."""
    letters, forms = scripts.split_clusters(run), _normalized_letters(run)
    for at, letter in enumerate(letters):
        end = start + len(letter)
        if with_letters or len(letters) == 1:
            yield LocatedWord((forms[at],), start, end)
        if at + 1 < len(letters):
            yield LocatedWord((forms[at] + forms[at + 1],), start, end + len(letters[at + 1]))
        start = end


def _runs(text: str) -> Iterator[str]:
    return (match.group() for match in _WORD.finditer(scripts.to_narrow_forms(text)) if match.lastgroup == "run")


def _normalized_letters(run: str) -> list[str]:
    """Return the normalized letters of a run; a pair of them fits into a term."""
    letters = scripts.split_clusters(run)
    if unicodedata.is_normalized("NFKC", run) and max(map(len, letters)) <= MAX_TERM_CHARS // 2:
        return letters
    return [scripts.normalize_word(letter)[: MAX_TERM_CHARS // 2] for letter in letters]


def _spellings(token: str) -> tuple[str, ...]:
    token = fold(token)[:MAX_TERM_CHARS]
    if "@" in token:
        return token, token.rpartition("@")[2]
    # A dash between letters joins words: check-in is no exact token.
    if any(c.isdigit() for c in token) or "." in token.rstrip(".") or "_" in token:
        return (token,)
    return ()


def _may_have_long_words(text: str) -> bool:
    return len(text) > MAX_TERM_CHARS and max(map(len, text.split()), default=0) > MAX_TERM_CHARS


def _digest_term(word: str) -> tuple[str, ...]:
    """Return the digest of a word or token that is longer than a term."""
    if len(word) <= MAX_TERM_CHARS:
        return ()
    return ("#" + hashlib.blake2b(fold(word).encode(), digest_size=12).hexdigest(),)


def _prefix_terms(word: str) -> tuple[str, ...]:
    folded = fold(word[:MAX_TERM_CHARS])
    return tuple(f"{folded[:length]}*" for length in _PREFIX_LENGTHS)


def _limit_marks(run: str) -> str:
    kept, marks = list[str](), 0
    for char in run:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks <= _MAX_MARKS:
            kept.append(char)
    return "".join(kept)


def _lower(word: str) -> str:
    return scripts.normalize_word(word).replace("’", "'").replace("ʼ", "'")


def _split_apostrophes(run: str) -> list[str]:
    return [part for word in _ASCII_WORD.findall(run) for part in _parts(word)]


def _parts(word: str) -> tuple[str, ...]:
    if "'" not in word:
        return (word[:MAX_TERM_CHARS],)
    head, _, tail = word.partition("'")
    return (
        (head[:MAX_TERM_CHARS], tail[:MAX_TERM_CHARS]) if len(tail) >= _MIN_ELIDED_CHARS else (head[:MAX_TERM_CHARS],)
    )
