"""The status of a project: its jobs, its contents, what waits, and whether a worker is alive."""

import importlib.resources
import time
from datetime import timedelta
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

from proofdesk.conversations import totals_queries
from proofdesk.conversations.totals_queries import EntityCounts
from proofdesk.dashboard import status_queries as queries
from proofdesk.dashboard.status_queries import Backlog, DailyWork, StorageSizes, Watermark, WorkerStatus
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.errors import Unavailable
from proofdesk.indexing import vector_queries as embedding_queries
from proofdesk.indexing.vector_queries import ChunkCounts
from proofdesk.jobs import run_queries
from proofdesk.jobs.run_queries import Run
from proofdesk.projects.scope import Scope
from proofdesk.settings import Settings

FIELDS: dict[str, Any] = {
    "jobs": list[dict[str, Any]],
    "rag_counts": ChunkCounts,
    "entities": EntityCounts,
    "storage": dict[str, Any],
    "watermarks": list[Watermark],
    "worker": WorkerStatus,
    "backlog": dict[str, int],
}
"""The fields of `read_status`, by name."""

SIZES_MAX_AGE = 30.0  # seconds

_measured: WeakKeyDictionary[Database, dict[UUID, tuple[float, StorageSizes]]] = WeakKeyDictionary()


async def read_status(db: Database, scope: Scope, settings: Settings) -> dict[str, Any]:
    """Return the fields of `FIELDS`. Sizes are up to 30 seconds old, and `scoped_logical_bytes` is an estimate."""
    async with db.scoped(scope) as conn:
        rag_counts = await embedding_queries.count_by_status(conn, scope)
        latest = await run_queries.latest_runs(conn, scope)
        entities = await totals_queries.count_entities(conn, scope)
        sizes = await _sizes(db, conn, scope)
        watermarks = await queries.watermarks(conn, scope)
        workers = await queries.worker_status(conn, worker_timeout(settings).total_seconds())
        backlog = await queries.backlog(conn, scope)
    return {
        "jobs": [_job(run) for run in latest],
        "rag_counts": rag_counts,
        "entities": entities,
        "storage": _storage(sizes, entities, rag_counts, settings),
        "watermarks": watermarks,
        "worker": workers,
        "backlog": _backlog(backlog, rag_counts),
    }


async def daily_work(db: Database, scope: Scope, days: int) -> list[DailyWork]:
    """Return what jobs did on each of the last days, in UTC, oldest first."""
    async with db.scoped(scope) as conn:
        return await queries.daily_work(conn, scope, days)


async def check_workers(db: Database, settings: Settings) -> WorkerStatus:
    """Return the status of the workers. Raises `Unavailable` (`worker_silent`) when none has a recent heartbeat."""
    workers = await read_workers(db, settings)
    if not workers.alive:
        seconds = worker_timeout(settings).total_seconds()
        message = f"No worker has sent a heartbeat for {seconds:g} seconds. Start one: `proofdesk worker`."
        raise Unavailable(message, code="worker_silent", configured=False)
    return workers


async def read_workers(db: Database, settings: Settings) -> WorkerStatus:
    """Return the status of the workers of this database, on all machines."""
    async with db.transaction() as conn:
        return await queries.worker_status(conn, worker_timeout(settings).total_seconds())


async def check_ready(db: Database) -> None:
    """Raise `Unavailable` unless the database answers and has every migration of this version."""
    async with db.transaction() as conn:
        applied = set(await queries.applied_migrations(conn))
    folder = importlib.resources.files("proofdesk.database") / "migrations"
    missing = sorted({f.name for f in folder.iterdir() if f.name.endswith(".sql")} - applied)
    if missing:
        message = f"{len(missing)} migrations are missing, {missing[0]} first. Run `proofdesk migrate`."
        raise Unavailable(message, code="database_not_migrated", configured=False)


def worker_timeout(settings: Settings) -> timedelta:
    """Return how old the heartbeat of a living worker may be."""
    return timedelta(seconds=max(60, 2.5 * settings.worker_interval_seconds))


def _job(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "job_name": run.job_type,
        "status": run.status,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "processed_count": run.processed_count,
        "progress": run.progress,
        "error": run.error,
        "error_details": run.error_details,
        "meta": run.meta,
    }


async def _sizes(db: Database, conn: Conn, scope: Scope) -> StorageSizes:
    # PostgreSQL asks the file system about each file of the database.
    measured = _measured.setdefault(db, {})
    at, sizes = measured.get(scope.project_id, (0.0, None))
    if sizes is None or time.monotonic() - at > SIZES_MAX_AGE:
        sizes = await queries.storage_sizes(conn, scope)
        measured[scope.project_id] = (time.monotonic(), sizes)
    return sizes


def _storage(sizes: StorageSizes, entities: EntityCounts, chunks: ChunkCounts, settings: Settings) -> dict[str, Any]:
    budget = int(settings.storage_budget_gb * 1024**3)
    logical = (
        sizes.message * entities.messages
        + sizes.chunk * entities.rag_chunks
        + sizes.vector * chunks.ready
        + sizes.conversation * entities.conversations
        + sizes.contact * entities.contacts
    )
    return {
        "database_bytes": sizes.database_bytes,
        "scoped_logical_bytes": round(logical),
        "budget_bytes": budget,
        "usage_percent": round(sizes.database_bytes / budget * 100, 2),
        "table_bytes": sizes.table_bytes,
    }


def _backlog(backlog: Backlog, chunks: ChunkCounts) -> dict[str, int]:
    waiting = chunks.pending + chunks.processing
    return {**vars(backlog), "embeddings_pending": waiting}
