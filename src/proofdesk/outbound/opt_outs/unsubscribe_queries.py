"""The key under which links are signed."""

from proofdesk.database import rows
from proofdesk.database.rows import Conn


async def fetch_link_key(conn: Conn) -> str | None:
    """The key of this installation."""
    return await rows.fetch_value(conn, "SELECT value #>> '{}' FROM app_settings WHERE key = 'unsubscribe_key'")


async def ensure_link_key(conn: Conn, fresh: str) -> str:
    """Let `fresh` be the key, unless another process was quicker; the key."""
    return await rows.fetch_value(
        conn,
        """
        INSERT INTO app_settings (key, value) VALUES ('unsubscribe_key', to_jsonb(%(fresh)s::text))
        ON CONFLICT (key) DO UPDATE SET value = app_settings.value
        RETURNING value #>> '{}'""",
        fresh=fresh,
    )
