import psycopg
import pytest

from proofdesk.database.pool import Database
from tests.http.api.server import anyone, cast, server
from tests.isolation import worlds
from tests.isolation.worlds import World

__all__ = ["anyone", "cast", "server"]


@pytest.fixture
async def ours(db: Database, owner_conn: psycopg.Connection) -> World:
    """The project of whoever tries to get at another."""
    return await worlds.make(db, owner_conn, "Ours", "alpaca")


@pytest.fixture
async def theirs(db: Database, owner_conn: psycopg.Connection) -> World:
    """Another project, with something of its own."""
    return await worlds.make(db, owner_conn, "Theirs", "bramble", extra=True)
