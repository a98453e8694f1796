"""SQL of the worker processes."""

from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from proofdesk.database.rows import Conn, execute, fetch_all


@dataclass(frozen=True)
class WorkerProcess:
    """A worker process, the seconds since it last reported, and a hash of each setting that servers must share."""

    runner: str
    version: str
    fingerprints: dict[str, str]
    started_at: datetime
    seen_at: datetime
    silent_seconds: float


async def report_process(conn: Conn, runner: str, version: str, fingerprints: dict[str, str]) -> None:
    """Store that a process runs, and with which settings."""
    await execute(
        conn,
        """
        INSERT INTO worker_processes (runner, version, fingerprints)
        VALUES (%(runner)s, %(version)s, %(fingerprints)s)
        ON CONFLICT (runner) DO UPDATE
        SET seen_at = now(), version = excluded.version, fingerprints = excluded.fingerprints""",
        runner=runner,
        version=version,
        fingerprints=Jsonb(fingerprints),
    )


async def delete_process(conn: Conn, runner: str, hours: int) -> None:
    """Remove a process that stops, and all that have not reported for so many hours."""
    await execute(
        conn,
        """
        DELETE FROM worker_processes
        WHERE runner = %(runner)s OR seen_at < now() - make_interval(hours => %(hours)s)""",
        runner=runner,
        hours=hours,
    )


async def list_processes(conn: Conn) -> list[WorkerProcess]:
    """Return the processes that did not stop normally, the one that reported last first."""
    return await fetch_all(
        conn,
        WorkerProcess,
        """
        SELECT runner, version, fingerprints, started_at, seen_at,
               extract(epoch FROM now() - seen_at)::float AS silent_seconds
        FROM worker_processes ORDER BY seen_at DESC""",
    )
