"""Putting the chunks of conversations in order. Pure. Conversations are ranked in the database: `ranking_queries`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from proofdesk.search.ranking_queries import KEYWORD_SHARE, Candidate


class ScoredChunk(NamedTuple):
    """A chunk with its text, cleaned, and what the words of the question in it are worth together."""

    chunk: Candidate
    text: str
    weight: float


@dataclass(frozen=True)
class RankedChunk:
    """A chunk in the list of hits; `score` is comparable within one answer."""

    chunk: Candidate
    text: str
    score: float


def rank_chunks(conversations: Sequence[Sequence[ScoredChunk]], limit: int, matching_only: bool) -> list[RankedChunk]:
    """The hits in order: the best chunk of each conversation, then the second best of each, and so on.

    `conversations` are the chunks of each, the best conversation first. With `matching_only`, a chunk without one of
    the words does not count beyond the first, which stands for its conversation.
    """
    ordered = [_by_relevance(chunks) for chunks in conversations]
    placed: list[RankedChunk] = []
    ceiling = 1.0
    for turn in range(max(map(len, ordered), default=0)):
        of_turn: list[RankedChunk] = []
        for chunks in ordered:
            if turn < len(chunks):
                chunk, text, worth = chunks[turn]
                if turn == 0 or not matching_only or worth:
                    of_turn.append(RankedChunk(chunk, text, ceiling * chunk.score))
        placed += of_turn
        if len(placed) >= limit or not of_turn:
            break
        ceiling = of_turn[-1].score  # whoever sorts by score gets the same order
    return placed[:limit]


def _by_relevance(chunks: Sequence[ScoredChunk]) -> list[ScoredChunk]:
    """Chunks of one conversation by what their words are worth and by their nearness, as conversations are."""
    most = max((one.weight for one in chunks), default=0.0) or 1.0
    distances = [one.chunk.distance for one in chunks if one.chunk.distance is not None]
    farthest = max(distances, default=0.0)
    spread = farthest - min(distances, default=0.0) or 1.0

    def relevance(one: ScoredChunk) -> float:
        nearer = 0.0 if one.chunk.distance is None else farthest - one.chunk.distance
        return KEYWORD_SHARE * one.weight / most + (1 - KEYWORD_SHARE) * nearer / spread

    return sorted(chunks, key=relevance, reverse=True)
