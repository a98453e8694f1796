"""The nearest chunks that vector search stores for the fusion of both rankings."""

import json

from proofdesk.database.rows import Conn, execute, fetch_value
from proofdesk.search.queries import NEAREST_SETTING

Near = tuple[int, int, float]
"""Account, conversation and cosine distance."""


async def store_nearest(conn: Conn, near: list[Near]) -> None:
    """Store these as the nearest chunks."""
    names = ("account_id", "conversation_id", "distance")
    written = json.dumps([dict(zip(names, one, strict=True)) for one in near])
    await execute(conn, "SELECT set_config(%(name)s, %(near)s, true)", name=NEAREST_SETTING, near=written)


async def fetch_nearest(conn: Conn) -> list[Near]:
    """Return the nearest chunks, in order."""
    found = json.loads(await fetch_value(conn, "SELECT current_setting(%(name)s)", name=NEAREST_SETTING))
    return sorted(((n["account_id"], n["conversation_id"], n["distance"]) for n in found), key=lambda near: near[2])
