"""The part of a text that shows why it was found. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from proofdesk.indexing import tokenizer
from proofdesk.indexing.tokenizer import Word
from proofdesk.search.keyword import MatchWeights

SNIPPET_LENGTH = 300  # characters, marks not counted
_LEAD = 60  # characters before the first match
_TELLING = 0.4  # words worth less than this part of the best match are not marked: "the", "is"


@dataclass(frozen=True)
class Snippet:
    """Part of a text, and the same with `[[`…`]]` around what matches."""

    plain: str
    marked: str


class _Match(NamedTuple):
    start: int
    end: int
    word: int
    worth: float


def make_snippet(text: str, surfaces: MatchWeights, tokens: MatchWeights) -> Snippet:
    """At most 300 characters of a cleaned text where most of what was asked for stands together.

    `surfaces` are the matching words as they stand in the text, `tokens` the exact ones, each with the word of the
    question it answers and its worth.
    """
    # Brackets of the text itself must not be taken for marks.
    text = " ".join(text.split()).replace("[[", "[ [").replace("]]", "] ]")
    matches = _telling(_matches(text, surfaces, tokens))
    start, end = _window(text, matches)
    inside = [m for m in matches if m.start >= start and m.end <= end]
    before, after = "…" if start else "", "…" if end < len(text) else ""
    return Snippet(before + text[start:end] + after, before + _marked(text, start, end, inside) + after)


def match_weight(said: Sequence[str], exact: Sequence[str], surfaces: MatchWeights, tokens: MatchWeights) -> float:
    """What the words of the question among those of a text are worth together, each counted once."""
    found: dict[int, float] = {}
    for those, known in ((said, surfaces), (exact, tokens)):
        for number, value in [known[word] for word in those if word in known]:
            if value > found.get(number, 0.0):
                found[number] = value
    return sum(found.values())


def _matches(text: str, surfaces: MatchWeights, tokens: MatchWeights) -> list[_Match]:
    exact: list[_Match] = []
    for match in _answers(tokenizer.located_exact(text, tokens.keys()) if tokens else (), tokens):
        if not _overlaps(match, exact):
            exact.append(match)
    said = _answers(tokenizer.located(text, surfaces.keys()) if surfaces else (), surfaces)
    return sorted(exact + [match for match in said if not _overlaps(match, exact)])


def _answers(located: Iterable[Word], known: MatchWeights) -> Iterator[_Match]:
    for word in located:
        number, value = max((known[form] for form in word.forms if form in known), key=lambda answer: answer[1])
        if value:
            yield _Match(word.start, word.end, number, value)


def _overlaps(match: _Match, others: list[_Match]) -> bool:
    return any(one.start < match.end and match.start < one.end for one in others)


def _telling(matches: list[_Match]) -> list[_Match]:
    most = max((m.worth for m in matches), default=0.0)
    return [m for m in matches if m.worth >= _TELLING * most]


def _window(text: str, matches: list[_Match]) -> tuple[int, int]:
    if len(text) <= SNIPPET_LENGTH:
        return 0, len(text)

    def gain(first: _Match) -> float:
        limit = max(0, first.start - _LEAD) + SNIPPET_LENGTH
        return sum({m.word: m.worth for m in matches if first.start <= m.start and m.end <= limit}.values())

    at = max(matches, key=gain).start if matches else 0
    start = max(0, min(at - _LEAD, len(text) - SNIPPET_LENGTH))
    end = start + SNIPPET_LENGTH
    return _at_word(text, start, at), _back_to_word(text, end)


def _at_word(text: str, start: int, at: int) -> int:
    space = text.find(" ", start, at)
    return start if start == 0 or space < 0 else space + 1


def _back_to_word(text: str, end: int) -> int:
    space = text.rfind(" ", end - 40, end)
    return end if end >= len(text) or space < 0 else space


def _marked(text: str, start: int, end: int, matches: list[_Match]) -> str:
    parts, at = [], start
    for match in matches:
        begin = max(at, match.start)  # pairs of letters overlap
        parts += [text[at:begin], "[[", text[begin : match.end], "]]"]
        at = max(at, match.end)
    return "".join([*parts, text[at:end]]).replace("]][[", "")
