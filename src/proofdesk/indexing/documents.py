"""What a conversation is for the ranking: its words, weighted by who said them. Pure.

A contact's opening words tell what the conversation is about, an agent's words tend to be the same everywhere. The
weights were chosen on the labelled queries of `make eval`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from proofdesk.indexing import languages, tokenizer
from proofdesk.indexing import transcripts as said_words
from proofdesk.indexing.chunking import attribution
from proofdesk.indexing.transcripts import Said

# In tenths of an occurrence.
OPENING = 20
CONTACT = 10
AGENT = 7
IDENTITY = 5  # name and addresses of the contact

# What is longer in either is a long conversation: it is noted which of its messages hold a word.
LONG_MESSAGES = 12
LONG_TEXT = 4000  # characters
MOST_PLACES = 128  # of a word in a conversation; the latest messages of more


@dataclass
class Document:
    """A conversation's tokens: `stemmed` by (language, word), and `exact`. `length` is that of the words alone.

    `places` are the messages that hold each of them, in order; None of a short conversation.
    """

    account_id: int
    conversation_id: int
    stemmed: Counter[tuple[str, str]] = field(default_factory=Counter)
    exact: Counter[str] = field(default_factory=Counter)
    languages: set[str] = field(default_factory=set)
    length: int = 0
    places: dict[tuple[str, str] | str, list[int]] | None = None

    def add(self, weight: int, text: str, counts: Mapping[str, int], latin: str, message_id: int | None = None) -> None:
        """Add the words of a text in the Latin language `latin`, which have been counted, and its exact tokens."""
        counts = Counter(counts) + Counter(tokenizer.letters(text))  # which add nothing to the length
        stemmed = {(languages.of_word(word, latin), word): weight * times for word, times in counts.items()}
        exact = tokenizer.exact(text)
        for word, weighted in stemmed.items():
            self.stemmed[word] += weighted
        for token in exact:
            self.exact[token] += weight
        if self.places is not None and message_id is not None:
            for token in (*stemmed, *set(exact)):
                self.places.setdefault(token, []).append(message_id)


def build(account_id: int, conversation_id: int, said: Sequence[Said], identity: Iterable[str | None]) -> Document:
    """The document of a conversation, whose messages are in order; `identity` is what its contact is called."""
    document = Document(account_id, conversation_id)
    spoken = [(message_id, weight, text, tokenizer.words(text)) for message_id, weight, text in _spoken(said)]
    latin = languages.guess(Counter(chain.from_iterable(found for *_, found in spoken)))
    if len(spoken) > LONG_MESSAGES or sum(len(text) for _, _, text, _ in spoken) > LONG_TEXT:
        document.places = {}
    for message_id, weight, text, found in spoken:
        counts = Counter(found)
        document.length += weight * len(found)
        document.add(weight, text, counts, languages.guess(counts, latin), message_id)
    document.languages = {language for language, _ in document.stemmed}
    for text in identity:
        named = tokenizer.clean(text or "")
        document.add(IDENTITY, named, Counter(tokenizer.words(named)), languages.DEFAULT)
    return document


def _spoken(said: Sequence[Said]) -> Iterator[tuple[int, int, str]]:
    """Each message that says something: its number, weight and text."""
    opened = False
    subjects: set[str] = set()
    for message in attribution.attributed(said):
        text = said_words.of(message)
        weight = CONTACT if message.sender_type == "contact" else AGENT
        if text and not opened and message.sender_type == "contact":
            weight, opened = OPENING, True
        # Every reply repeats the subject; it counts once.
        if message.subject and (subject := message.subject.rpartition(": ")[2]) not in subjects:
            subjects.add(subject)
            text = f"{subject}\n{text}"
        if text:
            yield message.message_id, weight, tokenizer.clean(text)
