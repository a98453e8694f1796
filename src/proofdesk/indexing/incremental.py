"""Conversations that changed are taken a batch at a time, several batches side by side, until none is left."""

from collections.abc import Awaitable, Callable

from proofdesk.core.concurrency import run_concurrently
from proofdesk.core.progress import ReportProgress, is_power_of_two
from proofdesk.database.pool import Database
from proofdesk.indexing.chunking import queries

AT_ONCE = 2  # one batch is made while another is stored


async def refresh_statistics(db: Database) -> None:
    """Analyze the tables that search reads, as a job that wrote many rows must not wait for autovacuum."""
    async with db.transaction() as conn:
        await queries.refresh_statistics(conn)


async def catch_up(db: Database, batch: Callable[[], Awaitable[int]], total: int, report: ReportProgress, unit: str) -> int:
    """Take batches until one is empty; how many conversations there were. Reports them as `unit`, of at least `total`.

    `batch` works on conversations that nobody else has, in a transaction of its own, and returns how many. Statistics
    of the planner are refreshed each time the number of batches has doubled, and after the last of several.
    """
    done = batches = 0

    async def go_on() -> None:
        nonlocal done, batches
        while taken := await batch():
            done += taken
            batches += 1
            if is_power_of_two(batches):
                await refresh_statistics(db)
            report(done, max(total, done), unit)

    await run_concurrently(go_on, AT_ONCE)
    if batches > 1 and not is_power_of_two(batches):
        await refresh_statistics(db)
    return done
