"""Quoted words belong to who wrote them: they leave the message that quotes them. Pure.

What another message of the conversation says is said there. What is quoted and stands nowhere else follows the message
that quotes it, as a message of whoever wrote it, so that it is still found.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from proofdesk.indexing.chunking import quotes
from proofdesk.indexing.chunking.quotes import Quote
from proofdesk.indexing.transcripts import Said

_WORD = re.compile(r"\w+")
_RUN = 4  # words in a row that make a line the same as another


def attributed(conversation: Sequence[Said]) -> list[Said]:
    """Return the messages of a conversation, each with its own words, and what is quoted only as its author's."""
    parts = [(message, *_split(message)) for message in conversation]
    if not any(quoted for _, _, quoted in parts):
        return list(conversation)
    known = _Known(own for _, own, _ in parts)
    people = _people(conversation)
    found: list[Said] = []
    for message, own, quoted in parts:
        found.append(replace(message, content=own) if quoted else message)
        for quote in quoted:
            if text := known.lacking(quote.text):
                found.append(_as_message(message, quote, text, people, own))
    return found


_SIDES = {"contact": "agent", "agent": "contact"}


def _split(message: Said) -> tuple[str, list[Quote]]:
    own, quoted = quotes.split(message.content or "")
    return own, quotes.split(message.whole)[1] if message.whole else quoted


def _as_message(message: Said, quote: Quote, text: str, people: dict[str, Said], own: str) -> Said:
    side, name = message.sender_type, quote.author
    header = _plain(quote.header)
    if author := next((person for known, person in people.items() if known in header), None):
        side, name = author.sender_type, author.sender_name or name
    elif own and not quote.forwarded and quote.depth % 2 == 0:
        side = _SIDES.get(side, "contact")
    return replace(
        message,
        content=text,
        sender_type=side,
        sender_name=name or None,
        subject=None,
        submitted=None,
        items=None,
        attachments=[],
        quoted_from=name,
    )


def _people(conversation: Sequence[Said]) -> dict[str, Said]:
    """Who takes part, by name; longer names first, since others may begin like them."""
    named = {_plain(m.sender_name): m for m in conversation if m.sender_name and m.sender_type in _SIDES}
    return {name: named[name] for name in sorted(named, key=len, reverse=True) if name.strip()}


def _plain(text: str) -> str:
    return f" {' '.join(_words(text))} "


class _Known:
    """Words, and runs of words, that the messages of a conversation hold."""

    def __init__(self, texts: Iterable[str]):
        self._words: set[str] = set()
        self._runs: set[int] = set()
        for text in texts:
            self._add(_words(text))

    def lacking(self, text: str) -> str:
        """Return the lines of a text that no message holds, which are known from then on."""
        lines = [line for line in text.splitlines() if not self._holds(_words(line))]
        self._add(_words(text))
        return "\n".join(lines)

    def _holds(self, words: list[str]) -> bool:
        if len(words) < _RUN:
            return all(word in self._words for word in words)
        return all(run in self._runs for run in _runs(words))

    def _add(self, words: list[str]) -> None:
        self._words.update(words)
        self._runs.update(_runs(words))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _runs(words: list[str]) -> Iterator[int]:
    return map(hash, zip(*(words[start:] for start in range(_RUN)), strict=False))
