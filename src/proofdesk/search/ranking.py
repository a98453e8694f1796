"""Putting conversations and their chunks in order. Pure.

The score of a conversation adds what words and meaning give, each stretched to 0…1 over the conversations compared:
a weighted sum of min-max normalised scores (Bruch, Gai and Ingber 2023, "An Analysis of Fusion Functions for Hybrid
Retrieval"). The weight was chosen on the labelled queries of `make eval`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from proofdesk.search.meaning_queries import ByMeaning, Candidate
from proofdesk.search.queries import ByWords, Key

WORDS = 0.7  # the share of the words; the rest is that of the meaning

_Of = Mapping[Key, float]


@dataclass(frozen=True)
class Ranked:
    """A conversation, its score (0 to 1, comparable within one answer) and its places in either ranking, from 1."""

    key: Key
    score: float
    by_words: int | None
    by_meaning: int | None


@dataclass(frozen=True)
class Placed:
    """A chunk in the list of hits."""

    chunk: Candidate
    score: float
    ranked: Ranked


def fused(by_words: Sequence[ByWords], by_meaning: Sequence[ByMeaning]) -> list[Ranked]:
    """All conversations found in either way, best first; what was not found in one way is the last there."""
    words = {found.key: found.score for found in by_words}
    meaning = {found.key: -found.distance for found in by_meaning}
    share = WORDS if words and meaning else float(bool(words))
    keys = [*(words | meaning)]
    spread_words, spread_meaning = _spread(words, keys, 0.0), _spread(meaning, keys, None)
    scores = {key: share * spread_words[key] + (1 - share) * spread_meaning[key] for key in keys}
    places = _places(words), _places(meaning)
    ordered = sorted(keys, key=lambda key: (-scores[key], key.account_id, -key.conversation_id))
    return [Ranked(key, scores[key], places[0].get(key), places[1].get(key)) for key in ordered]


def placed(
    ranked: Sequence[Ranked],
    chunks: Mapping[Key, Sequence[Candidate]],
    matched: Mapping[tuple[int, int, int], float],
    most: int,
    matching_only: bool,
) -> list[Placed]:
    """The hits in order: the best chunk of each conversation, then the second best of each, and so on.

    `matched` is what the words in a chunk are worth, by account, message and index. With `matching_only`, a chunk
    without one of the words does not count beyond the first, which stands for its conversation.
    """
    ordered = {one.key: _by_relevance(chunks.get(one.key, ()), matched) for one in ranked}
    placed: list[Placed] = []
    ceiling = 1.0
    for turn in range(max(map(len, ordered.values()), default=0)):
        of_turn: list[Placed] = []
        for one in ranked:
            if turn < len(ordered[one.key]):
                chunk = ordered[one.key][turn]
                if turn == 0 or not matching_only or matched.get(identity(chunk), 0):
                    of_turn.append(Placed(chunk, ceiling * one.score, one))
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


def _spread(scores: _Of, keys: Sequence[Key], missing: float | None) -> dict[Key, float]:
    """Scores of all keys stretched to 0…1. What has none gets `missing`, or the least there is."""
    least = min(scores.values(), default=0.0) if missing is None else missing
    found = {key: scores.get(key, least) for key in keys}
    low, high = min(found.values(), default=0.0), max(found.values(), default=0.0)
    if high == low:
        return dict.fromkeys(keys, 1.0 if scores else 0.0)
    return {key: (value - low) / (high - low) for key, value in found.items()}


def _places(scores: _Of) -> dict[Key, int]:
    ordered = sorted(scores, key=lambda key: -scores[key])
    return {key: place for place, key in enumerate(ordered, start=1)}
