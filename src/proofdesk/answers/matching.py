"""Match the topic words of a question with the words of messages. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from proofdesk.answers import names, vocabulary
from proofdesk.answers.questions import Question, TopicWord, word_terms
from proofdesk.indexing import tokenizer
from proofdesk.indexing.terms import WHOLE

SAME_WORD, PART_OF_WORD, SAME_NOTION = 1.0, 0.8, 0.7
_MIN_PART = 5  # letters of a word inside another

_FEW, _RARE_SHARE = 3, 0.1

Frequencies = Mapping[str, int]
"""For each term, in how many conversations of the project it occurs; for `WHOLE`, the number of conversations."""

Matches = Mapping[int, float]
"""For each number of a topic word, how well it is matched, above 0 and at most 1."""


@dataclass
class Matcher:
    """Matches words with the topic words of one question; remembers words, since messages repeat them."""

    question: Question
    _known: dict[str, dict[int, float]] = field(default_factory=dict)

    def match(self, words: Iterable[str]) -> dict[int, float]:
        """Return the best match of each topic word among these words."""
        best: dict[int, float] = {}
        for word in words:
            for number, strength in self._match_word(word).items():
                best[number] = max(strength, best.get(number, 0.0))
        return best

    def _match_word(self, word: str) -> dict[int, float]:
        if word not in self._known:
            strengths = ((n, _strength(topic, word)) for n, topic in enumerate(self.question.words))
            self._known[word] = {number: strength for number, strength in strengths if strength}
        return self._known[word]


def merge(matches: Iterable[Matches]) -> dict[int, float]:
    """Return the best match of each topic word in several texts."""
    best: dict[int, float] = {}
    for text in matches:
        for number, strength in text.items():
            best[number] = max(strength, best.get(number, 0.0))
    return best


def count_conversations(topic: TopicWord, frequencies: Frequencies) -> int:
    """Return in how many conversations of the project a topic word occurs."""
    return max((frequencies.get(term, 0) for term in topic.terms), default=0)


def weigh_words(question: Question, frequencies: Frequencies) -> list[float]:
    """Return the weight of each topic word: high for a word that few conversations of the project hold."""
    total = frequencies.get(WHOLE, 0)
    # A word that none holds weighs as a rare one: it may be of another language.
    counts = [max(count_conversations(word, frequencies), 1) for word in question.words]
    return [math.log(1 + (total + 0.5) / count) for count in counts]


def is_rare(topic: TopicWord, frequencies: Frequencies) -> bool:
    """Return whether few conversations hold a topic word, so that it tells what they are about."""
    return 0 < count_conversations(topic, frequencies) <= max(_FEW, _RARE_SHARE * frequencies.get(WHOLE, 0))


def coverage(matches: Matches, weights: Sequence[float], numbers: Iterable[int]) -> float:
    """Return the share of these topic words that is matched, by weight; 1 when there are none."""
    total = matched = 0.0
    for number in numbers:
        total += weights[number]
        matched += weights[number] * matches.get(number, 0.0)
    return matched / total if total else 1.0


def _strength(topic: TopicWord, word: str) -> float:
    folded = tokenizer.fold(word)
    if folded == topic.word or not topic.terms.isdisjoint(word_terms(word)):
        return SAME_WORD
    if topic.word[0].isdigit() or folded[0].isdigit():
        return 0.0
    if (topic.is_name or (topic.word[0] > "\u0400") != (folded[0] > "\u0400")) and names.same_name(topic.word, folded):
        return SAME_WORD
    if _is_part(topic.word, folded) or _is_part(folded, topic.word):
        return PART_OF_WORD
    if topic.concepts and not topic.concepts.isdisjoint(vocabulary.concepts(folded)):
        return SAME_NOTION
    return 0.0


def _is_part(part: str, whole: str) -> bool:
    stem = part[:-2] if len(part) > _MIN_PART + 2 else part
    return len(stem) >= _MIN_PART and stem in whole
