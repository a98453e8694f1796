"""SQL of what is watched: numbers of the whole installation, through functions that give nothing but numbers."""

from dataclasses import dataclass

from proofdesk.database.rows import Conn, fetch_all, fetch_value


@dataclass(frozen=True)
class RunTotal:
    """How many runs of a type ended in one way, ever."""

    job_type: str
    outcome: str
    runs: int


@dataclass(frozen=True)
class ActiveRuns:
    """How many runs of a type are queued or running."""

    job_type: str
    status: str
    runs: int


@dataclass(frozen=True)
class ChunkCount:
    """How many chunks have a status."""

    status: str
    chunks: int


@dataclass(frozen=True)
class OutboundCount:
    """How many messages of a channel have a status."""

    channel: str
    status: str
    messages: int


async def run_totals(conn: Conn) -> list[RunTotal]:
    """Ended runs, by type and outcome."""
    return await fetch_all(
        conn,
        RunTotal,
        "SELECT job_type, status AS outcome, sum(runs)::bigint AS runs FROM run_totals GROUP BY 1, 2 ORDER BY 1, 2",
    )


async def active_runs(conn: Conn) -> list[ActiveRuns]:
    """Runs that are queued or running."""
    return await fetch_all(conn, ActiveRuns, "SELECT job_type, status, runs FROM runs_under_way() ORDER BY 1, 2")


async def queue_depth(conn: Conn) -> int:
    """Jobs that wait for a worker."""
    return await fetch_value(conn, "SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'")


async def sync_lag(conn: Conn) -> float | None:
    """Seconds since the source that waits longest was read to the end; None when none is read by schedule."""
    return await fetch_value(conn, "SELECT sync_lag()")


async def chunks_by_status(conn: Conn) -> list[ChunkCount]:
    """Chunks of all projects."""
    return await fetch_all(conn, ChunkCount, "SELECT status, chunks FROM chunks_by_status() ORDER BY 1")


async def outbound_by_status(conn: Conn) -> list[OutboundCount]:
    """Messages of all projects."""
    return await fetch_all(
        conn, OutboundCount, "SELECT channel, status, messages FROM outbound_by_status() ORDER BY 1, 2"
    )
