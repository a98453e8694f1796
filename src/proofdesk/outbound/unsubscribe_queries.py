"""The key under which links are signed."""

from proofdesk.db import rows
from proofdesk.db.rows import Conn


async def link_key(conn: Conn, fresh: str) -> str:
    """The key of this installation; `fresh` becomes it when there is none yet."""
    return await rows.value(
        conn,
        """
        INSERT INTO app_settings (key, value) VALUES ('unsubscribe_key', to_jsonb(%(fresh)s::text))
        ON CONFLICT (key) DO UPDATE SET value = app_settings.value
        RETURNING value #>> '{}'
        """,
        fresh=fresh,
    )
