"""One stage of indexing: it prepares and stores one kind of row, and quarantines conversations on which it fails."""

import asyncio
import traceback
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from proofdesk.chatwoot import progress_queries, quarantine_queries
from proofdesk.chatwoot.progress_queries import Index
from proofdesk.database.bisect import process_in_halves
from proofdesk.database.rows import Conn
from proofdesk.indexing.transcript_queries import ConversationKey, StaleConversation
from proofdesk.indexing.transcripts import Transcript
from proofdesk.projects.scope import Scope

Prepared = TypeVar("Prepared")


@dataclass(frozen=True)
class StoredRows:
    """How many rows were stored (new or changed) and how many were removed."""

    stored: int = 0
    removed: int = 0


class IndexingStage(ABC, Generic[Prepared]):
    """One index in one run: what it stored, and which conversations it quarantined.

    Another text of `rules` makes every conversation stale. A quarantined conversation is taken again by the next run.
    """

    index: Index
    rules: str

    def __init__(self) -> None:
        self.quarantined: set[ConversationKey] = set()
        self.stored = self.removed = 0

    @abstractmethod
    def prepare(self, transcript: Transcript) -> Prepared:
        """Compute the rows of a conversation. Runs in a thread."""

    @abstractmethod
    async def store(
        self, conn: Conn, scope: Scope, conversations: Sequence[StaleConversation], prepared: Sequence[Prepared]
    ) -> StoredRows:
        """Make the stored rows of conversations equal to the prepared ones."""

    async def process(
        self,
        conn: Conn,
        scope: Scope,
        transcripts: Sequence[Transcript],
        unreadable: Sequence[tuple[StaleConversation, str]],
    ) -> None:
        """Index those of the transcripts that are stale, and quarantine those `unreadable` or refused, with reasons."""
        failures = {conversation.key: reason for conversation, reason in unreadable if self.index in conversation.stale}
        stale = [transcript for transcript in transcripts if self.index in transcript.conversation.stale]
        prepared = await asyncio.to_thread(self._prepare, stale, failures)
        if prepared:
            results, refused = await process_in_halves(conn, prepared, partial(self._store, conn, scope))
            failures |= {transcript.conversation.key: reason for (transcript, _), reason in refused}
            self.stored += sum(rows.stored for rows in results)
            self.removed += sum(rows.removed for rows in results)
        succeeded = [t.conversation.key for t in stale if t.conversation.key not in failures]
        if succeeded:
            await quarantine_queries.release_conversations(conn, scope, self.index, succeeded)
        if failures:
            await quarantine_queries.quarantine_conversations(conn, scope, self.index, failures)
            self.quarantined |= failures.keys()

    def _prepare(
        self, transcripts: Sequence[Transcript], failures: dict[ConversationKey, str]
    ) -> list[tuple[Transcript, Prepared]]:
        prepared: list[tuple[Transcript, Prepared]] = []
        for transcript in transcripts:
            try:
                prepared.append((transcript, self.prepare(transcript)))
            except (ImportError, OSError):  # the installation is broken, not the conversation
                raise
            except Exception as error:
                failures[transcript.conversation.key] = _reason(error)
        return prepared

    async def _store(self, conn: Conn, scope: Scope, part: Sequence[tuple[Transcript, Prepared]]) -> StoredRows:
        conversations = [transcript.conversation for transcript, _ in part]
        rows = await self.store(conn, scope, conversations, [prepared for _, prepared in part])
        await progress_queries.mark_indexed(conn, scope, self.index, conversations)
        return rows


def _reason(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"Unexpected {type(error).__name__} in {Path(place.filename).name}, line {place.lineno}: {error}"
