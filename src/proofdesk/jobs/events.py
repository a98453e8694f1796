"""Runs as they change, for whoever watches, in any number of processes.

worker_runs ──trigger, NOTIFY──▶ one listening connection a process ──▶ one reading a project ──▶ every viewer of it

A notification carries ids only. What changed is read inside the project, once for all its viewers, and a viewer who
is slow finds the newest state of each run when he comes back. Whatever breaks is mended in one way: connect again, and
show every viewer the current state.
"""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import psycopg

from proofdesk import logging
from proofdesk.database.pool import Database
from proofdesk.database.rows import Conn
from proofdesk.database.sessions import DatabaseSession
from proofdesk.errors import ProofdeskError
from proofdesk.jobs import run_queries
from proofdesk.jobs.run_queries import Run
from proofdesk.projects.scope import Scope

log = logging.get_logger(__name__)

TOGETHER = 0.05  # seconds in which notifications gather, so that a burst is read at once
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
KEPT = 100  # runs that wait for a viewer; of more, the oldest news is dropped
# A network that swallows everything is noticed in half a minute.
_ALIVE: dict[str, Any] = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}


class RunFeed:
    """The runs of all projects that somebody in this process watches. It connects when the first viewer comes."""

    def __init__(self, db: Database, url: str):
        self._db = db
        self._url = url
        self._viewers: dict[UUID, set[_Viewer]] = defaultdict(set)
        self._changed: dict[UUID, set[UUID]] = defaultdict(set)
        self._news = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._closed = False

    async def follow(self, scope: Scope, quiet: float) -> AsyncGenerator[Run | None, None]:
        """The newest run of each job type of the project, then each as it changes; None after so many quiet seconds.

        It goes on while the database is away, and ends when the process is about to stop.
        """
        viewer = _Viewer(scope)
        self._welcome(viewer)
        try:
            while not self._closed:
                try:
                    async with asyncio.timeout(quiet):
                        await viewer.woken.wait()
                except TimeoutError:
                    yield None
                while viewer.waiting and not self._closed:
                    yield viewer.take()
        finally:
            self._say_goodbye(viewer)

    @property
    def viewers(self) -> int:
        """How many follow."""
        return len(self._everybody())

    def close(self) -> None:
        """Let every viewer go, and whoever comes later."""
        self._closed = True
        if self._listening is not None:
            self._listening.cancel()
        for viewer in self._everybody():
            viewer.woken.set()

    async def aclose(self) -> None:
        """Close, and wait until the connection is given back."""
        self.close()
        if self._listening is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening

    def _welcome(self, viewer: "_Viewer") -> None:
        self._viewers[viewer.scope.project_id].add(viewer)
        self._news.set()
        if self._listening is None and not self._closed:
            self._listening = asyncio.create_task(self._listen())

    def _say_goodbye(self, viewer: "_Viewer") -> None:
        of_project = self._viewers[viewer.scope.project_id]
        of_project.discard(viewer)
        if not of_project:
            del self._viewers[viewer.scope.project_id]

    def _everybody(self) -> list["_Viewer"]:
        return [viewer for of_project in self._viewers.values() for viewer in of_project]

    # Listening and reading ------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Stay connected for as long as the process lives."""
        pause = FIRST_PAUSE
        while not self._closed:
            try:
                async with await self._connected() as conn, asyncio.TaskGroup() as tasks:
                    pause = FIRST_PAUSE
                    tasks.create_task(self._hear(conn))
                    tasks.create_task(self._read())
            except* (psycopg.Error, ProofdeskError, OSError) as broken:
                log.warning("changes of runs are not heard of; connecting again", error=str(broken.exceptions[0]))
            except* Exception:
                log.exception("the feed of runs crashed; connecting again")
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _connected(self) -> Conn:
        conn = await DatabaseSession.connect(
            self._url, application_name="proofdesk events", connect_timeout=10, **_ALIVE
        )
        await run_queries.listen(conn)
        # What changed while nobody listened is in the current state.
        for viewer in self._everybody():
            viewer.is_new = True
        self._news.set()
        return conn

    async def _hear(self, conn: Conn) -> None:
        async for told in conn.notifies():
            project_id, run_id = map(UUID, told.payload.split())
            if project_id in self._viewers:
                self._changed[project_id].add(run_id)
                self._news.set()
        raise psycopg.OperationalError("the connection was closed")

    async def _read(self) -> None:
        while True:
            await self._news.wait()
            await asyncio.sleep(TOGETHER)
            self._news.clear()
            changed, self._changed = self._changed, defaultdict(set)
            for project_id in list(self._viewers):
                await self._tell(list(self._viewers.get(project_id, ())), changed[project_id])

    async def _tell(self, viewers: list["_Viewer"], changed: set[UUID]) -> None:
        """One reading for all viewers of a project. Readings follow each other, so that none brings an older state."""
        newcomers = [viewer for viewer in viewers if viewer.is_new]
        if not viewers or not (changed or newcomers):
            return
        scope = viewers[0].scope
        async with self._db.scoped(scope) as conn:
            found = await run_queries.changed_runs(conn, scope, list(changed), with_latest=bool(newcomers))
        for viewer in viewers:
            viewer.hear([run for run in found if viewer.is_new or run.id in changed])
            viewer.is_new &= viewer not in newcomers


class _Viewer:
    """Somebody who watches a project, and what he has not seen yet."""

    def __init__(self, scope: Scope):
        self.scope = scope
        self.is_new = True
        self.waiting: dict[UUID, Run] = {}
        self.woken = asyncio.Event()

    def hear(self, runs: list[Run]) -> None:
        for run in runs:
            self.waiting.pop(run.id, None)
            self.waiting[run.id] = run
        for oldest in list(self.waiting)[:-KEPT]:
            del self.waiting[oldest]
        if self.waiting:
            self.woken.set()

    def take(self) -> Run:
        oldest = next(iter(self.waiting))
        run = self.waiting.pop(oldest)
        if not self.waiting:
            self.woken.clear()
        return run
