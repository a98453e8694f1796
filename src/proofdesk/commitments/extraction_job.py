"""The job that keeps the register: it reads the messages that were stored or changed since the last run.

A page of messages is one transaction: their commitments, what they show about earlier ones, and how far messages are
read. So a run that is killed continues where it stopped, and the cost of a new message does not depend on how many
there are. A page is read from where the last run began, less an overlap, and reading a message twice changes nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from proofdesk.audit import events
from proofdesk.chatwoot import progress_queries
from proofdesk.commitments import message_queries, outcomes, register, register_queries
from proofdesk.commitments.extraction import extractor
from proofdesk.commitments.message_queries import ConversationKey, ReadingPosition, StoredMessage
from proofdesk.commitments.register_queries import NewCommitment, RegisteredCommitment
from proofdesk.core.progress import ReportProgress, ShouldStop, ignore_progress, never_stop
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.indexing import languages, tokenizer
from proofdesk.projects import timezones
from proofdesk.projects.scope import Scope

VERSION = 1
"""Increase it when the extractor changes what it finds: all messages are read again. Edits of persons stay."""
OPEN_CONFIDENCE = 0.7
"""A commitment the rules are less sure of waits for a person as `proposed`."""

_OVERLAP = timedelta(minutes=10)  # a transaction that stores messages may end this long after it began
_PAGE_SIZE = 500
_MAX_TEXT = 20_000  # characters of a message
_RECENT_MESSAGES = 200  # of a conversation, in which later messages are looked for
_RECENT_COMMITMENTS = 200
_START = ReadingPosition(datetime(1970, 1, 1, tzinfo=UTC))


@dataclass(frozen=True)
class ExtractionTotals:
    """Messages that were read, and commitments stored (new or changed), removed, and closed or reopened."""

    messages: int = 0
    stored: int = 0
    removed: int = 0
    resolved: int = 0
    finished: bool = True

    def plus(self, page: "ExtractionTotals") -> "ExtractionTotals":
        """Return the sums of both."""
        return replace(
            self,
            messages=self.messages + page.messages,
            stored=self.stored + page.stored,
            removed=self.removed + page.removed,
            resolved=self.resolved + page.resolved,
        )


async def run(
    db: Database,
    scope: Scope,
    default_timezone: str,
    report: ReportProgress = ignore_progress,
    should_stop: ShouldStop = never_stop,
) -> ExtractionTotals:
    """Read new and changed messages into the register, page by page, until none is left or `should_stop` says so."""
    async with db.scoped(scope) as conn:
        zone = await timezones.load(conn, scope, default_timezone)
        rules = f"{VERSION} {zone.key}"
        position = await _start(conn, scope, rules)
        started_at = await message_queries.fetch_current_time(conn)
        total = await message_queries.count_unread(conn, scope, position)
    totals = ExtractionTotals()
    while True:
        async with db.scoped(scope) as conn:
            page = await message_queries.fetch_messages(conn, scope, position, _MAX_TEXT, _PAGE_SIZE)
            if page:
                totals = totals.plus(await _process(conn, scope, page, zone))
                position = ReadingPosition(page[-1].stored_at, page[-1].account_id, page[-1].message_id)
            is_last = len(page) < _PAGE_SIZE
            await _store_progress(conn, scope, rules, ReadingPosition(started_at - _OVERLAP) if is_last else position)
        report(totals.messages, max(total, totals.messages), "messages read")
        if is_last or await should_stop():
            return replace(totals, finished=is_last)


async def count_waiting(db: Database, scope: Scope, until: datetime) -> int:
    """Count the messages that were stored before `until` and are not read yet."""
    async with db.scoped(scope) as conn:
        progress = await message_queries.fetch_progress(conn, scope)
        position = _START
        if progress is not None:
            position = ReadingPosition(progress.stored_at, progress.meta["account"], progress.meta["message"])
        return await message_queries.count_unread(conn, scope, position, until)


async def _start(conn: Conn, scope: Scope, rules: str) -> ReadingPosition:
    progress = await message_queries.fetch_progress(conn, scope)
    if progress is None or progress.meta.get("rules") != rules:
        return _START
    return ReadingPosition(progress.stored_at, progress.meta["account"], progress.meta["message"])


async def _store_progress(conn: Conn, scope: Scope, rules: str, position: ReadingPosition) -> None:
    meta = {"rules": rules, "account": position.account_id, "message": position.message_id}
    await progress_queries.set_reading_progress(conn, scope, "commitments", position.stored_at, meta)


async def _process(conn: Conn, scope: Scope, page: Sequence[StoredMessage], zone: ZoneInfo) -> ExtractionTotals:
    conversations = sorted({message.conversation for message in page})
    recent = await message_queries.fetch_recent_messages(conn, scope, conversations, _MAX_TEXT, _RECENT_MESSAGES)
    rows = await asyncio.to_thread(_extract, page, recent, zone)
    removed = await register_queries.delete_missing(
        conn,
        scope,
        [(message.account_id, message.message_id) for message in page],
        [(row.account_id, row.message_id, row.quote) for row in rows],
    )
    stored = await register_queries.upsert_commitments(conn, scope, rows) if rows else 0
    resolved = await _resolve(conn, scope, page, recent, zone)
    if stored or removed or resolved:
        counts = {"stored": stored, "removed": removed, "resolved": resolved}
        await events.record(
            conn, scope.actor, "commitment.extracted", "project", scope.project_id, scope=scope, payload=counts
        )
    return ExtractionTotals(len(page), stored, removed, resolved)


def _extract(page: Sequence[StoredMessage], recent: Sequence[StoredMessage], zone: ZoneInfo) -> list[NewCommitment]:
    fallbacks = _conversation_languages(recent)
    return [row for message in page if message.text for row in _message_rows(message, fallbacks, zone)]


def _conversation_languages(recent: Iterable[StoredMessage]) -> dict[ConversationKey, str]:
    """Return the language of each conversation: that of a message of few words."""
    counts: dict[ConversationKey, Counter[str]] = {}
    for message in recent:
        counts.setdefault(message.conversation, Counter()).update(tokenizer.words(message.text))
    return {key: _language(words, languages.DEFAULT) for key, words in counts.items()}


def _language(words: Counter[str], fallback: str) -> str:
    cyrillic = sum(count for word, count in words.items() if languages.word_language(word, "") == languages.CYRILLIC)
    if 2 * cyrillic > words.total():
        return languages.CYRILLIC
    return languages.guess_language(words, fallback)


def _message_rows(
    message: StoredMessage, fallbacks: dict[ConversationKey, str], zone: ZoneInfo
) -> Iterable[NewCommitment]:
    fallback = fallbacks.get(message.conversation, languages.DEFAULT)
    language = _language(Counter(tokenizer.words(message.text)), fallback)
    today = message.created_at.astimezone(zone).date()
    for found in extractor.extract(message.text, language, "contact" if message.is_contact else "agent", today):
        yield NewCommitment(
            message.account_id,
            message.conversation_id,
            message.message_id,
            message.created_at,
            found.quote,
            "contact" if message.is_contact else "us",
            register.summarize(found.quote),
            found.due,
            found.due_text,
            found.conditional,
            language,
            found.confidence,
            "open" if found.confidence >= OPEN_CONFIDENCE else "proposed",
        )


async def _resolve(
    conn: Conn, scope: Scope, page: Sequence[StoredMessage], recent: Sequence[StoredMessage], zone: ZoneInfo
) -> int:
    """Store what the messages show about the commitments of their conversations, or no longer show."""
    conversations = sorted({message.conversation for message in page})
    registered = await register_queries.lock_commitments(conn, scope, conversations, _RECENT_COMMITMENTS)
    read = {(message.account_id, message.message_id) for message in page}
    resolutions = await asyncio.to_thread(outcomes.resolve_all, registered, recent, zone, read)
    resolved = {resolution.commitment_id for resolution in resolutions}
    unproven = [c.id for c in registered if c.id not in resolved and _depends_on(c, read) and not c.edited]
    changed = await register_queries.apply_resolutions(conn, scope, resolutions) if resolutions else 0
    return changed + (await register_queries.reopen(conn, scope, unproven) if unproven else 0)


def _depends_on(commitment: RegisteredCommitment, messages: set[tuple[int, int]]) -> bool:
    numbers = (commitment.resolved_by, commitment.suggested_by)
    return any((commitment.account_id, number) in messages for number in numbers if number is not None)
