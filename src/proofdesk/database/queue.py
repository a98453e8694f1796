"""The queue of jobs. A job is put in the transaction of the change that causes it: both happen, or neither."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import procrastinate

from proofdesk.database.rows import Conn


@cache
def app() -> procrastinate.App:
    """Procrastinate's application; `jobs.worker` registers what the jobs do."""
    return procrastinate.App(connector=procrastinate.PsycopgConnector())


async def enqueue(conn: Conn, job: str, **args: Any) -> int:
    """Queue a job by name with JSON arguments; workers see it when the transaction commits. Its number."""
    return await app().configure_task(job, connection=conn).defer_async(**args)


async def enqueue_all(conn: Conn, job: str, args: Sequence[dict[str, Any]]) -> None:
    """Queue a job once for each set of arguments, in one statement."""
    if args:
        await app().configure_task(job, connection=conn).batch_defer_async(*args)
