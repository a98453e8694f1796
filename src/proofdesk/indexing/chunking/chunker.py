"""Splits transcripts into chunks. Pure: nothing is lost and the order is kept.

A message of some length makes chunks of its own. A short one joins the chunk before it, so that "Yes, size 42" stands
next to the question; at the beginning of a conversation it joins the message after it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from proofdesk.indexing.chunking import sentences
from proofdesk.indexing.transcript_queries import TranscriptMessage
from proofdesk.indexing.transcripts import message_text
from proofdesk.settings import Settings

VERSION = 3
"""Increase it when this file, `transcripts`, `sentences`, `attribution` or `core.quotes` change what is stored."""
_JOINED_SHARE = 4  # joined messages fill at most this fraction of a chunk: a chat of one-liners makes a vague vector
_PREVIOUS_CHARS = 200
_INBOX_CHARS = 60
_SUBJECT_CHARS = 150

MessageText = tuple[TranscriptMessage, str]


@dataclass(frozen=True)
class ChunkLimits:
    """Characters of the longest chunk, and below which a message is joined to others (at most half a chunk)."""

    chunk_size: int
    min_embed_chars: int

    @staticmethod
    def from_settings(settings: Settings) -> "ChunkLimits":
        return ChunkLimits(settings.chunk_size, settings.min_embed_chars)

    @property
    def shortest(self) -> int:
        return min(self.min_embed_chars, self.chunk_size // 2)


@dataclass(frozen=True)
class Chunk:
    """A chunk as it is stored. `anchor` is the message it points at; `covers` all messages it holds, in order."""

    anchor: TranscriptMessage
    index: int
    covers: list[int]
    sender_types: list[str]
    text: str
    context: str

    @property
    def content_hash(self) -> bytes:
        """The hash of what is embedded: a chunk with another hash needs another vector."""
        return hashlib.blake2b(f"{self.context}\0{self.text}".encode(), digest_size=16).digest()


@dataclass
class _Draft:
    anchor: TranscriptMessage
    index: int
    first: int  # position of its first message in the conversation
    messages: list[TranscriptMessage]
    lines: list[str]
    joined: int = 0
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = len(self.lines[0])

    @property
    def is_quote(self) -> bool:
        return self.anchor.quoted_from is not None

    def add(self, message: TranscriptMessage, text: str) -> None:
        self.messages.append(message)
        self.lines.append(text)
        self.size += len(text) + 1


def split_transcript(messages: Sequence[TranscriptMessage], inbox: str, limits: ChunkLimits) -> list[Chunk]:
    """Return the chunks of a conversation whose messages are in order; `inbox` is the name of its inbox."""
    texts = [(message, text) for message in messages if (text := message_text(message))]
    drafts: list[_Draft] = []
    for position, (message, text) in enumerate(texts):
        if len(text) < limits.shortest and message.quoted_from is None:
            _join(drafts, position, message, text, limits)
        else:
            _append(drafts, position, message, text, limits)
    _join_last(drafts, limits)
    previous = _previous_messages(drafts, texts)
    return [_chunk(draft, inbox, before) for draft, before in zip(drafts, previous, strict=True)]


def _join(drafts: list[_Draft], position: int, message: TranscriptMessage, text: str, limits: ChunkLimits) -> None:
    last = drafts[-1] if drafts else None
    if last and not last.is_quote and _has_room(last, len(text), limits):
        last.add(message, text)
        last.joined += len(text)
    else:
        drafts.append(_Draft(message, 0, position, [message], [text]))


def _has_room(draft: _Draft, more: int, limits: ChunkLimits) -> bool:
    if draft.size + 1 + more > limits.chunk_size:
        return False
    return draft.size < limits.shortest or draft.joined + more <= limits.chunk_size // _JOINED_SHARE


def _append(drafts: list[_Draft], position: int, message: TranscriptMessage, text: str, limits: ChunkLimits) -> None:
    last = drafts[-1] if drafts else None
    short = last if last and last.size < limits.shortest and last.index == 0 and not last.is_quote else None
    if message.quoted_from is not None:
        short = None  # quoted words never join the words of somebody else
    first = last.index + 1 if last and last.anchor.message_id == message.message_id else 0
    pieces = sentences.pack(text, limits.chunk_size, shortest=limits.shortest, reserved=short.size + 1 if short else 0)
    for index, piece in enumerate(pieces, first):
        if index == first and short:
            short.anchor = message  # a chunk points at its longest message
            short.add(message, piece)
        else:
            drafts.append(_Draft(message, index, position, [message], [piece]))


def _join_last(drafts: list[_Draft], limits: ChunkLimits) -> None:
    # No message follows that a short last one could join: it joins the chunk before it, whatever its share.
    if len(drafts) > 1 and drafts[-1].index == 0 and drafts[-1].size < limits.shortest:
        last, before = drafts[-1], drafts[-2]
        if not (last.is_quote or before.is_quote) and before.size + 1 + last.size <= limits.chunk_size:
            drafts.pop()
            for message, line in zip(last.messages, last.lines, strict=True):
                before.add(message, line)


def _previous_messages(drafts: list[_Draft], texts: list[MessageText]) -> Iterator[MessageText | None]:
    """Yield for each draft the last message of the other side before it."""
    latest: dict[bool, MessageText] = {}  # by whether the contact wrote it
    position = 0
    for draft in drafts:
        while position < draft.first:
            message = texts[position][0]
            latest[message.sender_type == "contact"] = texts[position]
            position += 1
        yield latest.get(draft.anchor.sender_type != "contact")


def _chunk(draft: _Draft, inbox: str, previous: MessageText | None) -> Chunk:
    return Chunk(
        anchor=draft.anchor,
        index=draft.index,
        covers=list(dict.fromkeys(message.message_id for message in draft.messages)),
        sender_types=sorted({message.sender_type for message in draft.messages}),
        text="\n".join(draft.lines),
        context=_context(draft.anchor, inbox, previous),
    )


def _context(message: TranscriptMessage, inbox: str, previous: MessageText | None) -> str:
    """Return what makes a chunk understandable alone: who writes where, the subject, and the message it answers.

    Senders are named by role: with names, the vectors of unrelated conversations were alike. The keyword index has
    the names.
    """
    lines = [f"{message.sender_type}, {inbox[:_INBOX_CHARS]}"]
    if message.subject:
        lines.append(message.subject[:_SUBJECT_CHARS])
    if previous:
        before, text = previous
        lines.append(f"{before.sender_type}: {' '.join(sentences.tail(text, _PREVIOUS_CHARS).split())}")
    return "\n".join(lines)
