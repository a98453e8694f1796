"""What a question asks for: its topic words and the kind of value that answers it. Pure."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from proofdesk.answers import vocabulary
from proofdesk.errors import Invalid
from proofdesk.indexing import languages, stemmer, tokenizer

ExpectedValue = Literal["date", "amount", "number", "person"]
MAX_QUESTION_LENGTH = 2000  # characters

_EXPECTED: tuple[tuple[ExpectedValue, re.Pattern[str]], ...] = (
    (
        "date",
        re.compile(
            r"\b(?:when|what date|which (?:date|day)|by what day|what time|(?:bis |ab |seit )?wann|an welchem tag"
            r"|welche[nsr]?\b.{0,12}(?:termin|datum|tag)\b|\w*liefertermin|когда|(?:к|на|до) как(?:ому|ое|ой"
            r"|ого) (?:сроку|числу|число|день|дню|дату|срок|числа)"
            r"|как(?:ую|ая|ой) (?:дат|срок|ден)\w*|(?:para |hasta |desde )?cuándo|qué (?:día|fecha)|fecha)",
        ),
    ),
    (
        "amount",
        re.compile(
            r"\b(?:how much|what (?:price|amount|fee|cost)|what did .{1,40}\b(?:charge|quote|cost|pay)|wie teuer"
            r"|wie viel (?:kost|geld|hat .{1,30}(?:bezahl|gekost))|was (?:kostet|hat .{1,40}gekostet)|сколько (?:стоит"
            r"|стоил|заплат|денег|взяли)"
            r"|какую (?:сумму|цену)|cuánto (?!tiempo)|qué (?:precio|importe))",
        ),
    ),
    (
        "number",
        re.compile(
            r"\b(?:how many|how fast|how long|how large|how big|wie viele|wie hoch|wie lange|сколько|cuánt[oa]s"
            r"|qué graduación)"
        ),
    ),
    ("person", re.compile(r"\b(?:who|whom|whose|wer|wen|wem|wessen|кто|кого|кому|чей|quién(?:es)?)\b")),
)
_MAIN_QUESTION = re.compile(r"[,;]?\s+(?:and|und|и|y)\s+(?=\w+\s)|\?")
_ABOUT_US = re.compile(
    r"\b(?:we|us|our|wir|uns|unser\w*|мы|нас|нам|нами|наш\w*|nosotros|nuestr\w+|prometimos|dijimos)\b"
)


_GERMAN = frozenset(
    {"wer", "wen", "wem", "wessen", "wann", "warum", "wieso", "welcher", "welche", "welches", "welchem"}
)
_PROMISED = re.compile(
    r"\b(?:promis\w*|agree\w*|offer\w*|tell|told|say|said|quote\w*|commit\w*|versproch\w*|versprach\w*|zugesagt|gesagt"
    r"|genannt|angeboten|vereinbart|(?:по)?обеща\w+|сказал\w*|назвал\w*|сообщил\w*|предлож\w+|prometi\w+|dijimos|ofrec\w+"
    r"|acordamos|confirmamos)\b"
)
_QUESTION_WORDS = frozenset(
    """
    who whom whose what which when where why how did do does is are was were has have had can could will
    wer wen wem was welche welcher welches welchen wann wo warum wieso wie hat haben ist sind wurde bis
    кто кого кому что какой какая какое какие какую когда где куда почему зачем сколько как
    quién quiénes qué cuál cuáles cuándo dónde cómo cuánto cuánta cuántos cuántas
    """.split()  # noqa: SIM905
)


class QuestionRequired(Invalid):
    """The question is empty or too long."""

    code = "question_required"


def validate_question(text: str | None) -> str:
    """Return the question without surrounding space. Raises `QuestionRequired`."""
    question = (text or "").strip()
    if not 1 <= len(question) <= MAX_QUESTION_LENGTH:
        raise QuestionRequired(f"`question` must have 1 to {MAX_QUESTION_LENGTH} characters.")
    return question


@dataclass(frozen=True)
class TopicWord:
    """A word of the topic: folded, with its terms in every language and the notions that it names."""

    word: str
    terms: frozenset[str]
    concepts: frozenset[int]
    is_name: bool


@dataclass(frozen=True)
class Question:
    """A question, with what it is about and what would answer it. `about_our_words`: what did we say or promise?"""

    text: str
    words: tuple[TopicWord, ...]
    expects: ExpectedValue | None
    about_us: bool
    about_our_words: bool

    @cached_property
    def name_numbers(self) -> frozenset[int]:
        """The numbers of the words that are names."""
        return frozenset(number for number, word in enumerate(self.words) if word.is_name)

    @cached_property
    def is_cyrillic(self) -> bool:
        return any("\u0400" <= char <= "\u052f" for char in self.text)


def is_question(text: str) -> bool:
    """Return whether a query is a question: it ends with a question mark, or begins with a question word."""
    words = text.lower().split()
    if not len(words) >= 3 or len(text) > MAX_QUESTION_LENGTH:
        return False
    return text.rstrip().endswith("?") or text.lstrip().startswith("¿") or words[0] in _QUESTION_WORDS


def parse_question(text: str) -> Question:
    """Return what a question asks for."""
    cleaned = tokenizer.clean(text)
    lowered = cleaned.lower()
    asked: list[tuple[int, ExpectedValue]] = [
        (match.start(), kind) for kind, pattern in _EXPECTED if (match := pattern.search(lowered))
    ]
    about_us = _ABOUT_US.search(lowered) is not None
    return Question(
        text=cleaned,
        words=tuple(_topic_words(cleaned)),
        expects=min(asked)[1] if asked else None,
        about_us=about_us,
        about_our_words=about_us and _PROMISED.search(lowered) is not None,
    )


def word_terms(word: str) -> frozenset[str]:
    """Return the terms of a word in the languages that its alphabet allows."""
    names = (languages.CYRILLIC,) if word[0] > "\u0400" else ("english", "german", "spanish")
    return frozenset(term for name in names for term in stemmer.word_terms(name, word))


def _topic_words(text: str) -> Iterable[TopicWord]:
    seen: set[str] = set()
    words = tokenizer.words(text)
    german = languages.guess_language(Counter(words), least=1) == "german" or not _GERMAN.isdisjoint(words)
    for match in re.finditer(r"[^\W_]+(?:[-–.'’][^\W_]+)*", text):
        for part in tokenizer.words(match.group()):
            folded = tokenizer.fold(part)
            if folded in seen or vocabulary.is_stop_word(folded):
                continue
            seen.add(folded)
            # German writes every noun with a capital letter.
            is_name = match.start() > 0 and match.group()[0].isupper() and not german
            yield TopicWord(folded, word_terms(part), vocabulary.concepts(folded), is_name)
