"""Tell strong hits from weak ones, with thresholds for each embedding model. Pure.

A hit is strong when its similarity and its share of the query words together reach the threshold of the model. The
thresholds were chosen on queries with and without an answer in the corpus: see `docs/search-quality.md`.
"""

from dataclasses import dataclass
from typing import Literal

from proofdesk.search.keyword import QueryTerms

Relevance = Literal["strong", "weak"]

ALL_WORDS = 0.95  # a hit with this share of the query words is strong, whatever it means
MOST_WORDS = 0.4  # the share that makes a hit strong when there is no vector
WORD_WEIGHT = 0.1  # weight of the share of words beside the cosine similarity


@dataclass(frozen=True)
class Calibration:
    """The thresholds of a model. `unknown_words` applies when the project holds no word of the query."""

    threshold: float
    unknown_words: float


CALIBRATIONS = {
    "local:e5-small": Calibration(0.85, 0.87),
    "local:use": Calibration(0.29, 0.31),
}


@dataclass(frozen=True)
class HitSignals:
    """What speaks for a hit: cosine similarity, None without a vector; share of the words; rank by keywords from 1."""

    similarity: float | None
    word_share: float
    by_words: int | None


def judge(model: str | None, terms: QueryTerms, signals: HitSignals) -> Relevance:
    """Return how relevant a hit is. With a `model` that is not calibrated, nearness in meaning is not judged."""
    return "strong" if _holds_words(terms, signals) or _is_near(model, terms, signals) else "weak"


def has_unknown_words_only(terms: QueryTerms) -> bool:
    """Return whether no conversation of the project holds a word of the query, not even a misspelt one."""
    return terms.total_weight > 0 and not terms.terms


def _holds_words(terms: QueryTerms, signals: HitSignals) -> bool:
    # Contacts are found by their address or number, which no message holds.
    return signals.word_share >= ALL_WORDS or (
        signals.by_words is not None and signals.by_words <= terms.exact_conversations
    )


def _is_near(model: str | None, terms: QueryTerms, signals: HitSignals) -> bool:
    if signals.similarity is None:
        return signals.word_share >= MOST_WORDS
    calibration = CALIBRATIONS.get(model or "")
    if calibration is None:
        return True
    limit = calibration.unknown_words if has_unknown_words_only(terms) else calibration.threshold
    return signals.similarity + WORD_WEIGHT * signals.word_share >= limit
