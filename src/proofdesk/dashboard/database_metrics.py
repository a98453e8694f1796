"""Metrics from the database, for the whole installation, with the workers on all machines."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from proofdesk.dashboard import metrics_queries, status
from proofdesk.dashboard.metrics_queries import ActiveRuns, ChunkCount, OutboundCount, RunTotal
from proofdesk.database.pool import Database
from proofdesk.errors import Unavailable
from proofdesk.settings import Settings

MAX_AGE_SECONDS = 10.0  # for any number of scrapes
_TIMEOUT_SECONDS = 5.0
_STATUSES = ("pending", "processing", "ready", "failed")


@dataclass(frozen=True)
class DatabaseFigures:
    """The figures of one moment."""

    totals: list[RunTotal]
    active_runs: list[ActiveRuns]
    queue_depth: int
    sync_lag: float | None
    chunks: list[ChunkCount]
    outbound: list[OutboundCount]
    workers: int


class MetricsCache:
    """The last figures, which are read again when they are old."""

    def __init__(self, db: Database, settings: Settings):
        self._db = db
        self._settings = settings
        self._lock = asyncio.Lock()
        self._read_at = float("-inf")
        self._figures: DatabaseFigures | None = None

    async def read(self) -> DatabaseFigures | None:
        """Return the figures, ten seconds old at most, or None while the database does not answer."""
        async with self._lock:
            if time.monotonic() - self._read_at > MAX_AGE_SECONDS:
                self._figures = await _read(self._db, self._settings)
                self._read_at = time.monotonic()
            return self._figures


async def _read(db: Database, settings: Settings) -> DatabaseFigures | None:
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            workers = await status.read_workers(db, settings)
            async with db.transaction() as conn:
                return DatabaseFigures(
                    await metrics_queries.run_totals(conn),
                    await metrics_queries.active_runs(conn),
                    await metrics_queries.queue_depth(conn),
                    await metrics_queries.sync_lag(conn),
                    await metrics_queries.chunks_by_status(conn),
                    await metrics_queries.outbound_by_status(conn),
                    workers.workers,
                )
    except (Unavailable, TimeoutError):
        return None


class DatabaseCollector(Collector):
    """The figures in the form of Prometheus."""

    def __init__(self, figures: DatabaseFigures | None):
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        """Yield the figures, and whether the database answered."""
        yield _gauge("proofdesk_database_up", "Whether the database answers.", int(self._figures is not None))
        if self._figures is not None:
            yield from _runs(self._figures)
            yield from _stored(self._figures)


def _runs(figures: DatabaseFigures) -> Iterator[Metric]:
    totals = CounterMetricFamily("proofdesk_runs", "Ended runs, by type and outcome.", labels=["job_type", "outcome"])
    for total in figures.totals:
        totals.add_metric([total.job_type, total.outcome], total.runs)
    yield totals
    active = GaugeMetricFamily(
        "proofdesk_runs_under_way", "Runs that are queued or running, by type.", labels=["job_type", "status"]
    )
    for row in figures.active_runs:
        active.add_metric([row.job_type, row.status], row.runs)
    yield active
    yield _gauge("proofdesk_queue_depth", "Jobs that wait for a worker.", figures.queue_depth)
    yield _gauge("proofdesk_workers", "Workers with a recent heartbeat.", figures.workers)


def _stored(figures: DatabaseFigures) -> Iterator[Metric]:
    if figures.sync_lag is not None:
        text = "Seconds since the last full sync of the source that is furthest behind."
        yield _gauge("proofdesk_sync_lag_seconds", text, figures.sync_lag)
    chunks = GaugeMetricFamily("proofdesk_chunks", "Chunks, by status of their embedding.", labels=["status"])
    counts = {c.status: c.chunks for c in figures.chunks}
    for name in _STATUSES:
        chunks.add_metric([name], counts.get(name, 0))
    yield chunks
    outbound = GaugeMetricFamily(
        "proofdesk_outbound_messages", "Outbound messages, by channel and status.", labels=["channel", "status"]
    )
    for message in figures.outbound:
        outbound.add_metric([message.channel, message.status], message.messages)
    yield outbound


def _gauge(name: str, text: str, number: float) -> Metric:
    return GaugeMetricFamily(name, text, value=number)
