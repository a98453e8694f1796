"""Workers tell that they are alive."""

from datetime import timedelta
from uuid import UUID

from proofdesk.database.pool import Database
from proofdesk.jobs import run_queries

FORGOTTEN_AFTER = timedelta(days=1)


async def register(db: Database, runner: str) -> UUID:
    """Make a worker known; workers that were not heard of for a day are forgotten."""
    async with db.transaction() as conn:
        return await run_queries.insert_worker(conn, runner, FORGOTTEN_AFTER)


async def beat(db: Database, worker_id: UUID) -> None:
    """The worker is alive."""
    async with db.transaction() as conn:
        await run_queries.beat_worker(conn, worker_id)


async def unregister(db: Database, worker_id: UUID) -> None:
    """The worker has stopped."""
    async with db.transaction() as conn:
        await run_queries.delete_worker(conn, worker_id)
