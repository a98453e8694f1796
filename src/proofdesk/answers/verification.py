"""Verify sentences of a model against the messages that they cite. Pure.

The model is never trusted: whatever it returns, a sentence is shown only if every quote stands in a message that it was
shown, and the quotes hold every date, number and name of the sentence, the same negation, and a part of its words.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from proofdesk.answers import matching, names, quoting, values, vocabulary
from proofdesk.answers.dates import DateMention, find_dates
from proofdesk.answers.instructions import addresses_a_model
from proofdesk.answers.message_queries import CitableMessage
from proofdesk.answers.questions import Question, parse_question
from proofdesk.indexing import tokenizer

MAX_SENTENCE_LENGTH = 600  # characters
MIN_SUPPORT = 0.3  # share of the topic words of a sentence that its quotes hold
_MIN_QUOTE_WORDS = 2

_NEGATION = re.compile(
    r"\b(?:not|no|never|cannot|without|nothing|nobody|none|neither|refus\w+|declin\w+|\w+n['’]t|nicht|kein\w*"
    r"|nie|niemals|ohne|nichts"
    r"|не|нет|никогда|без|ничего|отказ\w*|nunca|jamás|sin|nada|tampoco|ningun\w*|ningún|non|pas|jamais|sans"
    r"|aucun\w*)\b",
    re.IGNORECASE,
)
_SET_PHRASE = re.compile(
    r"\b(?:no (?:problem|bother|worries|doubt)|not to worry|kein problem|keine sorge|не волнуйтесь"
    r"|не переживайте|нет проблем|без проблем"
    r"|sin (?:problema|falta|duda)|no te preocupes|no se preocupe|pas de (?:problème|souci))\b",
    re.IGNORECASE,
)
_SAID = (
    r"(?:promis\w+|said|says|wrote|agreed|confirm\w+|offer\w+|stated|announc\w+|told|asked|refus\w+|accept\w+"
    r"|approv\w+"
    r"|versprach\w*|versprochen|sagt\w*|schrieb\w*|bestätig\w+|zugesagt|angekündigt|bot\b|lehnt\w+|genehmigt\w*"
    r"|обеща\w+|сказал\w*|написал\w*|подтверд\w+|согласи\w+|предлож\w+|сообщ\w+|утверд\w+|отказ\w+"
    r"|promet\w+|dijo|escrib\w+|confirm\w+|acept\w+|ofrec\w+|acord\w+|aprob\w+|rechaz\w+)"
)
_CONTACT_SAID = re.compile(
    rf"\b(?:customer|client|contact|kunde|kundin|клиент\w*|заказчик\w*|cliente|clienta)\s+(?:\w+\s+){{0,2}}{_SAID}",
    re.IGNORECASE,
)
_AGENT_SAID = re.compile(
    rf"\b(?:we|agent|team|support|wir|mitarbeiter\w*|мы|менеджер\w*|сотрудник\w*|nosotros"
    rf"|equipo)\s+(?:\w+\s+){{0,2}}{_SAID}",
    re.IGNORECASE,
)
_NAME_SAID = re.compile(rf"\b([^\W\d_][\w'’-]+)\s+(?:\([^)]*\)\s+)?(?:[a-zа-яё]+\s+)?{_SAID}")


@dataclass(frozen=True)
class Quotation:
    """A quote and the message that the model says it is from; None for a passage that does not exist."""

    message: CitableMessage | None
    quote: str


@dataclass(frozen=True)
class DraftSentence:
    """A sentence of the model with its quotations."""

    text: str
    quotations: Sequence[Quotation]


def verify_sentence(sentence: DraftSentence) -> list[str]:
    """Return what is wrong with a sentence, in words for the model; nothing when it is supported."""
    if not sentence.text.strip() or len(sentence.text) > MAX_SENTENCE_LENGTH:
        return [f"A sentence has 1 to {MAX_SENTENCE_LENGTH} characters."]
    if not sentence.quotations:
        return ["The sentence has no citation."]
    problems = [problem for quotation in sentence.quotations for problem in _check_quote(quotation)]
    if problems:
        return problems
    if all(quotation.quote.rstrip(' "”»“').endswith("?") for quotation in sentence.quotations):
        return ["A question is no evidence."]
    cited = [(q.message, q.quote) for q in sentence.quotations if q.message is not None]
    plain = _without_dates(sentence.text, cited[-1][0].created_at.date())
    return [
        *_check_dates(sentence.text, cited),
        *_check_numbers(plain, cited),
        *_check_words(plain, cited),
        *_check_speaker(sentence.text, cited),
    ]


_Cited = Sequence[tuple[CitableMessage, str]]


def _check_quote(quotation: Quotation) -> Iterable[str]:
    message, quote = quotation.message, quotation.quote
    if message is None:
        yield "A citation names a passage that does not exist."
    elif not quoting.contains_quote(message.content, quote):
        yield f"The quote {quote[:80]!r} is not in the passage. Copy it exactly."
    elif addresses_a_model(message.content):
        yield "The passage holds instructions. It is no evidence."
    elif len(tokenizer.words(quote)) < min(_MIN_QUOTE_WORDS, len(tokenizer.words(message.content))):
        yield f"The quote {quote[:80]!r} is too short."


def _check_dates(text: str, cited: _Cited) -> Iterable[str]:
    supported: set[date] = {message.created_at.date() for message, _ in cited}
    for message, quote in cited:
        supported |= {day for mention in _dates_in(message, quote) for day in mention.days}
    for mention in _dates_in(cited[-1][0], text):
        if mention.days.isdisjoint(supported):
            yield f"The date {text[mention.start : mention.end]!r} is not in the quotes."


def _check_numbers(plain: str, cited: _Cited) -> Iterable[str]:
    quoted = " ".join(quote for _, quote in cited)
    in_quotes = values.numbers(quoted) | values.number_words(quoted)
    for number in sorted((values.numbers(plain) | values.number_words(plain)) - in_quotes):
        yield f"The number {number} is not in the quotes."


def _without_dates(text: str, written: date) -> str:
    for mention in reversed(find_dates(text, written)):
        text = text[: mention.start] + " " * (mention.end - mention.start) + text[mention.end :]
    return text


def _dates_in(message: CitableMessage, quote: str) -> list[DateMention]:
    return find_dates(quote, message.created_at.date())


def _check_words(text: str, cited: _Cited) -> Iterable[str]:
    quotes = [word for _, quote in cited for word in _words(quote)]
    people = [
        word
        for message, _ in cited
        for name in (message.sender_name, message.contact_name)
        for word in _words(name or "")
    ]
    for name in sorted(_names_in(text)):
        if not any(names.same_name(name.lower(), word) for word in [*quotes, *people]):
            yield f"The name {name!r} is not in the quotes."
    topic = parse_question(text)
    matches = matching.Matcher(topic).match([*quotes, *people])
    topics = [
        n for n, word in enumerate(topic.words) if not word.word[0].isdigit() and not _is_person(word.word, people)
    ]
    if topics and not _supports(topic, matches, topics, quotes):
        yield "The quotes do not say this."
    if _is_negative(text) != any(_is_negative(quote) for _, quote in cited):
        yield "The sentence and its quotes differ in negation."


def _supports(topic: Question, matches: matching.Matches, topics: Sequence[int], quotes: Sequence[str]) -> bool:
    matched = [n for n in topics if n in matches]
    # A translation shares few words with its quotes.
    is_translated = topic.is_cyrillic != any(word[0] > "\u0400" for word in quotes)
    return len(matched) >= (1 if is_translated else max(1, MIN_SUPPORT * len(topics)))


def _names_in(text: str) -> set[str]:
    """Return capitalized words that are no common words of business."""
    found = set(values.proper_names(text))
    if first := re.match(r"\W*([^\W\d_][\w'’-]+)", text):
        found.add(first[1])
    return {name for name in found if name[0].isupper() and not _is_common(name)}


def _is_common(word: str) -> bool:
    folded = tokenizer.fold(word.lower())
    return (
        vocabulary.is_stop_word(folded) or bool(vocabulary.concepts(folded)) or bool(find_dates(word, date(2000, 1, 1)))
    )


def _check_speaker(text: str, cited: _Cited) -> Iterable[str]:
    sides = {message.sender_type for message, _ in cited}
    if _CONTACT_SAID.search(text) and "contact" not in sides:
        yield "The quotes are not the contact's."
    if _AGENT_SAID.search(text) and "agent" not in sides:
        yield "The quotes are not ours."
    authors = [word for message, _ in cited for word in _words(message.sender_name or "")]
    people = [word for message, _ in cited for word in _words(message.contact_name or "")]
    for match in _NAME_SAID.finditer(text):
        name = match[1].lower()
        is_someone = match[1][0].isupper() and not _is_common(match[1])
        if is_someone and not _is_person(name, authors) and (_is_person(name, people) or not _in_quotes(name, cited)):
            yield f"{match[1]} did not write the quotes."


def _in_quotes(name: str, cited: _Cited) -> bool:
    return any(names.same_name(name, word) for _, quote in cited for word in _words(quote))


def _is_person(word: str, people: Iterable[str]) -> bool:
    return any(names.same_name(word, person) for person in people)


def _is_negative(text: str) -> bool:
    return _NEGATION.search(_SET_PHRASE.sub("", text)) is not None


def _words(text: str) -> list[str]:
    return tokenizer.words(tokenizer.clean(text))
