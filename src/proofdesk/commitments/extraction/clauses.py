"""Splits a message into sentences and a sentence into clauses. Pure; every clause is a substring of the text."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from proofdesk.commitments.extraction.grammar import Grammar
from proofdesk.core.quotes import split_quotes
from proofdesk.indexing.chunking.sentences import split_sentences

MAX_SENTENCE = 600  # a longer one is no sentence
_PUNCTUATION = re.compile(r"\s*(?:[,;:.!?…]\s+|\s[–—-]\s)")
_AFTER_NUMBER = re.compile(r"(?:(?<=\d)|(?<=[ap]\.m))[.]\s+(?=[A-ZА-ЯЁ¿¡])")
_TAG_QUESTION = re.compile(
    r",\s*(?:ok|okay|right|ja|gell|oder|passt|passt das|vale|sí|no|verdad|ок|да|хорошо|ладно)\s?\?\s*$", re.IGNORECASE
)
_MAX_LEAD_WORDS = 3
_SPEECH = re.compile(r'"[^"\n]{3,}"|“[^”\n]{3,}”|„[^“”\n]{3,}[“”]|«[^»\n]{3,}»|\([^()\n]{1,60}\)')
_SIGNATURE = re.compile(r"\n--\s*\n[\s\S]*\Z")
_MARKED = re.compile(r"^\s*>.*$", re.MULTILINE)
_ELLIPTIC_QUESTION = re.compile(r"[?？]")


@dataclass(frozen=True)
class Clause:
    """A clause of a sentence. `continues` tells that its subject is that of the clause before it."""

    text: str
    start: int
    end: int
    continues: bool = False


def own_sentences(text: str, grammar: Grammar) -> Iterator[str]:
    """Yield the sentences that the sender of a message wrote, without quoted mail and signature."""
    own = _MARKED.sub("", _SIGNATURE.sub("", split_quotes(text, lenient=True)[0]))
    for sentence in split_sentences(own):
        for part in _split_after_numbers(sentence, grammar):
            if 2 < len(part.strip()) <= MAX_SENTENCE:
                yield part.strip()


def _split_after_numbers(sentence: str, grammar: Grammar) -> Iterator[str]:
    """Split "from 10. We also": only the name of a month shows that the number is a day ("10. Mai")."""
    start = 0
    for match in _AFTER_NUMBER.finditer(sentence):
        word = sentence[match.end() :].split(maxsplit=1)[0].strip(".,!?").casefold()
        if not any(re.fullmatch(month, word) for month in grammar.dates.months):
            yield sentence[start : match.start() + 1]
            start = match.end()
    yield sentence[start:]


def split_clauses(sentence: str, grammar: Grammar, is_promise: Callable[[str], bool]) -> list[Clause]:
    """Return the clauses of a sentence.

    A comma or dash begins a clause where a new subject or conjunction follows, or where what follows is a promise by
    itself: "done by Friday, and the rest on Monday" has two, "Friday, 4 May" is none.
    """
    bounds = sorted(_boundaries(sentence, grammar, is_promise))
    starts = [(0, 0, False), *bounds]
    ends = [end for end, _, _ in bounds] + [len(sentence)]
    clauses = (
        _trimmed(sentence, start, end, continues) for (_, start, continues), end in zip(starts, ends, strict=True)
    )
    return [clause for clause in clauses if clause.text]


def is_question(sentence: str, clause: Clause) -> bool:
    """Return whether a clause asks. A short question at the end ("…, ok?") makes only itself a question."""
    if not _ELLIPTIC_QUESTION.search(sentence, clause.start):
        return False
    if _TAG_QUESTION.search(sentence):
        return False
    tail = sentence[clause.end :].strip(" ,;–—-?!").split()
    return not (clause.end < len(sentence.rstrip(" ?!)😊🙂")) and len(tail) <= 2)


def hide_speech(sentence: str) -> str:
    """Return the sentence with the words in quotation marks and brackets blanked: those of others, asides."""
    return _SPEECH.sub(lambda match: " " * len(match.group()), sentence)


def _boundaries(sentence: str, grammar: Grammar, is_promise: Callable[[str], bool]) -> Iterator[tuple[int, int, bool]]:
    """Yield where a clause ends, where the next one starts, and whether that continues the first."""
    for match in _PUNCTUATION.finditer(sentence):
        following = sentence[match.end() :]
        piece = _PUNCTUATION.split(following, maxsplit=1)[0]
        if "." in match.group() and not following[:1].isupper():
            continue
        lead = sentence[: match.start()]
        if "." not in match.group() and _is_lead(lead, grammar) and not is_promise(lead):
            continue
        if grammar.openers.match(following) or match.group().strip() == ";" or is_promise(piece):
            yield match.start(), match.end(), False
    for match in grammar.conjunctions.finditer(sentence):
        if not _PUNCTUATION.search(sentence, match.start() - 2, match.start() + 1):
            yield match.start(), match.end() if match.group(1) else match.start(), False
    for match in grammar.continuations.finditer(sentence):
        yield match.start(), match.end(), True


def _is_lead(text: str, grammar: Grammar) -> bool:
    """Return whether the beginning of a sentence is no clause: "Tomorrow, I'll …"."""
    return len(text.split()) <= _MAX_LEAD_WORDS and not (grammar.finite.search(text) or grammar.conditions.match(text))


def _trimmed(sentence: str, start: int, end: int, continues: bool) -> Clause:
    text = sentence[start:end]
    left, right = len(text) - len(text.lstrip(" ,;:–—-")), len(text.rstrip(" ,;:–—-"))
    if right <= left:
        return Clause("", start, start)
    return Clause(text[left:right], start + left, start + right, continues)
