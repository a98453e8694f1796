"""Metrics of the server processes. Of several processes, each writes to a file in PROMETHEUS_MULTIPROC_DIR, and the
one that is scraped adds them up.

No label grows with the data or with the requests.
"""

import asyncio
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, multiprocess, values
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from proofdesk.database.pool import Database
from proofdesk.jobs.events import RunFeed

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
SAMPLE_INTERVAL = 5.0  # seconds between two samples of what is in use
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class _Meters:
    """The metrics. Created at the first count: the command that starts the server has no folder at import."""

    def __init__(self) -> None:
        values.ValueClass = values.get_value_class()  # the library decides by the folder, but as it is imported
        self.own = own = CollectorRegistry()
        self.requests = Counter(
            "proofdesk_http_requests",
            "Responses, by route, method and status.",
            ["route", "method", "status"],
            registry=own,
        )
        self.latency = Histogram(
            "proofdesk_http_request_seconds",
            "Seconds until the response began, by route and method.",
            ["route", "method"],
            buckets=_SECONDS,
            registry=own,
        )
        self.pool = _in_use(own, "proofdesk_pool_connections", "Database connections, used or idle.", "state")
        self.waiting = _in_use(own, "proofdesk_pool_requests_waiting", "Requests that wait for a database connection.")
        self.viewers = _in_use(own, "proofdesk_event_viewers", "Open streams of runs.")


def _in_use(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Gauge:
    """Return a gauge that adds up all living processes."""
    return Gauge(name, text, labels, multiprocess_mode="livesum", registry=registry)


@cache
def _meters() -> _Meters:
    return _Meters()


@cache
def _response_metrics(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    return _meters().requests.labels(route, method, status), _meters().latency.labels(route, method)


def count_response(route: str | None, method: str, status: int, seconds: float) -> None:
    """Count a response. `route` is None for a path without a route, of which there is no end."""
    requests, latency = _response_metrics(route or "none", method if method in _METHODS else "other", status)
    requests.inc()
    latency.observe(seconds)


async def sample_continuously(db: Database, feed: RunFeed) -> None:
    """Sample every few seconds what is in use, until cancelled."""
    while True:
        sample(db, feed)
        await asyncio.sleep(SAMPLE_INTERVAL)


def sample(db: Database, feed: RunFeed) -> None:
    """Sample what this process has in use now."""
    meters, stats = _meters(), db.pool.get_stats()
    idle = stats.get("pool_available", 0)
    meters.pool.labels("idle").set(idle)
    meters.pool.labels("used").set(stats.get("pool_size", 0) - idle)
    meters.waiting.set(stats.get("requests_waiting", 0))
    meters.viewers.set(feed.viewers)


class ProcessCollector(Collector):
    """The metrics of all server processes of this machine."""

    def collect(self) -> Iterable[Metric]:
        """Return the metrics, added up."""
        folder = os.environ.get(FOLDER_VARIABLE)
        if folder is None:
            return _meters().own.collect()
        _remove_dead(Path(folder))
        return multiprocess.MultiProcessCollector(None, folder).collect()


def _remove_dead(folder: Path) -> None:
    """Remove the gauges of processes that are gone. Their counters stay."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not psutil.pid_exists(pid):
            multiprocess.mark_process_dead(pid, str(folder))
