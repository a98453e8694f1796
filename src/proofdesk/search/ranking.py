"""Order the chunks of ranked conversations. Pure. The database ranks conversations: see `ranking_queries`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from proofdesk.search.ranking_queries import KEYWORD_SHARE, Candidate


class ScoredChunk(NamedTuple):
    """A chunk with its cleaned text and the weight of the query words in it."""

    chunk: Candidate
    text: str
    weight: float


@dataclass(frozen=True)
class RankedChunk:
    """A chunk in the list of hits. `score` is comparable within one search only."""

    chunk: Candidate
    text: str
    score: float


def rank_chunks(conversations: Sequence[Sequence[ScoredChunk]], limit: int, matching_only: bool) -> list[RankedChunk]:
    """Return the best chunk of each conversation, then the second best of each, and so on.

    `conversations` holds the chunks of each conversation, the best conversation first. With `matching_only`, a
    conversation has more than one hit only if the further chunks hold words of the query.
    """
    ordered = [_by_relevance(chunks) for chunks in conversations]
    ranked: list[RankedChunk] = []
    max_score = 1.0
    for place in range(max(map(len, ordered), default=0)):
        at_place: list[RankedChunk] = []
        for chunks in ordered:
            if place < len(chunks):
                chunk, text, weight = chunks[place]
                if place == 0 or not matching_only or weight:
                    at_place.append(RankedChunk(chunk, text, max_score * chunk.score))
        ranked += at_place
        if len(ranked) >= limit or not at_place:
            break
        max_score = at_place[-1].score  # keeps the order of the list and the order of the scores the same
    return ranked[:limit]


def _by_relevance(chunks: Sequence[ScoredChunk]) -> list[ScoredChunk]:
    """Sort the chunks of a conversation by keywords and distance, weighted as conversations are."""
    max_weight = max((chunk.weight for chunk in chunks), default=0.0) or 1.0
    distances = [chunk.chunk.distance for chunk in chunks if chunk.chunk.distance is not None]
    farthest = max(distances, default=0.0)
    spread = farthest - min(distances, default=0.0) or 1.0

    def relevance(chunk: ScoredChunk) -> float:
        nearness = 0.0 if chunk.chunk.distance is None else farthest - chunk.chunk.distance
        return KEYWORD_SHARE * chunk.weight / max_weight + (1 - KEYWORD_SHARE) * nearness / spread

    return sorted(chunks, key=relevance, reverse=True)
