"""Reads commitments from one message by rules, without a model. Pure.

A clause is a commitment if it matches a promise pattern of its language and nothing rules it out: a hedge, a negation,
a habit, a past tense, a question, a quotation or a report of what somebody else plans.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from proofdesk.commitments.extraction import clauses
from proofdesk.commitments.extraction.clauses import Clause
from proofdesk.commitments.extraction.due_dates import DueDate, find_due_date
from proofdesk.commitments.extraction.grammar import Grammar, PromisePattern
from proofdesk.commitments.extraction.languages import english, german, russian, spanish

Side = Literal["agent", "contact"]

GRAMMARS = {g.name: g for g in (english.GRAMMAR, german.GRAMMAR, russian.GRAMMAR, spanish.GRAMMAR)}
"""By the names of languages that `indexing.languages` uses."""
_CLOSE = 8  # characters between two clauses that follow each other
_MAX_ELLIPTIC_WORDS = 12
_ELLIPTIC_CONFIDENCE = 0.6


@dataclass(frozen=True)
class ExtractedCommitment:
    """A commitment in a message: the clause, the time named in it, and how sure the rules are (0 to 1)."""

    quote: str
    due: date | None
    due_text: str | None
    conditional: bool
    confidence: float


def extract(text: str, language: str, side: Side, today: date) -> list[ExtractedCommitment]:
    """Return the commitments in the text of a message. `today` is the day on which it was written."""
    grammar = GRAMMARS.get(language)
    if grammar is None:
        return []
    found = [
        c for sentence in clauses.own_sentences(text, grammar) for c in _Sentence(sentence, grammar, side, today).read()
    ]
    return list({commitment.quote: commitment for commitment in found}.values())


class _Sentence:
    def __init__(self, sentence: str, grammar: Grammar, side: Side, today: date) -> None:
        self.original, self.grammar, self.side, self.today = sentence, grammar, side, today
        self.text = clauses.hide_speech(sentence.replace("’", "'"))

    def read(self) -> Iterator[ExtractedCommitment]:
        parts = clauses.split_clauses(self.text, self.grammar, lambda piece: self._find(piece, None) is not None)
        conditions = [bool(self.grammar.conditions.match(part.text)) for part in parts]
        if any(c and self.grammar.idioms.search(part.text) for part, c in zip(parts, conditions, strict=True)):
            return  # "if anything comes up, I'll call": a set phrase
        found: list[tuple[Clause, float]] = []
        for part, is_condition in zip(parts, conditions, strict=True):
            if is_condition or clauses.is_question(self.text, part):
                continue
            confidence = self._confidence(part, found)
            if confidence and self._joins(part, found):
                before, sure = found.pop()
                found.append((replace(before, text=self.text[before.start : part.end], end=part.end), sure))
            elif confidence:
                found.append((part, confidence))
        yield from (self._finish(part, sure, any(conditions)) for part, sure in found)

    def _confidence(self, part: Clause, found: list[tuple[Clause, float]]) -> float:
        is_next = bool(found) and part.start - found[-1][0].end <= _CLOSE
        if part.continues and is_next and not self.grammar.drops_subject:
            return 0.0 if self._is_blocked(part.text) else found[-1][1]
        match = self._find(part.text, part)
        return match.confidence if match else 0.0

    def _joins(self, part: Clause, found: list[tuple[Clause, float]]) -> bool:
        """Return whether an act belongs to the one before it: that has no time of its own, or this one tells of it."""
        if not found or (part.start - found[-1][0].end > _CLOSE):
            return False
        if not part.continues:  # "we'll reprint them, you have them by Friday": one time for both
            return self._due(found[-1][0].text) is None and self._due(part.text) is not None
        return bool(self.grammar.announcements.search(part.text)) or self._due(found[-1][0].text) is None

    def _find(self, text: str, part: Clause | None) -> PromisePattern | None:
        """Return the pattern that makes a text a promise. `part` is None for a piece that may become a clause."""
        has_report = bool(self.grammar.sentence_blockers.search(self.text)) or (
            part is not None and bool(self.grammar.reports.search(self.text, 0, part.end))
        )
        due = self._due(text)
        for pattern in self.grammar.promises:
            if (has_report and not pattern.by_speaker) or not self._has_needed(pattern, due):
                continue
            if any(self._accepts(pattern, match, text) for match in pattern.pattern.finditer(text)):
                return pattern
        return None if has_report or self._is_request(part) else self._elliptic(text, due)

    def _accepts(self, pattern: PromisePattern, match: re.Match[str], text: str) -> bool:
        # After "I'll send" nothing in the clause takes the promise back, but "I'll probably send" is a hedge.
        end = match.end() if pattern.by_speaker and self.grammar.negates_before_verb else len(text)
        words = ((kind, word) for kind, word in match.groupdict().items() if word)
        is_verb = all(self.grammar.accepts_verb(kind, word.casefold()) for kind, word in words)
        return is_verb and not (self.grammar.blockers.search(text, 0, end) or self.grammar.idioms.search(text))

    def _elliptic(self, text: str, due: DueDate | None) -> PromisePattern | None:
        """Return a pattern for a clause without a verb, such as "the rest by Friday"."""
        is_short = 2 <= len(text.split()) <= _MAX_ELLIPTIC_WORDS
        if self.side != "agent" or due is None or due.day is None or due.day < self.today or not is_short:
            return None
        rest = text[: due.start] + text[due.end :]
        is_adverbial = due.is_deadline or not text[due.end :].strip() or due.start > 0
        if not is_adverbial or sum(map(str.isalpha, rest)) < 3 or self.grammar.finite.search(text):
            return None
        return None if self._is_blocked(text) else PromisePattern(self.grammar.finite, _ELLIPTIC_CONFIDENCE)

    def _is_request(self, part: Clause | None) -> bool:
        """Return whether the words before a clause ask for it: "please send us the file, the photos by Friday"."""
        return self._is_blocked(self.text[: part.start] if part else self.text)

    def _is_blocked(self, text: str) -> bool:
        return bool(self.grammar.blockers.search(text) or self.grammar.idioms.search(text))

    def _has_needed(self, pattern: PromisePattern, due: DueDate | None) -> bool:
        is_dated = due is not None and (due.day is None or due.day >= self.today)
        return not pattern.need or (is_dated and (pattern.need == "date" or self.side == "agent"))

    def _due(self, text: str) -> DueDate | None:
        return find_due_date(text, self.grammar, self.today)

    def _finish(self, part: Clause, confidence: float, conditional: bool) -> ExtractedCommitment:
        quote, due = self.original[part.start : part.end], self._due(part.text)
        return ExtractedCommitment(
            quote,
            due.day if due else None,
            quote[due.start : due.end].strip() if due else None,
            conditional,
            round(confidence + (0.05 if due and due.day else 0.0) - (0.1 if conditional else 0.0), 2),
        )
