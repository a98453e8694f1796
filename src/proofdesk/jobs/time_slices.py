"""Time slices: how long a run may occupy a worker.

Workers take waiting jobs in the order in which they came. A run that needs long would block its worker. So it asks
between batches or pages, where everything is stored, whether its time slice is over. If so it stops, goes to the end of
the queue, and is continued from there by any worker.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any

from proofdesk.core.progress import ReportProgress
from proofdesk.database.pool import Database
from proofdesk.jobs import queue_queries
from proofdesk.jobs.run_queries import Run
from proofdesk.projects.scope import Scope

MIN_STEPS = 10
"""Batches or pages of a time slice at least, so that starting again costs little beside it. More than one: a first sync
starts again one page before the end of its last slice."""


class TimeSlice:
    """One uninterrupted execution of a run. To its handler it is a `ReportProgress`; `is_over` is its `ShouldStop`.

    `stopping` is set when the worker is asked to stop. A command has none, and makes no room for other projects.
    """

    def __init__(
        self, db: Database, scope: Scope, run: Run, listener: ReportProgress | None, stopping: asyncio.Event | None
    ):
        self._db, self._scope = db, scope
        self._done_before = (run.progress or {}).get("done", 0)
        self._listener, self._stopping = listener, stopping
        self._steps = 0
        self._over = False
        self._stage: dict[str, Any] = {}
        self.progress: dict[str, Any] | None = None
        self.is_taken_away = False  # another process has the run, or it is over

    def __call__(self, done: int, total: int | None, unit: str) -> None:
        if self.progress is None or unit != self.progress["unit"]:
            # The rate of a stage is computed from here.
            self._stage = {"done": done, "since": datetime.now(UTC).isoformat()}
        self.progress = {"done": done, "total": total, "unit": unit, "stage": self._stage}
        if self._listener:
            self._listener(done, total, unit)

    @property
    def done(self) -> int:
        """The number of items that were reported in this time slice."""
        return max(0, self.progress["done"] - self._done_before) if self.progress else 0

    async def is_over(self) -> bool:
        """Count a step. Return whether the worker stops, or the slice is long enough and another project waits."""
        self._steps += 1
        if not self._over and self._stopping is not None:
            self._over = self._stopping.is_set() or (self._steps >= MIN_STEPS and await self._is_another_waiting())
        return self._over

    async def _is_another_waiting(self) -> bool:
        async with self._db.transaction() as conn:
            return await queue_queries.is_another_project_waiting(conn, self._scope)
