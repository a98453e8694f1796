"""What a killed worker left behind is found by the others and tried again."""

import contextlib
from datetime import timedelta

from proofdesk import logging
from proofdesk.audit import events
from proofdesk.database import queue
from proofdesk.database.pool import Database
from proofdesk.errors import NotFound
from proofdesk.jobs import outcomes, run_queries, runs, schedule_queries
from proofdesk.jobs.outcomes import LOST_AFTER
from proofdesk.jobs.run_queries import RunningRun
from proofdesk.projects import scope

log = logging.get_logger(__name__)

INTERVAL_SECONDS = 10.0
"""How often each worker looks: with `LOST_AFTER`, a lost run is found within a minute."""


async def recover_lost_runs(db: Database, lost_after: timedelta = LOST_AFTER) -> None:
    """Bury runs whose worker is gone and queue another try, and queue again what dropped out of the queue.

    Any number of workers may do it at once.
    """
    async with db.transaction() as conn:
        await schedule_queries.show_all_projects(conn)
        found = await run_queries.running_runs(conn)
    for run in found:
        if outcomes.has_lost_worker(run.runner, run.heartbeat_at, lost_after):
            await _recover(db, run)
    async with db.transaction() as conn:
        await schedule_queries.show_all_projects(conn)
        dropped = await run_queries.unqueued_runs(conn, lost_after.total_seconds())
        args = [{"project_id": str(run.project_id), "run_id": str(run.run_id)} for run in dropped]
        await queue.enqueue_all(conn, "run", args)


async def _recover(db: Database, found: RunningRun) -> None:
    # Each in a transaction of its own project: one that cannot be recovered does not keep the others.
    with contextlib.suppress(NotFound):
        inside = await scope.enter(db, events.system_actor(found.request_id), found.project_id)
        async with db.scoped(inside) as conn:
            lost = await run_queries.run_by_id(conn, inside, found.run_id)
            if lost is None or (lost.runner, lost.heartbeat_at) != (found.runner, found.heartbeat_at):
                return
            if not await outcomes.mark_lost(conn, inside, lost):
                return
            if not outcomes.is_last_attempt(lost) and lost.cancel_requested_at is None:
                await runs.retry(conn, inside, lost)
        log.warning("a lost run was found", run_id=str(lost.id), job_type=lost.job_type, attempt=lost.attempt)
