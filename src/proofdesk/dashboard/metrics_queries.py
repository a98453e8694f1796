"""SQL of the metrics: numbers of the whole installation, through functions that return nothing but numbers."""

from dataclasses import dataclass

from proofdesk.database.rows import Conn, fetch_all, fetch_value


@dataclass(frozen=True)
class RunTotal:
    """The number of runs of a job type that ever ended with an outcome."""

    job_type: str
    outcome: str
    runs: int


@dataclass(frozen=True)
class ActiveRuns:
    """The number of queued or running runs of a job type."""

    job_type: str
    status: str
    runs: int


@dataclass(frozen=True)
class ChunkCount:
    """The number of chunks with a status."""

    status: str
    chunks: int


@dataclass(frozen=True)
class OutboundCount:
    """The number of messages of a channel with a status."""

    channel: str
    status: str
    messages: int


async def run_totals(conn: Conn) -> list[RunTotal]:
    """Return the number of ended runs, by job type and outcome."""
    return await fetch_all(
        conn,
        RunTotal,
        "SELECT job_type, status AS outcome, sum(runs)::bigint AS runs FROM run_totals GROUP BY 1, 2 ORDER BY 1, 2",
    )


async def active_runs(conn: Conn) -> list[ActiveRuns]:
    """Return the number of queued and running runs, by job type."""
    return await fetch_all(conn, ActiveRuns, "SELECT job_type, status, runs FROM runs_under_way() ORDER BY 1, 2")


async def queue_depth(conn: Conn) -> int:
    """Return the number of jobs that wait for a worker."""
    return await fetch_value(conn, "SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'")


async def sync_lag(conn: Conn) -> float | None:
    """Return the seconds since the last full sync of the source that is furthest behind, or None without schedules."""
    return await fetch_value(conn, "SELECT sync_lag()")


async def chunks_by_status(conn: Conn) -> list[ChunkCount]:
    """Return the number of chunks of all projects, by status."""
    return await fetch_all(conn, ChunkCount, "SELECT status, chunks FROM chunks_by_status() ORDER BY 1")


async def outbound_by_status(conn: Conn) -> list[OutboundCount]:
    """Return the number of messages of all projects, by channel and status."""
    return await fetch_all(
        conn, OutboundCount, "SELECT channel, status, messages FROM outbound_by_status() ORDER BY 1, 2"
    )
