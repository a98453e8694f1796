"""Everything that is watched, as Prometheus reads it."""

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest

from proofdesk.dashboard.database_metrics import DatabaseCollector, MetricsCache
from proofdesk.dashboard.process_metrics import ProcessCollector

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


async def render(board: MetricsCache) -> bytes:
    """All metrics in Prometheus's text format; those of the database are left out while that is away."""
    registry = CollectorRegistry()
    registry.register(ProcessCollector())
    registry.register(DatabaseCollector(await board.read()))
    return generate_latest(registry)
