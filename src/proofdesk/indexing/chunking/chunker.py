"""A conversation cut into chunks. Pure: messages in, chunks out, nothing lost and the order kept.

A message of some length makes chunks of its own. A short one is joined to the chunk before it, so that "Yes, size
42" stands next to what it answers; at the beginning of a conversation it waits for the one after it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from proofdesk.indexing import transcripts
from proofdesk.indexing.chunking import attribution, sentences
from proofdesk.indexing.transcripts import Said

VERSION = 3  # of the rules in this file, `words`, `sentences`, `quotes`, `attribution`: a new one cuts all anew
_JOINED_SHARE = 4  # joined messages take at most this part of a chunk, else a chat of one-liners makes one blur


@dataclass(frozen=True)
class Limits:
    """Characters of the longest chunk, and below which a message is joined to others (at most half a chunk)."""

    chunk_size: int
    min_embed_chars: int

    @property
    def shortest(self) -> int:
        return min(self.min_embed_chars, self.chunk_size // 2)


@dataclass(frozen=True)
class Chunk:
    """A chunk as it is stored. `anchor` is the message it points at; `covers` all whose words it holds, in order."""

    anchor: Said
    index: int
    covers: list[int]
    sender_types: list[str]
    text: str
    context: str

    @property
    def content_hash(self) -> bytes:
        """What a vector of this chunk stands for."""
        return hashlib.blake2b(f"{self.context}\0{self.text}".encode(), digest_size=16).digest()


@dataclass
class _Draft:
    anchor: Said
    index: int
    first: int  # position of its first message in the conversation
    messages: list[Said]
    lines: list[str]
    joined: int = 0
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = len(self.lines[0])

    @property
    def is_quote(self) -> bool:
        return self.anchor.quoted_from is not None

    def add(self, message: Said, text: str) -> None:
        self.messages.append(message)
        self.lines.append(text)
        self.size += len(text) + 1


def cut(conversation: Sequence[Said], inbox: str, limits: Limits) -> list[Chunk]:
    """The chunks of a conversation whose messages are in order; `inbox` is the name of its inbox."""
    spoken = [(message, text) for message in attribution.attributed(conversation) if (text := transcripts.of(message))]
    drafts: list[_Draft] = []
    for position, (message, text) in enumerate(spoken):
        if len(text) < limits.shortest and message.quoted_from is None:
            _join(drafts, position, message, text, limits)
        else:
            _append(drafts, position, message, text, limits)
    _settle_last(drafts, limits)
    return [_chunk(draft, inbox, asked) for draft, asked in zip(drafts, _asked(drafts, spoken), strict=True)]


def _join(drafts: list[_Draft], position: int, message: Said, text: str, limits: Limits) -> None:
    last = drafts[-1] if drafts else None
    if last and not last.is_quote and _has_room(last, len(text), limits):
        last.add(message, text)
        last.joined += len(text)
    else:
        drafts.append(_Draft(message, 0, position, [message], [text]))


def _has_room(draft: _Draft, more: int, limits: Limits) -> bool:
    if draft.size + 1 + more > limits.chunk_size:
        return False
    return draft.size < limits.shortest or draft.joined + more <= limits.chunk_size // _JOINED_SHARE


def _append(drafts: list[_Draft], position: int, message: Said, text: str, limits: Limits) -> None:
    last = drafts[-1] if drafts else None
    waiting = last if last and last.size < limits.shortest and last.index == 0 and not last.is_quote else None
    if message.quoted_from is not None:
        waiting = None  # others' words stand alone
    first = last.index + 1 if last and last.anchor.message_id == message.message_id else 0
    pieces = sentences.cut(text, limits.chunk_size, shortest=limits.shortest, taken=waiting.size + 1 if waiting else 0)
    for index, piece in enumerate(pieces, first):
        if index == first and waiting:
            waiting.anchor = message  # the message with something to say is the one to point at
            waiting.add(message, piece)
        else:
            drafts.append(_Draft(message, index, position, [message], [piece]))


def _settle_last(drafts: list[_Draft], limits: Limits) -> None:
    # Nothing came after a short one that found no place: then it may exceed its share.
    if len(drafts) > 1 and drafts[-1].index == 0 and drafts[-1].size < limits.shortest:
        last, before = drafts[-1], drafts[-2]
        if not (last.is_quote or before.is_quote) and before.size + 1 + last.size <= limits.chunk_size:
            drafts.pop()
            for message, line in zip(last.messages, last.lines, strict=True):
                before.add(message, line)


def _asked(drafts: list[_Draft], spoken: list[tuple[Said, str]]) -> Iterator[tuple[Said, str] | None]:
    latest: dict[bool, tuple[Said, str]] = {}  # by whether the contact said it
    position = 0
    for draft in drafts:
        while position < draft.first:
            message = spoken[position][0]
            latest[message.sender_type == "contact"] = spoken[position]
            position += 1
        yield latest.get(draft.anchor.sender_type != "contact")


def _chunk(draft: _Draft, inbox: str, asked: tuple[Said, str] | None) -> Chunk:
    return Chunk(
        anchor=draft.anchor,
        index=draft.index,
        covers=list(dict.fromkeys(message.message_id for message in draft.messages)),
        sender_types=sorted({message.sender_type for message in draft.messages}),
        text="\n".join(draft.lines),
        context=transcripts.context(draft.anchor, inbox, asked),
    )
