"""Live updates of runs, for any number of viewers in any number of processes.

worker_runs ──trigger, NOTIFY──▶ one listening connection per process ──▶ one read per project ──▶ every viewer of it

A notification carries ids only. The changes are read inside the project, once for all its viewers. A slow viewer gets
the newest state of each run. After any error the feed connects again and shows every viewer the current state.
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

BATCH_SECONDS = 0.05  # in which notifications are collected, so that a burst is read at once
MIN_PAUSE, MAX_PAUSE = 0.2, 5.0  # seconds before connecting again
MAX_WAITING = 100  # runs that wait for a viewer; the oldest changes beyond that are dropped
# A connection that broke silently is noticed within half a minute.
_KEEPALIVE: dict[str, Any] = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}


class RunFeed:
    """The changes of runs for the viewers of this process. It connects when the first viewer comes."""

    def __init__(self, db: Database, url: str):
        self._db = db
        self._url = url
        self._viewers: dict[UUID, set[_Viewer]] = defaultdict(set)
        self._changed: dict[UUID, set[UUID]] = defaultdict(set)
        self._changes_known = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._closed = False

    async def follow(self, scope: Scope, quiet: float) -> AsyncGenerator[Run | None, None]:
        """Yield the newest run of each job type, then each run as it changes, and None after so many quiet seconds.

        It continues while the database is away, and ends when the process stops.
        """
        viewer = _Viewer(scope)
        self._add_viewer(viewer)
        try:
            while not self._closed:
                try:
                    async with asyncio.timeout(quiet):
                        await viewer.has_changes.wait()
                except TimeoutError:
                    yield None
                while viewer.waiting and not self._closed:
                    yield viewer.take()
        finally:
            self._remove_viewer(viewer)

    @property
    def viewers(self) -> int:
        """The number of viewers."""
        return len(self._all_viewers())

    def close(self) -> None:
        """End the feed of every viewer, also of those who come later."""
        self._closed = True
        if self._listening is not None:
            self._listening.cancel()
        for viewer in self._all_viewers():
            viewer.has_changes.set()

    async def aclose(self) -> None:
        """Close, and wait until the connection is closed."""
        self.close()
        if self._listening is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening

    def _add_viewer(self, viewer: "_Viewer") -> None:
        self._viewers[viewer.scope.project_id].add(viewer)
        self._changes_known.set()
        if self._listening is None and not self._closed:
            self._listening = asyncio.create_task(self._listen())

    def _remove_viewer(self, viewer: "_Viewer") -> None:
        viewers = self._viewers[viewer.scope.project_id]
        viewers.discard(viewer)
        if not viewers:
            del self._viewers[viewer.scope.project_id]

    def _all_viewers(self) -> list["_Viewer"]:
        return [viewer for viewers in self._viewers.values() for viewer in viewers]

    # Listening and reading ------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Stay connected until the feed is closed."""
        pause = MIN_PAUSE
        while not self._closed:
            try:
                async with await self._connect() as conn, asyncio.TaskGroup() as tasks:
                    pause = MIN_PAUSE
                    tasks.create_task(self._receive(conn))
                    tasks.create_task(self._read())
            except* (psycopg.Error, ProofdeskError, OSError) as broken:
                log.warning("the feed of runs lost its connection; connecting again", error=str(broken.exceptions[0]))
            except* Exception:
                log.exception("the feed of runs crashed; connecting again")
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
            pause = min(pause * 2, MAX_PAUSE)

    async def _connect(self) -> Conn:
        conn = await DatabaseSession.connect(
            self._url, application_name="proofdesk events", connect_timeout=10, **_KEEPALIVE
        )
        try:
            await run_queries.listen(conn)
        except BaseException:
            await conn.close()
            raise
        # Changes before this moment are in the current state.
        for viewer in self._all_viewers():
            viewer.is_new = True
        self._changes_known.set()
        return conn

    async def _receive(self, conn: Conn) -> None:
        async for notification in conn.notifies():
            project_id, run_id = map(UUID, notification.payload.split())
            if project_id in self._viewers:
                self._changed[project_id].add(run_id)
                self._changes_known.set()
        raise psycopg.OperationalError("the connection was closed")

    async def _read(self) -> None:
        while True:
            await self._changes_known.wait()
            await asyncio.sleep(BATCH_SECONDS)
            self._changes_known.clear()
            changed, self._changed = self._changed, defaultdict(set)
            for project_id in list(self._viewers):
                await self._update(list(self._viewers.get(project_id, ())), changed[project_id])

    async def _update(self, viewers: list["_Viewer"], changed: set[UUID]) -> None:
        """Read the changes once for all viewers of a project. Reads never overlap, so none returns an older state."""
        newcomers = [viewer for viewer in viewers if viewer.is_new]
        if not viewers or not (changed or newcomers):
            return
        scope = viewers[0].scope
        async with self._db.scoped(scope) as conn:
            runs = await run_queries.changed_runs(conn, scope, list(changed), with_latest=bool(newcomers))
        for viewer in viewers:
            viewer.add([run for run in runs if viewer.is_new or run.id in changed])
            viewer.is_new &= viewer not in newcomers


class _Viewer:
    """A viewer of a project, and the changes they have not seen yet."""

    def __init__(self, scope: Scope):
        self.scope = scope
        self.is_new = True
        self.waiting: dict[UUID, Run] = {}
        self.has_changes = asyncio.Event()

    def add(self, runs: list[Run]) -> None:
        for run in runs:
            self.waiting.pop(run.id, None)
            self.waiting[run.id] = run
        for oldest in list(self.waiting)[:-MAX_WAITING]:
            del self.waiting[oldest]
        if self.waiting:
            self.has_changes.set()

    def take(self) -> Run:
        oldest = next(iter(self.waiting))
        run = self.waiting.pop(oldest)
        if not self.waiting:
            self.has_changes.clear()
        return run
