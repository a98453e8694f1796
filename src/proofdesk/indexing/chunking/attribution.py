"""Gives quoted words to their authors. Pure.

What another message of the conversation says is removed from the message that quotes it. A quote that stands nowhere
else becomes a message of its author after the message that quotes it, so that it can be found.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from proofdesk.core.quotes import Quote, split_quotes
from proofdesk.indexing.transcript_queries import TranscriptMessage

_WORD = re.compile(r"\w+")
_RUN = 4  # words in a row; a line whose runs all stand in messages is a copy
_OTHER_SIDE = {"contact": "agent", "agent": "contact"}


def attribute_quotes(messages: Sequence[TranscriptMessage]) -> list[TranscriptMessage]:
    """Return the messages of a conversation with their own words only, and new quotes as messages of their authors."""
    parts = [(message, *_split(message)) for message in messages]
    if not any(quotes for _, _, quotes in parts):
        return list(messages)
    known = _KnownText(own for _, own, _ in parts)
    people = _people(messages)
    attributed: list[TranscriptMessage] = []
    for message, own, quotes in parts:
        attributed.append(replace(message, content=own) if quotes else message)
        for quote in quotes:
            if text := known.new_lines(quote.text):
                attributed.append(_as_message(message, quote, text, people, own))
    return attributed


def _split(message: TranscriptMessage) -> tuple[str, list[Quote]]:
    own, quotes = split_quotes(message.content or "")
    return own, split_quotes(message.whole_email)[1] if message.whole_email else quotes


def _as_message(
    message: TranscriptMessage, quote: Quote, text: str, people: dict[str, TranscriptMessage], own: str
) -> TranscriptMessage:
    side, name = message.sender_type, quote.author
    header = _normalized(quote.header)
    if author := next((sender for sender_name, sender in people.items() if sender_name in header), None):
        side, name = author.sender_type, author.sender_name or name
    elif own and not quote.forwarded and quote.depth % 2 == 0:
        side = _OTHER_SIDE.get(side, "contact")
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


def _people(messages: Sequence[TranscriptMessage]) -> dict[str, TranscriptMessage]:
    """Return a message of each contact and agent by normalized name; longer names first, as others may begin alike."""
    by_name = {m.sender_name: m for m in messages if m.sender_name and m.sender_type in _OTHER_SIDE}
    people = {_normalized(name): message for name, message in by_name.items()}
    return {name: people[name] for name in sorted(people, key=len, reverse=True) if name.strip()}


def _normalized(text: str) -> str:
    return f" {' '.join(_words(text))} "


class _KnownText:
    """The text that the messages of a conversation hold, as lines, as words and as runs of words.

    Most quoted lines equal a line of a message. Words are looked at from the first line on that does not.
    """

    def __init__(self, texts: Iterable[str]):
        self._lines = {""}
        self._words: set[str] = set()
        self._runs: set[int] = set()
        self._unread: list[str] = []  # texts whose words were not looked at yet
        for text in texts:
            self._add(text)

    def new_lines(self, text: str) -> str:
        """Return the lines of a text that no message holds. From then on they are known."""
        lines = [line for line in text.splitlines() if line.strip() not in self._lines and not self._has_words(line)]
        self._add(text)
        return "\n".join(lines)

    def _has_words(self, line: str) -> bool:
        for text in self._unread:
            words = _words(text)
            self._words.update(words)
            self._runs.update(_runs(words))
        self._unread.clear()
        words = _words(line)
        if len(words) < _RUN:
            return all(word in self._words for word in words)
        return all(run in self._runs for run in _runs(words))

    def _add(self, text: str) -> None:
        self._lines.update(map(str.strip, text.splitlines()))
        self._unread.append(text)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _runs(words: list[str]) -> Iterator[int]:
    return map(hash, zip(*(words[start:] for start in range(_RUN)), strict=False))
