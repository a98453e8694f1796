"""A sentence that may answer a question, with the evidence for it. Pure."""

from dataclasses import dataclass

from proofdesk.answers.statements import Statement


@dataclass(frozen=True)
class Evidence:
    """What speaks for a sentence. Shares are those of the topic words that are matched, by weight.

    `in_previous` is the share in the messages just before, which the sentence may answer. `missing_elsewhere` is the
    share of the topic words that few other conversations hold, and this one does not.
    `is_opening` tells that the contact begins the conversation with it.
    """

    in_sentence: float
    in_message: float
    in_previous: float
    missing: float
    missing_elsewhere: float
    has_value: bool
    is_from_us: bool
    is_question: bool
    is_opening: bool
    is_short: bool


@dataclass(frozen=True)
class RankedStatement:
    """A sentence with its score. `whole` is the share of the question that its conversation holds."""

    statement: Statement
    evidence: Evidence
    score: float
    whole: float
    names_match: bool
