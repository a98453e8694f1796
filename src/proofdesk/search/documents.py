"""What a conversation is for the ranking: its words, weighted by who said them. Pure.

A contact's opening words tell what the conversation is about, an agent's words tend to be the same everywhere. The
weights were chosen on the labelled queries of `make eval`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

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


def build(account_id: int, conversation_id: int, said: Sequence[Said], identity: Iterable[str | None]) -> Document:
    """The document of a conversation, whose messages are in order; `identity` is what its contact is called."""
    document = Document(account_id, conversation_id)
    spoken = _spoken(said)
    latin = languages.guess(Counter(word for _, text in spoken for word in words.words(text)))
    for weight, text in spoken:
        _add(document, weight, text, latin)
    for text in identity:
        _add_identity(document, words.clean(text or ""))
    return document


def _spoken(said: Sequence[Said]) -> list[tuple[int, str]]:
    opening = next((m.message_id for m in said if m.sender_type == "contact" and said_words.of(m)), None)
    texts: list[tuple[int, str]] = []
    subjects: set[str] = set()
    for message in said:
        weight = CONTACT if message.sender_type == "contact" else AGENT
        weight = OPENING if message.message_id == opening else weight
        text = said_words.of(message)
        # Every reply repeats the subject; it counts once.
        if message.subject and (subject := message.subject.rpartition(": ")[2]) not in subjects:
            subjects.add(subject)
            text = f"{subject}\n{text}"
        if text:
            texts.append((weight, words.clean(text)))
    return texts


def _add(document: Document, weight: int, text: str, latin: str) -> None:
    found = words.words(text)
    language = languages.guess(Counter(found), latin)
    for word in found:
        document.stemmed[languages.of_word(word, language), word] += weight
    document.length += weight * len(found)
    document.languages.update(languages.of_word(word, language) for word in found)
    for token in words.exact(text):
        document.exact[token] += weight


def _add_identity(document: Document, text: str) -> None:
    for word in words.words(text):
        document.stemmed[languages.of_word(word, languages.DEFAULT), word] += IDENTITY
    for token in words.exact(text):
        document.exact[token] += IDENTITY
