"""What the extractor knows of a language: the shape of the tables in `languages`."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Need = Literal["", "date", "agent and date"]


@dataclass(frozen=True, eq=False)
class DateWords:
    """Words and patterns of dates.

    A key of a table is a regular expression, its value the number it stands for. `patterns` hold a pattern with
    `{weekday}`, `{month}`, `{number}`, `{unit}`, `{day}` or `{year}`, the name of its resolver in `calendar`, and
    numbers that the pattern does not name; an earlier pattern goes before a later one. `deadline` ("by") and `before`
    match what stands before a date, `weekends` lists the names of the weekend.
    """

    weekdays: Mapping[str, int]
    months: Mapping[str, int]
    numbers: Mapping[str, int]
    units: Mapping[str, int]
    patterns: Sequence[tuple[str, str, Mapping[str, int]]]
    deadline: re.Pattern[str]
    before: re.Pattern[str]
    weekends: frozenset[str]
    any_date: re.Pattern[str]


@dataclass(frozen=True)
class PromisePattern:
    """A way to promise. Named groups must pass the verb test of the grammar; `need` names what else must be there.

    `by_speaker` tells that the speaker is the subject, so that a report before it ("Anna says") does not matter.
    """

    pattern: re.Pattern[str]
    confidence: float
    need: Need = ""
    by_speaker: bool = False


@dataclass(frozen=True, eq=False)
class Grammar:
    """Patterns of a language.

    `promises` are tried in order. `blockers` (hedge, negation, habit, past) in a clause and `reports` before it in the
    sentence rule a promise out; `sentence_blockers` rule out all clauses of a sentence, and `idioms` a clause.
    `openers` begin a new clause after a comma, `conjunctions` without one; `continuations` join an act to the one
    before it, and `announcements` are acts that only tell of that one. `conditions` begin a clause with "if". `finite`
    finds words that a clause without a verb cannot have. `accepts_verb` gets the name and the word of a group of a
    promise pattern. `drops_subject` tells that "we'll send it" needs no "we", and `negates_before_verb` that nothing
    after the verb takes a promise back.
    """

    name: str
    dates: DateWords
    promises: Sequence[PromisePattern]
    blockers: re.Pattern[str]
    sentence_blockers: re.Pattern[str]
    idioms: re.Pattern[str]
    reports: re.Pattern[str]
    openers: re.Pattern[str]
    conjunctions: re.Pattern[str]
    continuations: re.Pattern[str]
    conditions: re.Pattern[str]
    event_time: re.Pattern[str]
    finite: re.Pattern[str]
    announcements: re.Pattern[str]
    accepts_verb: Callable[[str, str], bool] = field(default=lambda _kind, _word: True)
    drops_subject: bool = False
    negates_before_verb: bool = False


def compile_words(*alternatives: str) -> re.Pattern[str]:
    """Return a pattern that finds any of the alternatives as whole words, whatever their case."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(alternatives)})(?!\w)", re.IGNORECASE)


def compile_ending(*alternatives: str) -> re.Pattern[str]:
    """Return a pattern that finds any of the alternatives at the end of a text, with white space after it."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(alternatives)})\s*$", re.IGNORECASE)


def compile_start(*alternatives: str) -> re.Pattern[str]:
    """Return a pattern for `match` that accepts any of the alternatives as whole words."""
    return re.compile(rf"[\s\"'«„“(]*(?:{'|'.join(alternatives)})(?!\w)", re.IGNORECASE)


def promise(pattern: str, confidence: float, need: Need = "", *, by_speaker: bool = False) -> PromisePattern:
    """Return a promise pattern of whole words."""
    return PromisePattern(compile_words(pattern), confidence, need, by_speaker)
