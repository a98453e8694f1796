"""Sentences of messages, each with where it stands and the words that a question may match. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from proofdesk.answers.message_queries import CitableMessage
from proofdesk.core.quotes import split_quotes
from proofdesk.indexing import tokenizer
from proofdesk.indexing.chunking.sentences import split_sentences

_SIGNATURE = re.compile(r"\n-- ?\n.*", re.DOTALL)
_GREETING = re.compile(r"^[^\n]{1,60}[,!]\s*$")
MAX_QUOTE_LENGTH = 500  # characters
_MIN_WORDS = 2


@dataclass(frozen=True)
class Statement:
    """A sentence that a sender wrote themselves. `text` is a substring of the message, `place` its number in it."""

    message: CitableMessage
    place: int
    text: str
    words: frozenset[str]


def split_message(message: CitableMessage) -> list[Statement]:
    """Return the sentences of a message, without what it quotes and without its signature."""
    own, _ = split_quotes(message.content)
    own = _SIGNATURE.sub("", own)
    statements: list[Statement] = []
    for sentence in split_sentences(own):
        text = sentence.strip()
        words = tokenizer.words(tokenizer.clean(text))
        if len(words) >= _MIN_WORDS and text in message.content and not _is_greeting(text, words):
            statements.append(Statement(message, len(statements), text[:MAX_QUOTE_LENGTH].rstrip(), frozenset(words)))
    return statements or _short_message(message, own)


def _short_message(message: CitableMessage, own: str) -> list[Statement]:
    text = own.strip()[:MAX_QUOTE_LENGTH].rstrip()
    words = tokenizer.words(tokenizer.clean(text))
    return [Statement(message, 0, text, frozenset(words))] if words and text in message.content else []


def _is_greeting(text: str, words: Sequence[str]) -> bool:
    return len(words) <= 4 and _GREETING.match(text) is not None
