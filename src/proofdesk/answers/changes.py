"""Find what a later message changed: another date or price, a withdrawal. Pure."""

import re
from collections.abc import Sequence
from datetime import date

from proofdesk.answers.dates import find_dates
from proofdesk.answers.ranked import RankedStatement
from proofdesk.answers.statements import Statement

_CHANGE = re.compile(
    r"\b(?:instead|new date|moved?|postpone\w*|delay\w*|slip\w*|push\w* (?:back|out)|reschedul\w*|sorry"
    r"|unfortunately|afraid|apolog\w*"
    r"|can't make|won't (?:be|make|work|happen)|isn't going to|not going to|take (?:that|it) back|took back"
    r"|withdraw\w*|withdrew|actually|after all"
    r"|at the latest|cancel\w*|called off|no longer|shelved|correction|broke\w*|missed|behind schedule"
    r"|statt|stattdessen|leider|verscho\w+|verschieb\w+|verzöger\w*|zurücknehmen|zurückgenommen|zurückziehen"
    r"|doch erst|erst am|schaff\w+ (?:wir|ich|es) nicht"
    r"|tut (?:mir|uns) leid|entschuldig\w*|abgesagt|absagen|stornier\w*|hinfällig|spätestens|kaputt|ausgefallen"
    r"|к сожалению|перенос\w*|перенес\w*|сдви\w+|вместо|извин\w+|прост\w+те|не успе\w+|задерж\w+|отзыва\w+"
    r"|отозва\w+|отмен\w+|слома\w+|заболе\w+|не смо\w+"
    r"|no podr\w+|en lugar|en vez|lament\w+|lo siento|perd[oó]n\w*|disculp\w+|retras\w+|aplaz\w+|pospon\w+"
    r"|al final|cancel\w+|anul\w+|como muy tarde|sin falta|se cayó)\b",
    re.IGNORECASE,
)
_COMPARABLE = 0.5  # a statement about the same matter has this share of the best score


def follow(
    best: RankedStatement, candidates: Sequence[RankedStatement]
) -> tuple[RankedStatement, list[tuple[Statement, Statement]]]:
    """Return the statement that holds at the end, and the earlier ones with what replaced them.

    `candidates` are of the conversation of `best`. A later statement of the same side about the same matter replaces an
    earlier one when it names another day, or takes it back.
    """
    matter = [c for c in candidates if _is_same_matter(best, c)]
    later = [c for c in matter if _is_after(c, best) and _changes(best, c)]
    current = max(later, key=_time, default=best)
    replaced = [c for c in matter if _is_after(current, c) and _changes(c, current) and _days(c)]
    replaced.sort(key=lambda c: c.score, reverse=True)
    return current, [(old.statement, current.statement) for old in replaced[:1]]


def _is_same_matter(best: RankedStatement, other: RankedStatement) -> bool:
    return (
        other.score >= _COMPARABLE * best.score
        and other.statement.message.sender_type == best.statement.message.sender_type
        and not other.statement.text.endswith("?")
    )


def _changes(old: RankedStatement, new: RankedStatement) -> bool:
    before, after = _days(old), _days(new)
    if not _CHANGE.search(new.statement.message.content):
        return False
    if after:
        return bool(before) and before.isdisjoint(after)
    return _CHANGE.search(new.statement.text) is not None and bool(before)


def _days(candidate: RankedStatement) -> set[date]:
    """Return the days that a statement names, from the day it was written on."""
    written = candidate.statement.message.created_at.date()
    mentions = find_dates(candidate.statement.text, written)
    return {day for mention in mentions for day in mention.days if day >= written}


def _is_after(first: RankedStatement, second: RankedStatement) -> bool:
    return _time(first) > _time(second)


def _time(candidate: RankedStatement) -> tuple[object, int, int]:
    statement = candidate.statement
    return statement.message.created_at, statement.message.message_id, statement.place
