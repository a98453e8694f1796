"""The metrics, as Prometheus reads them."""

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest

from proofdesk.dashboard.database_metrics import DatabaseCollector, MetricsCache
from proofdesk.dashboard.process_metrics import ProcessCollector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


async def render(board: MetricsCache) -> bytes:
    """Return all metrics in the text format of Prometheus. Those of the database are absent while it is away."""
    registry = CollectorRegistry()
    registry.register(ProcessCollector())
    registry.register(DatabaseCollector(await board.read()))
    return generate_latest(registry)
