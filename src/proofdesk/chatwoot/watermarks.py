"""How far each source was read, as a row of `sync_watermarks`."""

from datetime import datetime
from typing import Any

from proofdesk.chatwoot import cursor_queries
from proofdesk.chatwoot.cursor_queries import SourceWatermark
from proofdesk.chatwoot.importer import AccountImporter
from proofdesk.projects.source_queries import Source


def watermark_name(source: Source) -> str:
    """Return the name of a source among the watermarks."""
    return f"{source.source_kind}:{source.external_id}"


async def load_watermark(importer: AccountImporter, source: Source) -> SourceWatermark | None:
    """Return the watermark of a source; None before its first sync."""
    async with importer.db.scoped(importer.scope) as conn:
        return await cursor_queries.fetch_watermark(conn, importer.scope, watermark_name(source))


async def move_watermark(importer: AccountImporter, source: Source, ts: datetime | None, meta: dict[str, Any]) -> None:
    """Move the watermark of a source, after the last row that it stands for (C-45)."""
    async with importer.db.scoped(importer.scope) as conn:
        await cursor_queries.set_watermark(conn, importer.scope, watermark_name(source), ts, meta)
