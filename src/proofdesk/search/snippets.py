"""Cut the part of a text that shows why it is a hit, and mark what matches. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from proofdesk.indexing import tokenizer
from proofdesk.indexing.tokenizer import LocatedWord
from proofdesk.search.keyword import MatchWeights

SNIPPET_LENGTH = 300  # characters, marks not counted
_CHARACTERS_BEFORE = 60  # before the first match
_INFORMATIVE_SHARE = 0.4  # words with less than this share of the best weight are not marked: "the", "is"


@dataclass(frozen=True)
class Snippet:
    """Part of a text, and the same part with `[[`…`]]` around what matches."""

    plain: str
    marked: str


class _Match(NamedTuple):
    start: int
    end: int
    word: int
    weight: float


def make_snippet(text: str, words: MatchWeights, tokens: MatchWeights) -> Snippet:
    """Return at most 300 characters of a cleaned text, from where the matches have the most weight together.

    `words` are the matching words as they are written in the text, `tokens` the matching exact tokens.
    """
    # Brackets of the text itself must not be taken for marks.
    text = " ".join(text.split()).replace("[[", "[ [").replace("]]", "] ]")
    matches = _informative(_matches(text, words, tokens))
    start, end = _window(text, matches)
    inside = [m for m in matches if m.start >= start and m.end <= end]
    before, after = "…" if start else "", "…" if end < len(text) else ""
    return Snippet(before + text[start:end] + after, before + _marked(text, start, end, inside) + after)


def match_weight(
    text_words: Sequence[str], text_tokens: Sequence[str], words: MatchWeights, tokens: MatchWeights
) -> float:
    """Return the weight of the query words that a text holds. Each query word counts once."""
    best: dict[int, float] = {}
    for forms, weights in ((text_words, words), (text_tokens, tokens)):
        for number, weight in [weights[form] for form in forms if form in weights]:
            if weight > best.get(number, 0.0):
                best[number] = weight
    return sum(best.values())


def _matches(text: str, words: MatchWeights, tokens: MatchWeights) -> list[_Match]:
    exact: list[_Match] = []
    for match in _weighted(tokenizer.find_exact_tokens(text, tokens.keys()) if tokens else (), tokens):
        if not _overlaps(match, exact):
            exact.append(match)
    of_words = _weighted(tokenizer.find_words(text, words.keys()) if words else (), words)
    return sorted(exact + [match for match in of_words if not _overlaps(match, exact)])


def _weighted(located: Iterable[LocatedWord], weights: MatchWeights) -> Iterator[_Match]:
    for word in located:
        number, weight = max((weights[form] for form in word.forms if form in weights), key=lambda match: match[1])
        if weight:
            yield _Match(word.start, word.end, number, weight)


def _overlaps(match: _Match, others: list[_Match]) -> bool:
    return any(other.start < match.end and match.start < other.end for other in others)


def _informative(matches: list[_Match]) -> list[_Match]:
    max_weight = max((m.weight for m in matches), default=0.0)
    return [m for m in matches if m.weight >= _INFORMATIVE_SHARE * max_weight]


def _window(text: str, matches: list[_Match]) -> tuple[int, int]:
    if len(text) <= SNIPPET_LENGTH:
        return 0, len(text)

    def weight_from(first: _Match) -> float:
        limit = max(0, first.start - _CHARACTERS_BEFORE) + SNIPPET_LENGTH
        return sum({m.word: m.weight for m in matches if first.start <= m.start and m.end <= limit}.values())

    at = max(matches, key=weight_from).start if matches else 0
    start = max(0, min(at - _CHARACTERS_BEFORE, len(text) - SNIPPET_LENGTH))
    end = start + SNIPPET_LENGTH
    return _next_word(text, start, at), _previous_word(text, end)


def _next_word(text: str, start: int, at: int) -> int:
    space = text.find(" ", start, at)
    return start if start == 0 or space < 0 else space + 1


def _previous_word(text: str, end: int) -> int:
    space = text.rfind(" ", end - 40, end)
    return end if end >= len(text) or space < 0 else space


def _marked(text: str, start: int, end: int, matches: list[_Match]) -> str:
    parts, at = [], start
    for match in matches:
        begin = max(at, match.start)  # pairs of letters overlap
        parts += [text[at:begin], "[[", text[begin : match.end], "]]"]
        at = max(at, match.end)
    return "".join([*parts, text[at:end]]).replace("]][[", "")
