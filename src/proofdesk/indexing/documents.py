"""Documents of the keyword index: the words of a conversation, weighted by who wrote them. Pure.

The opening message of a contact tells what the conversation is about; the words of agents are similar everywhere. The
weights were chosen with the labelled queries of `make eval`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from proofdesk.indexing import languages, tokenizer
from proofdesk.indexing.transcript_queries import TranscriptMessage
from proofdesk.indexing.transcripts import message_text

# In tenths of an occurrence.
OPENING = 20
CONTACT = 10
AGENT = 7
IDENTITY = 5  # name and addresses of the contact

# Above either of these a conversation is long: its postings name the messages that hold a term.
LONG_MESSAGES = 12
LONG_TEXT = 4000  # characters
MOST_PLACES = 128  # messages of a posting; the latest are kept


@dataclass
class Document:
    """The weighted tokens of a conversation: `stemmed` by (language, word), and `exact`.

    `length` is the weighted number of words. `places` are the messages that hold each token, in order; None when the
    conversation is short.
    """

    stemmed: Counter[tuple[str, str]] = field(default_factory=Counter)
    exact: Counter[str] = field(default_factory=Counter)
    languages: set[str] = field(default_factory=set)
    length: int = 0
    places: dict[tuple[str, str] | str, list[int]] | None = None

    def add(self, weight: int, text: str, counts: Mapping[str, int], latin: str, message_id: int | None = None) -> None:
        """Add the counted words of a text in the Latin language `latin`, and its exact tokens."""
        counts = Counter(counts) + Counter(tokenizer.letters(text))  # letters do not count for the length
        stemmed = {(languages.word_language(word, latin), word): weight * times for word, times in counts.items()}
        exact = tokenizer.exact_tokens(text)
        for word, weighted in stemmed.items():
            self.stemmed[word] += weighted
        for token in exact:
            self.exact[token] += weight
        if self.places is not None and message_id is not None:
            for token in (*stemmed, *set(exact)):
                self.places.setdefault(token, []).append(message_id)


def build_document(messages: Sequence[TranscriptMessage], identity: Iterable[str | None]) -> Document:
    """Return the document of a conversation whose messages are in order; `identity` names its contact."""
    document = Document()
    texts = [(message_id, weight, text, tokenizer.words(text)) for message_id, weight, text in _weighted(messages)]
    latin = languages.guess_language(Counter(chain.from_iterable(words for *_, words in texts)))
    if len(texts) > LONG_MESSAGES or sum(len(text) for _, _, text, _ in texts) > LONG_TEXT:
        document.places = {}
    for message_id, weight, text, words in texts:
        counts = Counter(words)
        document.length += weight * len(words)
        document.add(weight, text, counts, languages.guess_language(counts, latin), message_id)
    document.languages = {language for language, _ in document.stemmed}
    for text in identity:
        name = tokenizer.clean(text or "")
        document.add(IDENTITY, name, Counter(tokenizer.words(name)), languages.DEFAULT)
    return document


def _weighted(messages: Sequence[TranscriptMessage]) -> Iterator[tuple[int, int, str]]:
    """Yield the id, weight and text of each message that has a text."""
    opened = False
    subjects: set[str] = set()
    for message in messages:
        text = message_text(message)
        weight = CONTACT if message.sender_type == "contact" else AGENT
        if text and not opened and message.sender_type == "contact":
            weight, opened = OPENING, True
        # Every reply repeats the subject; it counts once.
        if message.subject and (subject := message.subject.rpartition(": ")[2]) not in subjects:
            subjects.add(subject)
            text = f"{subject}\n{text}"
        if text:
            yield message.message_id, weight, tokenizer.clean(text)
