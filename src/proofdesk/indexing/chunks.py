"""The stage that stores chunks. A chunk whose text did not change keeps its row and its vector."""

from collections.abc import Sequence

from proofdesk.database.rows import Conn
from proofdesk.indexing import chunk_queries
from proofdesk.indexing.chunk_queries import StoredChunk
from proofdesk.indexing.chunking import chunker
from proofdesk.indexing.chunking.chunker import Chunk, ChunkLimits
from proofdesk.indexing.stage import IndexingStage, StoredRows
from proofdesk.indexing.transcript_queries import StaleConversation
from proofdesk.indexing.transcripts import Transcript
from proofdesk.projects.scope import Scope


class ChunkStage(IndexingStage[list[Chunk]]):
    """Writes `rag_chunks`. Other limits make every conversation stale."""

    index = "chunks"

    def __init__(self, limits: ChunkLimits):
        super().__init__()
        self._limits = limits
        self.rules = f"{chunker.VERSION}/{limits.chunk_size}/{limits.min_embed_chars}"

    def prepare(self, transcript: Transcript) -> list[Chunk]:
        """Return the chunks of a conversation."""
        return chunker.split_transcript(transcript.messages, transcript.conversation.inbox, self._limits)

    async def store(
        self, conn: Conn, scope: Scope, conversations: Sequence[StaleConversation], prepared: Sequence[list[Chunk]]
    ) -> StoredRows:
        """Store chunks that are new or changed, and remove those that are gone."""
        stored = {_key(chunk): chunk for chunk in await chunk_queries.lock_chunks(conn, scope, conversations)}
        chunks = {(c.anchor.account_id, c.anchor.message_id, c.index): c for each in prepared for c in each}
        changed = [chunk for key, chunk in sorted(chunks.items()) if not _is_same(stored.get(key), chunk)]
        obsolete = [chunk for key, chunk in stored.items() if key not in chunks]
        return StoredRows(
            stored=await chunk_queries.upsert_chunks(conn, scope, changed) if changed else 0,
            removed=await chunk_queries.delete_chunks(conn, scope, obsolete) if obsolete else 0,
        )


def _key(chunk: StoredChunk) -> tuple[int, int, int]:
    return chunk.account_id, chunk.message_id, chunk.chunk_index


def _is_same(stored: StoredChunk | None, chunk: Chunk) -> bool:
    new = (chunk.content_hash, chunk.covers, chunk.anchor.quoted_from)
    return stored is not None and (stored.content_hash, stored.covers, stored.quoted_from) == new
