"""The state of the database, seen through a connection of its own, which needs no migration."""

import asyncio
import re
from dataclasses import dataclass, field

import psycopg
from psycopg import AsyncConnection

from proofdesk.dashboard import status
from proofdesk.database import errors
from proofdesk.database.pool import ClosedDatabase
from proofdesk.database.poolers import WrongSession
from proofdesk.database.rows import Conn
from proofdesk.database.sessions import APP_ROLE
from proofdesk.errors import Unavailable
from proofdesk.runbooks import database_queries
from proofdesk.runbooks.context import RunbookContext
from proofdesk.runbooks.database_queries import Blocker, DatabaseFacts

TIMEOUT_SECONDS = 10.0
"""As long as Proofdesk itself waits for a connection."""
ABSENT, NOT_STARTED, DISK_FULL = "database_absent", "database_not_started", "database_disk_full"
"""Codes of the error when there is no embedded database, and when it cannot be started."""
_EMBEDDED = {ABSENT: "absent", NOT_STARTED: "connection", DISK_FULL: "space"}
_KINDS = (
    ("connections", re.compile(r"too many (clients|connections)|connection slots are reserved")),
    ("starting", re.compile(r"database system is (starting up|shutting down|in recovery|not (yet )?accepting)")),
    ("password", re.compile(r"authentication failed|no password supplied|role .* does not exist|no pg_hba.conf entry")),
    ("name", re.compile(r'database ".*" does not exist')),
)
_FULL = ("53100", "53000")


@dataclass(frozen=True)
class DatabaseState:
    """What is wrong with the database, if anything: `problem` is the id of a check, `message` the reason.

    `closed` is set when nothing can be read. `facts` is None when there is no connection.
    """

    problem: str | None = None
    message: str = ""
    closed: Unavailable | None = None
    facts: DatabaseFacts | None = None
    blockers: list[Blocker] = field(default_factory=list)


async def probe_database(context: RunbookContext) -> DatabaseState:
    """Connect as the owner of the database, and look at the server, the schema, and whether it can be written."""
    db = context.resources.db
    if isinstance(db, ClosedDatabase) and db.reason.code in _EMBEDDED:
        return _closed(_EMBEDDED[db.reason.code], db.reason)
    return await probe(context.resources.owner_url, context)


async def probe(url: str, context: RunbookContext | None = None) -> DatabaseState:
    """Return the state of the database of `url`. The session of the application is checked only with a context."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS), await AsyncConnection.connect(url, autocommit=True) as conn:
            return await _look(conn, context)
    except TimeoutError:
        return _closed("connection", _unavailable(f"No connection within {TIMEOUT_SECONDS:.0f} seconds."))
    except psycopg.Error as error:
        known = errors.classify(error)
        return _closed(_kind(str(error)), known or _unavailable(f"The database failed: {errors.first_line(error)}."))


async def _look(conn: Conn, context: RunbookContext | None) -> DatabaseState:
    facts = await database_queries.fetch_facts(conn, APP_ROLE)
    if not facts.has_schema:
        content = "is empty" if not facts.has_tables else "has tables, but none of Proofdesk"
        return _closed("schema", _unavailable(f"The database {facts.name} {content}: it was never migrated."), facts)
    if context is not None:
        try:
            await status.check_ready(context.resources.db)
        except WrongSession as error:
            return _closed("session", error, facts)
        except Unavailable as error:
            return _closed("schema" if error.code == "database_not_migrated" else "session", error, facts)
    blockers = await database_queries.list_blockers(conn)
    problem, message = await _write_problem(conn, facts)
    return DatabaseState(problem, message, None, facts, blockers)


async def _write_problem(conn: Conn, facts: DatabaseFacts) -> tuple[str | None, str]:
    """Return why nothing can be written, as the id of a check and a reason. Rolls back what it writes."""
    if facts.is_standby:
        return "read-only", "The server is a standby, which only reads. Its primary server accepts writes."
    try:
        async with conn.transaction(force_rollback=True):
            await conn.execute("SET TRANSACTION READ WRITE")
            await database_queries.fetch_transaction_id(conn)
            await database_queries.try_to_write(conn)
    except psycopg.errors.InsufficientPrivilege:
        return None, ""  # the user may not create temporary tables, which Proofdesk does not need
    except psycopg.Error as error:
        kind = "space" if error.sqlstate in _FULL else "read-only"
        return kind, f"{errors.first_line(error)}."
    return None, ""


def _kind(message: str) -> str:
    return next((kind for kind, pattern in _KINDS if pattern.search(message)), "connection")


def _closed(problem: str, reason: Unavailable, facts: DatabaseFacts | None = None) -> DatabaseState:
    return DatabaseState(problem, reason.message, reason, facts)


def _unavailable(message: str) -> Unavailable:
    return Unavailable(message, code="database_unavailable")
