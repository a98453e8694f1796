"""What a server process counts about itself. With several processes each writes to a file of the folder that
PROMETHEUS_MULTIPROC_DIR names, and whichever is asked adds them up.

Nothing here has a label that grows with what is stored or asked for.
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
SAMPLE_INTERVAL = 5.0  # seconds between looks at what is in use
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class _Meters:
    """Made when a server process first counts: the command that starts these has no folder while it is imported."""

    def __init__(self) -> None:
        values.ValueClass = values.get_value_class()  # the library decides by the folder, but as it is imported
        self.own = own = CollectorRegistry()
        self.requests = Counter(
            "proofdesk_http_requests",
            "Answers, by route, method and status.",
            ["route", "method", "status"],
            registry=own,
        )
        self.latency = Histogram(
            "proofdesk_http_request_seconds",
            "Seconds until the answer began, by route and method.",
            ["route", "method"],
            buckets=_SECONDS,
            registry=own,
        )
        self.pool = _in_use(own, "proofdesk_pool_connections", "Database connections, used or idle.", "state")
        self.waiting = _in_use(own, "proofdesk_pool_requests_waiting", "Who waits for a database connection.")
        self.viewers = _in_use(own, "proofdesk_event_viewers", "Open streams of runs.")


def _in_use(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Gauge:
    """What all living processes have together."""
    return Gauge(name, text, labels, multiprocess_mode="livesum", registry=registry)


@cache
def _meters() -> _Meters:
    return _Meters()


@cache
def _of_answers(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    return _meters().requests.labels(route, method, status), _meters().latency.labels(route, method)


def count_response(route: str | None, method: str, status: int, seconds: float) -> None:
    """Count an answer. A path that is no route must be None: people ask for anything."""
    requests, latency = _of_answers(route or "none", method if method in _METHODS else "other", status)
    requests.inc()
    latency.observe(seconds)


async def sample_continuously(db: Database, feed: RunFeed) -> None:
    """Note every few seconds what is in use, until cancelled."""
    while True:
        sample(db, feed)
        await asyncio.sleep(SAMPLE_INTERVAL)


def sample(db: Database, feed: RunFeed) -> None:
    """Note what is in use in this process now."""
    meters, stats = _meters(), db.pool.get_stats()
    idle = stats.get("pool_available", 0)
    meters.pool.labels("idle").set(idle)
    meters.pool.labels("used").set(stats.get("pool_size", 0) - idle)
    meters.waiting.set(stats.get("requests_waiting", 0))
    meters.viewers.set(feed.viewers)


class ProcessCollector(Collector):
    """What all server processes of this machine counted."""

    def collect(self) -> Iterable[Metric]:
        """The counts, added up."""
        folder = os.environ.get(FOLDER_VARIABLE)
        if folder is None:
            return _meters().own.collect()
        _forget_dead(Path(folder))
        return multiprocess.MultiProcessCollector(None, folder).collect()


def _forget_dead(folder: Path) -> None:
    """What a process that is gone had in use, nobody uses; what it counted stays counted."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not psutil.pid_exists(pid):
            multiprocess.mark_process_dead(pid, str(folder))
