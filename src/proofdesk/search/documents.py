"""What a conversation is for the ranking: its words, weighted by who said them. Pure.

A contact's opening words tell what the conversation is about, an agent's words tend to be the same everywhere. The
weights were chosen on the labelled queries of `make eval`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from proofdesk.embeddings.cutting import words as said_words
from proofdesk.embeddings.cutting.words import Said
from proofdesk.search import languages, words

# In tenths of an occurrence.
OPENING = 20
CONTACT = 10
AGENT = 7
IDENTITY = 5  # name and addresses of the contact


@dataclass
class Document:
    """A conversation's tokens: `stemmed` by (language, word), and `exact`. `length` is that of the words alone."""

    account_id: int
    conversation_id: int
    stemmed: Counter[tuple[str, str]] = field(default_factory=Counter)
    exact: Counter[str] = field(default_factory=Counter)
    languages: set[str] = field(default_factory=set)
    length: int = 0

    def add(self, weight: int, text: str, counts: Mapping[str, int], latin: str) -> None:
        """Add the words of a text in the Latin language `latin`, which have been counted, and its exact tokens."""
        for word, times in counts.items():
            self.stemmed[languages.of_word(word, latin), word] += weight * times
        for token in words.exact(text):
            self.exact[token] += weight


def build(account_id: int, conversation_id: int, said: Sequence[Said], identity: Iterable[str | None]) -> Document:
    """The document of a conversation, whose messages are in order; `identity` is what its contact is called."""
    document = Document(account_id, conversation_id)
    spoken = [(weight, text, words.words(text)) for weight, text in _spoken(said)]
    latin = languages.guess(Counter(chain.from_iterable(found for _, _, found in spoken)))
    for weight, text, found in spoken:
        counts = Counter(found)
        document.length += weight * len(found)
        document.add(weight, text, counts, languages.guess(counts, latin))
    document.languages = {language for language, _ in document.stemmed}
    for text in identity:
        named = words.clean(text or "")
        document.add(IDENTITY, named, Counter(words.words(named)), languages.DEFAULT)
    return document


def _spoken(said: Sequence[Said]) -> Iterator[tuple[int, str]]:
    opened = False
    subjects: set[str] = set()
    for message in said:
        text = said_words.of(message)
        weight = CONTACT if message.sender_type == "contact" else AGENT
        if text and not opened and message.sender_type == "contact":
            weight, opened = OPENING, True
        # Every reply repeats the subject; it counts once.
        if message.subject and (subject := message.subject.rpartition(": ")[2]) not in subjects:
            subjects.add(subject)
            text = f"{subject}\n{text}"
        if text:
            yield weight, words.clean(text)
