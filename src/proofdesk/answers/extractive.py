"""Answers without a model: the best sentences of the conversations, quoted and never paraphrased. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from proofdesk.answers import changes
from proofdesk.answers.ranked import Evidence, RankedStatement
from proofdesk.answers.statements import Statement

MAX_SENTENCES = 1
_COMPARABLE = 0.9  # a further sentence needs this share of the best score
MIN_STRENGTH = 0.9


@dataclass(frozen=True)
class Extract:
    """The sentences that answer, in order of time, and earlier statements with what replaced them.

    Both are empty when the evidence is weak; `nearest` holds the best sentences in any case.
    """

    answer: Sequence[Statement]
    superseded: Sequence[tuple[Statement, Statement]]
    nearest: Sequence[Statement]


def extract_answer(candidates: Sequence[RankedStatement]) -> Extract:
    """Return the sentences that answer, or only the nearest ones. `candidates` has the best first."""
    nearest = [c.statement for c in candidates[:MAX_SENTENCES]]
    strong = [c for c in candidates if is_strong(c)]
    if not strong:
        return Extract([], [], nearest)
    best = strong[0]
    same = [c for c in candidates if c.statement.message.conversation == best.statement.message.conversation]
    current, superseded = changes.follow(best, same)
    replaced = [old for old, _ in superseded]
    further = [
        c.statement
        for c in strong
        if c in same
        and c.statement not in replaced
        and c not in (best, current)
        and c.score >= _COMPARABLE * best.score
    ]
    answer = [current.statement, *further[: MAX_SENTENCES - 1]]
    answer.sort(key=lambda s: (s.message.created_at, s.message.message_id, s.place))
    return Extract(answer, superseded, nearest)


def is_strong(candidate: RankedStatement) -> bool:
    """Return whether a sentence is evidence enough to answer. This test alone decides when an answer abstains."""
    evidence = candidate.evidence
    return (
        candidate.names_match
        and evidence.has_value
        and not evidence.is_question
        and _strength(evidence) >= MIN_STRENGTH
    )


def _strength(evidence: Evidence) -> float:
    """Return the strength of the evidence. A topic that only other conversations have speaks against it."""
    return 2 * evidence.in_sentence + (0.5 if evidence.is_from_us else 0.0) - 3 * evidence.missing_elsewhere
