"""Chunks that failed to be embedded: each is named by its message, and can be tried again or skipped."""

from dataclasses import dataclass
from datetime import datetime

from proofdesk.audit import events
from proofdesk.core import ids
from proofdesk.database.pool import Database
from proofdesk.errors import Invalid, NotFound
from proofdesk.indexing import failed_chunk_queries as queries
from proofdesk.projects.scope import Scope

MAX_LISTED = 200


class FailedChunkNotFound(NotFound):
    """The project has no failed chunk with this id."""

    code = "failed_chunk_not_found"


@dataclass(frozen=True)
class FailedChunk:
    """A failed chunk, with the global ids of its message and conversation."""

    id: str
    message_global_id: str
    conversation_global_id: str
    error: str
    attempts: int
    skipped_at: datetime | None


async def list_failed(db: Database, scope: Scope, limit: int = MAX_LISTED) -> list[FailedChunk]:
    """Return failed chunks: those that nobody skipped first."""
    async with db.scoped(scope) as conn:
        rows = await queries.list_failed(conn, scope, limit)
    return [
        FailedChunk(
            ids.chunk(scope.project_id, row.account_id, row.message_id, row.chunk_index),
            ids.message(scope.project_id, row.account_id, row.message_id),
            ids.conversation(scope.project_id, row.account_id, row.conversation_id),
            row.error,
            row.attempts,
            row.skipped_at,
        )
        for row in rows
    ]


async def skip(db: Database, scope: Scope, chunk_id: str) -> None:
    """Leave a failed chunk without an embedding; keywords still find it. Raises `FailedChunkNotFound` or `Invalid`."""
    scope.require("editor")
    key = _parse(chunk_id)
    async with db.scoped(scope) as conn:
        if not await queries.skip(conn, scope, *key):
            raise FailedChunkNotFound(_MISSING)
        await events.record(conn, scope.actor, "embeddings.chunk_skipped", "rag_chunk", chunk_id, scope=scope)


async def retry(db: Database, scope: Scope, chunk_id: str) -> None:
    """Let the next run embed a failed chunk. Raises `FailedChunkNotFound` or `Invalid`."""
    scope.require("editor")
    key = _parse(chunk_id)
    async with db.scoped(scope) as conn:
        if not await queries.retry(conn, scope, *key):
            raise FailedChunkNotFound(_MISSING)
        await events.record(conn, scope.actor, "embeddings.chunk_retried", "rag_chunk", chunk_id, scope=scope)


_MISSING = "The project has no failed chunk with this id."


def _parse(chunk_id: str) -> tuple[int, int, int]:
    message_id, _, index = chunk_id.partition("#")
    if not (index.isascii() and index.isdigit() and len(index) < 6):
        raise Invalid("A chunk id ends with # and a number, such as cwmsg:<project>:<account>:<message>#0.")
    parsed = ids.parse(message_id, "message")
    return parsed.account_id, parsed.number, int(index)
