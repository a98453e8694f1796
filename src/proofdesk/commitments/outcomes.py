"""Decides what a later message shows about a commitment. Pure.

A delivery, a receipt, a new date or a complaint counts as certain only if it shares a content word with the commitment,
or comes from a promise of the same side about the same thing; otherwise it is a suggestion for a person.
"""

import re
from collections.abc import Collection, Sequence
from datetime import date
from functools import lru_cache
from zoneinfo import ZoneInfo

from proofdesk.commitments import outcome_words as words
from proofdesk.commitments.message_queries import StoredMessage
from proofdesk.commitments.register_queries import RegisteredCommitment, Resolution
from proofdesk.core.quotes import split_quotes
from proofdesk.indexing import stemmer

_WORD = re.compile(r"[^\W\d_]{4,}")
_LETTERS = 5
"""Words count as the same when they share a stem, or this many first letters: "заверим" and "заверили"."""


def resolve_all(
    commitments: Sequence[RegisteredCommitment],
    messages: Sequence[StoredMessage],
    zone: ZoneInfo,
    changed: Collection[tuple[int, int]],
) -> list[Resolution]:
    """Return what messages show about the commitments of their conversations, at most one resolution for each.

    Both are oldest first. Commitments are examined that are open, or whose state one of the `changed` messages showed;
    the first certain message counts, else the last that suggests something.
    """
    resolutions: list[Resolution] = []
    for key in dict.fromkeys((c.account_id, c.conversation_id) for c in commitments):
        own = [c for c in commitments if (c.account_id, c.conversation_id) == key]
        said = [message for message in messages if message.conversation == key]
        examined = [c for c in own if c.state in ("proposed", "open") or (c.account_id, c.resolved_by) in changed]
        found = (_resolve_one(c, own, said, zone) for c in examined if "state" not in c.edited)
        resolutions += [resolution for resolution in found if resolution is not None]
    return resolutions


def _resolve_one(
    commitment: RegisteredCommitment,
    commitments: Sequence[RegisteredCommitment],
    messages: Sequence[StoredMessage],
    zone: ZoneInfo,
) -> Resolution | None:
    suggestion: Resolution | None = None
    for message in messages:
        is_later = (message.created_at, message.message_id) > (commitment.said_at, commitment.message_id)
        if not is_later or message.message_id <= (commitment.ignored_message or 0):
            continue
        written_on = message.created_at.astimezone(zone).date()
        found = _replacement(commitment, commitments, message, written_on) or _outcome(
            commitment, commitments, message, written_on
        )
        if found and found.is_certain:
            return found
        suggestion = found or suggestion
    return suggestion


def _replacement(
    commitment: RegisteredCommitment,
    commitments: Sequence[RegisteredCommitment],
    message: StoredMessage,
    written_on: date,
) -> Resolution | None:
    """Return a resolution if the message promises the same again with another date: too late, the first is broken."""
    for later in commitments:
        if (
            (later.account_id, later.message_id) == (message.account_id, message.message_id)
            and later.promised_by == commitment.promised_by
            and later.due is not None
            and later.due != commitment.due
            and commitment.due is not None
        ):
            shared = _shares_word(commitment, later.quote)
            if commitment.due < written_on and (shared or words.RESCHEDULED.search(message.text)):
                return Resolution(commitment.id, "broken", message.message_id, None, shared)
            if shared or words.RESCHEDULED.search(message.text):
                return Resolution(commitment.id, "superseded", message.message_id, later.id, shared)
    return None


def _outcome(
    commitment: RegisteredCommitment,
    commitments: Sequence[RegisteredCommitment],
    message: StoredMessage,
    written_on: date,
) -> Resolution | None:
    text = split_quotes(message.text, lenient=True)[0]
    is_same_side = message.is_contact == (commitment.promised_by == "contact")
    shared = _shares_word(commitment, text)
    is_only_one = not any(c.id != commitment.id and _is_pending(c, commitment, message) for c in commitments)
    state = _shown_state(commitment, text, is_same_side, written_on)
    if state is None or not (shared or is_only_one):
        return None
    is_late = commitment.due is not None and commitment.due < written_on
    is_certain = shared and (state == "broken" or (state == "kept" and not is_late))
    return Resolution(commitment.id, state, message.message_id, None, is_certain)


def _is_pending(other: RegisteredCommitment, commitment: RegisteredCommitment, message: StoredMessage) -> bool:
    is_before = other.promised_by == commitment.promised_by and other.said_at < message.created_at
    return is_before and other.state in ("proposed", "open")


def _shown_state(commitment: RegisteredCommitment, text: str, is_same_side: bool, written_on: date) -> str | None:
    is_overdue = commitment.due is not None and commitment.due < written_on
    if is_overdue and words.MISSING.search(text):
        return "broken"
    if words.WITHDRAWN.search(text) and is_same_side:
        return "withdrawn"
    if words.MISSING.search(text):
        return None
    shown = words.DELIVERED if is_same_side else words.RECEIVED
    return "kept" if shown.search(text) else None


def _shares_word(commitment: RegisteredCommitment, text: str) -> bool:
    return bool(_content(commitment.quote, commitment.language) & _content(text, commitment.language))


@lru_cache(maxsize=4000)
def _content(text: str, language: str) -> frozenset[str]:
    """Return what identifies the subject of a text: stems of words with four letters and more, without the frequent."""
    found = {word for word in _WORD.findall(text.casefold()) if word not in _FREQUENT}
    return frozenset(stem[:_LETTERS] for word in found for stem in stemmer.word_terms(language, word)[:1])


_FREQUENT_WORDS = """
    will have with your this that from they them then than there here just also next week today tomorrow monday tuesday
    wednesday thursday friday saturday sunday send sent give tell know back over into before after month morning evening
    werden wird haben ihnen euch ihre ihren eine einen nächste woche heute morgen montag dienstag mittwoch donnerstag
    freitag samstag sonntag noch dann auch sich schicke bekommen bringe melde ende bitte danke
    будет будут вам вами завтра сегодня недели неделе понедельник вторник среду четверг пятницу субботу отправим пришлю
    пришлём после конца года может утром вечером
    para esta este mañana lunes martes miércoles jueves viernes sábado domingo semana antes próxima mando envío tiene
"""
_FREQUENT = frozenset(_FREQUENT_WORDS.split())
