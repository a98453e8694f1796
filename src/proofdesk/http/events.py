"""The stream of run updates behind the server-sent events of the active project."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import Depends, Request

from proofdesk.accounts import sessions
from proofdesk.errors import Unavailable
from proofdesk.http.cookies import session_token
from proofdesk.http.dependencies import IS_HEAD, project_reader
from proofdesk.jobs.run_queries import Run
from proofdesk.projects import scope as project_scope
from proofdesk.projects.scope import Scope

KEEP_ALIVE = 15.0  # seconds between signs of life on an open stream, and between checks that it may continue


async def run_updates(request: Request, scope: Annotated[Scope, Depends(project_reader)]) -> AsyncIterator[Run | None]:
    """Return the runs of the active project: the newest of each type, then each as it changes; None while idle.

    The stream ends with the session, with the right to read the project, and when another project becomes active.
    """
    return _stream(request, scope)


RunUpdates = Annotated[AsyncIterator[Run | None], Depends(run_updates)]


async def _stream(request: Request, scope: Scope) -> AsyncIterator[Run | None]:
    if request.scope.get(IS_HEAD):
        return
    checked_at = time.monotonic()
    async with aclosing(request.state.resources.feed.follow(scope, KEEP_ALIVE)) as runs:
        async for run in runs:
            if run is None or time.monotonic() - checked_at >= KEEP_ALIVE:
                if not await _may_continue(request, scope):
                    return
                checked_at = time.monotonic()
            yield run


async def _may_continue(request: Request, scope: Scope) -> bool:
    token = session_token(request)
    try:
        async with asyncio.timeout(KEEP_ALIVE):
            session = await sessions.load_session(request.state.resources.db, token, mark_seen=False) if token else None
    except (Unavailable, TimeoutError):
        return True  # without its database the server has nothing to reveal
    return session is not None and project_scope.active_scope(scope.actor, session) == scope
