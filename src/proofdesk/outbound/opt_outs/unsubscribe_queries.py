"""SQL of the key that signs unsubscribe links."""

from proofdesk.database import rows
from proofdesk.database.rows import Conn


async def fetch_link_key(conn: Conn) -> str | None:
    """Return the key of this installation, None before the first link."""
    return await rows.fetch_value(conn, "SELECT value #>> '{}' FROM app_settings WHERE key = 'unsubscribe_key'")


async def ensure_link_key(conn: Conn, new_key: str) -> str:
    """Store `new_key` unless there is a key already; return the key."""
    return await rows.fetch_value(
        conn,
        """
        INSERT INTO app_settings (key, value) VALUES ('unsubscribe_key', to_jsonb(%(new_key)s::text))
        ON CONFLICT (key) DO UPDATE SET value = app_settings.value
        RETURNING value #>> '{}'""",
        new_key=new_key,
    )
