"""Putting the chunks of conversations in order. Pure. Conversations are ranked in the database, see `queries`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proofdesk.search.queries import WORDS, Candidate


@dataclass(frozen=True)
class Placed:
    """A chunk in the list of hits; `score` is comparable within one answer."""

    chunk: Candidate
    score: float


def placed(
    conversations: Sequence[Sequence[Candidate]],
    matched: Mapping[tuple[int, int, int], float],
    most: int,
    matching_only: bool,
) -> list[Placed]:
    """The hits in order: the best chunk of each conversation, then the second best of each, and so on.

    `conversations` are the chunks of each, the best conversation first; `matched` is what the words in a chunk are
    worth, by account, message and index. With `matching_only`, a chunk without one of the words does not count beyond
    the first, which stands for its conversation.
    """
    ordered = [_by_relevance(chunks, matched) for chunks in conversations]
    placed: list[Placed] = []
    ceiling = 1.0
    for turn in range(max(map(len, ordered), default=0)):
        of_turn: list[Placed] = []
        for chunks in ordered:
            if turn < len(chunks):
                chunk = chunks[turn]
                if turn == 0 or not matching_only or matched.get(identity(chunk), 0):
                    of_turn.append(Placed(chunk, ceiling * chunk.score))
        placed += of_turn
        if len(placed) >= most or not of_turn:
            break
        ceiling = of_turn[-1].score  # whoever sorts by score gets the same order
    return placed[:most]


def identity(chunk: Candidate) -> tuple[int, int, int]:
    """What tells a chunk from all others of its project."""
    return chunk.account_id, chunk.message_id, chunk.chunk_index


def _by_relevance(chunks: Sequence[Candidate], matched: Mapping[tuple[int, int, int], float]) -> list[Candidate]:
    """Chunks of one conversation by what their words are worth and by their nearness, as conversations are."""
    worth = {identity(c): matched.get(identity(c), 0.0) for c in chunks}
    near = {identity(c): -c.distance for c in chunks if c.distance is not None}
    most = max(worth.values(), default=0.0) or 1.0
    low, high = min(near.values(), default=0.0), max(near.values(), default=0.0)

    def relevance(chunk: Candidate) -> float:
        key = identity(chunk)
        return WORDS * worth[key] / most + (1 - WORDS) * (near.get(key, low) - low) / ((high - low) or 1.0)

    return sorted(chunks, key=relevance, reverse=True)
