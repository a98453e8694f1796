"""Match the topic words of a question with the words of messages. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from proofdesk.answers import names, vocabulary
from proofdesk.answers.questions import Question, TopicWord, word_terms
from proofdesk.indexing import tokenizer

SAME_WORD, PART_OF_WORD, SAME_NOTION = 1.0, 0.8, 0.7
_MIN_PART = 5  # letters of a word inside another

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


def weigh_words(question: Question, conversations: Sequence[Matches]) -> list[float]:
    """Return the weight of each topic word: high for a word that few of the conversations hold."""
    count = len(conversations)
    held = [sum(n in matches for matches in conversations) for n in range(len(question.words))]
    return [math.log(1 + (count + 1) / (max(n, 1) + 0.5)) for n in held]  # a word that none holds weighs as a rare one


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
