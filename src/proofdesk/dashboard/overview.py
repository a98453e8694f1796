"""The overview of a project: its contents, how recent they are, and the last failures."""

from dataclasses import dataclass
from datetime import datetime

from proofdesk.conversations import queries as review_queries
from proofdesk.conversations import totals_queries
from proofdesk.conversations.queries import InboxRow
from proofdesk.conversations.totals_queries import EntityCounts
from proofdesk.dashboard import overview_queries as queries
from proofdesk.dashboard import status_queries
from proofdesk.dashboard.overview_queries import DailyMessages
from proofdesk.dashboard.status_queries import WorkerStatus
from proofdesk.database.pool import Database
from proofdesk.indexing import vector_queries as chunk_queries
from proofdesk.jobs import run_queries
from proofdesk.jobs.run_queries import Run
from proofdesk.projects import source_queries
from proofdesk.projects.scope import Scope
from proofdesk.projects.source_queries import Source

DAYS = 30
MAX_FAILURES = 5


@dataclass(frozen=True)
class ProjectContents:
    """The sources and the contents of a project. `synced_at` is the end of the last successful sync."""

    entities: EntityCounts
    chunks: chunk_queries.ChunkCounts
    sources: list[Source]
    inboxes: list[InboxRow]
    synced_at: datetime | None


@dataclass(frozen=True)
class Overview:
    """The whole overview. `latest` has the newest run of each job, `failures` the newest failed runs."""

    contents: ProjectContents
    latest: list[Run]
    failures: list[Run]
    days: list[DailyMessages]
    workers: WorkerStatus


async def load_overview(db: Database, scope: Scope, silence: float) -> Overview:
    """Return the overview. A worker without a heartbeat for `silence` seconds counts as gone."""
    contents = await load_contents(db, scope)
    async with db.scoped(scope) as conn:
        return Overview(
            contents=contents,
            latest=await run_queries.latest_runs(conn, scope),
            failures=await run_queries.run_history(conn, scope, None, "failed", MAX_FAILURES, 0),
            days=await queries.messages_by_day(conn, scope, DAYS),
            workers=await status_queries.worker_status(conn, silence),
        )


async def load_contents(db: Database, scope: Scope) -> ProjectContents:
    """Return the sources and the contents of a project."""
    async with db.scoped(scope) as conn:
        return ProjectContents(
            entities=await totals_queries.count_entities(conn, scope),
            chunks=await chunk_queries.count_by_status(conn, scope),
            sources=await source_queries.list_sources(conn, scope),
            inboxes=await review_queries.list_inboxes(conn, scope),
            synced_at=await queries.last_synced_at(conn, scope),
        )
