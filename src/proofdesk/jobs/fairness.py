"""Turns: how long a run may keep its place at a worker.

A worker takes what waits in the order in which it came. A run that needs long would hold its place until it is done, so
at a batch or a page, where everything is stored, it asks whether its turn is over. If so it leaves off, goes to the end
of the queue, and is carried on from there, by whichever worker comes to it.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any

from proofdesk.core.progress import ReportProgress
from proofdesk.database import queue
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.jobs import run_queries
from proofdesk.jobs.run_queries import Run
from proofdesk.projects.scope import Scope

MIN_STEPS = 10
"""Batches or pages that a turn has at least, so that taking up the work again costs little beside it. More than one:
a first reading goes on a page earlier than it left off."""


class TimeSlice:
    """A run's turn. To the work it is a `Report`; `is_over` is its `LeaveOff`.

    `stopping` is set when the worker is asked to stop; without one there is no worker, and nobody to make room for.
    """

    def __init__(
        self, db: Database, scope: Scope, run: Run, listener: ReportProgress | None, stopping: asyncio.Event | None
    ):
        self._db, self._scope = db, scope
        self._before = (run.progress or {}).get("done", 0)
        self._listener, self._stopping = listener, stopping
        self._steps = 0
        self._over = False
        self._stage: dict[str, Any] = {}
        self.progress: dict[str, Any] | None = None
        self.is_cancelled = False  # somebody asked for it
        self.is_taken_away = False  # the run is another's by now

    def __call__(self, done: int, total: int | None, unit: str) -> None:
        if self.progress is None or unit != self.progress["unit"]:
            self._stage = {"done": done, "since": datetime.now(UTC).isoformat()}  # what its pace is told from
        self.progress = {"done": done, "total": total, "unit": unit, "stage": self._stage}
        if self._listener:
            self._listener(done, total, unit)

    @property
    def done(self) -> int:
        """What was done in this turn, as it was reported."""
        return max(0, self.progress["done"] - self._before) if self.progress else 0

    async def is_over(self) -> bool:
        """Count a step; whether the worker stops, or has worked long enough while other projects wait."""
        self._steps += 1
        if not self._over and self._stopping is not None:
            self._over = self._stopping.is_set() or (self._steps >= MIN_STEPS and await self._others_wait())
        return self._over

    async def _others_wait(self) -> bool:
        async with self._db.transaction() as conn:
            return await run_queries.other_projects_wait(conn, self._scope)


async def enqueue(conn: Conn, scope: Scope, run_id: object) -> None:
    """Put a queued run at the end of the queue."""
    await queue.enqueue(conn, "run", project_id=str(scope.project_id), run_id=str(run_id))
